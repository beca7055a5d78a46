/** Starts `piphi serve`, asks by HTTP, and makes ratios of the times. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { CLI } from "../peers/engines.mjs";

/** Starts a server; resolves when its models are loaded. */
export async function startServer(args) {
  const flags = ["--port", "0", "--wyoming", "none", "--log-level", "error"];
  const child = spawn(process.execPath, [CLI, "serve", ...args, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface(child.stderr);
  let url;
  for await (const line of lines) {
    url = /^HTTP: (\S+)$/.exec(line)?.[1];
    if (url) break;
  }
  lines.resume();
  if (!url) throw new Error("The server did not start. Run piphi serve to see why.");
  while (!(await fetch(`${url}/ready`)).ok) await new Promise((resolve) => setTimeout(resolve, 100));
  const { data } = await (await fetch(`${url}/v1/models`)).json();
  return {
    url,
    model: data[0].id,
    residentBytes: () => 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]),
    async stop() {
      child.kill();
      await once(child, "exit");
    },
  };
}

const WORDS = "light lamp door window garden kitchen morning evening water house".split(" ");
/** A text of about so many tokens, of its own for each seed. */
const textOf = (tokens, seed) =>
  Array.from({ length: tokens }, (_, i) => WORDS[(i * 7 + seed * 3 + ((i * seed) >> 2)) % 10]).join(" ");

/** One streamed chat: when its deltas came (ms), and what it used. Held to letters, so that it ends where it is told to. */
async function chat({ url, model }, messages, maxTokens, signal) {
  const body = {
    model,
    messages,
    max_tokens: maxTokens,
    stream: true,
    grammar: "root ::= [a-z ]+",
    stream_options: { include_usage: true },
  };
  const start = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: JSON.stringify(body), signal });
  if (!response.ok) throw new Error(await response.text());
  const times = [];
  let usage;
  let text = "";
  let rest = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = /^data: (\{.*)$/m.exec(event)?.[1];
      if (!data) continue;
      const { choices, usage: used, error } = JSON.parse(data);
      if (error) throw new Error(error.message);
      usage = used ?? usage;
      const content = choices?.[0]?.delta.content;
      if (content) {
        times.push(performance.now() - start);
        text += content;
      }
    }
  }
  return { times, usage, text, ms: performance.now() - start };
}

const said = (content) => [{ role: "user", content }];
const stepOf = ({ times, usage }) => (times.at(-1) - times[0]) / (usage.completion_tokens - 1);

/** Four chats at once beside one alone: tokens a second while all of them write. */
export async function measureTogether(server, generate) {
  await chat(server, said(textOf(8, 1)), 4);
  const alone = await chat(server, said(textOf(8, 2)), generate);
  const start = performance.now();
  const four = await Promise.all([3, 4, 5, 6].map((seed) => chat(server, said(textOf(8, seed)), generate)));
  const ms = performance.now() - start - Math.min(...four.map(({ times }) => times[0]));
  const tokens = four.reduce((sum, { usage }) => sum + usage.completion_tokens - 1, 0);
  return [{ name: "4 chats at once: tokens of one", value: (tokens / ms) * stepOf(alone), least: 2.2 }];
}

/** The first token of a second turn, beside a decode step and reading the turn's new tokens alone. */
export async function measureSecondTurn(server, history) {
  const first = said(textOf(history, 7));
  const before = await chat(server, first, 8);
  const turn = [...first, { role: "assistant", content: before.text }, ...said(textOf(12, 8))];
  const second = await chat(server, turn, 8);
  const fresh = second.usage.prompt_tokens - second.usage.prompt_tokens_details.cached_tokens;
  const alone = await chat(server, said(textOf(Math.max(4, fresh - 8), 9)), 4);
  const limit = stepOf(second) + alone.times[0];
  const name = `a second turn after ${before.usage.prompt_tokens} tokens, ${fresh} of them new: of a step and these`;
  return [{ name, value: second.times[0] / limit, most: 1.4 }];
}

async function running({ url, model }) {
  const { models } = await (await fetch(`${url}/server`)).json();
  const { status } = models.find(({ id }) => id === model);
  return status.running + status.waiting;
}

/** Clients that leave at any moment, beside one that stays: its text is the same, and nothing goes on for those. */
export async function measureDisconnects(server, count) {
  const asked = said(textOf(20, 1));
  const expected = (await chat(server, asked, 40)).text;
  let wrong = 0;
  let left = 0;
  while (left < count) {
    const gone = Array.from({ length: Math.min(5, count - left) }, (_, i) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), (left * 37 + i * 11) % 120);
      return chat(server, said(textOf(30, left + i)), 200, controller.signal).catch(() => undefined);
    });
    const stays = chat(server, asked, 40);
    await Promise.all(gone);
    if ((await stays).text !== expected) wrong++;
    left += gone.length;
  }
  const start = performance.now();
  while ((await running(server)) > 0 && performance.now() - start < 5000);
  return [
    { name: `${count} clients that left: answers of others that changed`, value: wrong, most: 0 },
    { name: "requests that went on without them", value: await running(server), most: 0 },
  ];
}

/** The slope of a line through points. */
function slope(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)];
  const over = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  return over / points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
}

/** Chats, completions and lookups without a pause: errors, and how memory grows in the second half. */
export async function measureLoad(server, seconds) {
  const end = performance.now() + seconds * 1000;
  let errors = 0;
  let requests = 0;
  const post = (path, body) => fetch(`${server.url}${path}`, { method: "POST", body: JSON.stringify(body) });
  const kinds = [
    (i) => chat(server, said(textOf(4 + (i % 40), i)), 16),
    async (i) => (await post("/v1/completions", { prompt: textOf(6, i), max_tokens: 8 })).json(),
    async () => (await fetch(`${server.url}/api/tags`)).json(),
    async (i) => (await post("/tokenize", { text: textOf(50, i) })).json(),
    async () => (await fetch(`${server.url}/metrics`)).text(),
  ];
  const client = async (seed) => {
    for (let i = seed; performance.now() < end; i += 6) {
      requests++;
      await kinds[i % kinds.length](i).catch(() => errors++);
    }
  };
  const samples = [];
  const timer = setInterval(() => samples.push([performance.now() / 60_000, server.residentBytes() / 1e6]), 500);
  await Promise.all([0, 1, 2, 3, 4, 5].map(client));
  clearInterval(timer);
  const growth = slope(samples.slice(samples.length >> 1));
  return [
    { name: `${requests} requests in ${seconds} s: errors`, value: errors, most: 0 },
    { name: "growth of memory in the second half, MB a minute", value: Math.max(0, growth), most: 2 },
    { name: "resident memory, MB", value: server.residentBytes() / 1e6, most: 150 },
    { name: "requests left at the end", value: await running(server), most: 0 },
  ];
}
