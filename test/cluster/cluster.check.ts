/** Three nodes behind Debian's HAProxy: conversations stay, and a node that is killed takes only its own answers along. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { load as parseYaml } from "js-yaml";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const CONFIGURATION = `${EXAMPLES}cluster/haproxy.cfg`;
const model = temporaryFile("talker.gguf", randomModel({ layers: 2, hiddenSize: 128, contextLength: 2048, peaked: 5 }));
const children: ChildProcess[] = [];
const nodes: ChildProcess[] = [];
let url: string;
let wyomingPort: number;

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function start(command: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: "ignore" });
  children.push(child);
  return child;
}

function install(): void {
  const found = () => {
    try {
      return execFileSync("haproxy", ["-v"], { stdio: ["ignore", "pipe", "ignore"] }).length > 0;
    } catch {
      return false;
    }
  };
  if (!found() && process.getuid?.() === 0) {
    execFileSync("apt-get", ["update", "-qq"], { stdio: "ignore" });
    execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "haproxy"], { stdio: "ignore" });
  }
  if (!found()) throw new Error("This needs HAProxy. Run: sudo apt-get install haproxy");
}

beforeAll(async () => {
  install();
  const ports = await freePorts(8);
  const env: Record<string, string> = {
    PIPHI_BIND: "127.0.0.1",
    PIPHI_HTTP_PORT: `${ports[6]}`,
    PIPHI_WYOMING_PORT: `${ports[7]}`,
  };
  for (const node of [1, 2, 3]) {
    const [http, wyoming] = ports.slice(2 * (node - 1));
    env[`PIPHI_NODE_${node}_HTTP`] = `127.0.0.1:${http}`;
    env[`PIPHI_NODE_${node}_WYOMING`] = `127.0.0.1:${wyoming}`;
    const flags = [
      "--port",
      `${http}`,
      "--wyoming-port",
      `${wyoming}`,
      "--no-mdns",
      "--threads",
      "1",
      "--log-level",
      "error",
    ];
    const house = ["--house", `${EXAMPLES}house.yaml`, "--ctx", "2048", "--no-pack"];
    nodes.push(
      start(process.execPath, [CLI, "serve", model, ...flags, ...house], { PIPHI_HOME: temporaryPath(`node${node}`) }),
    );
  }
  start("haproxy", ["-db", "-f", CONFIGURATION], env);
  url = `http://127.0.0.1:${ports[6]}`;
  wyomingPort = ports[7];
  const all = async () => {
    const served = await Promise.all(Array.from({ length: 40 }, (_, i) => servedBy(`wake-${i}`).catch(() => null)));
    return new Set(served).size === 3 && !served.includes(null);
  };
  await vi.waitFor(async () => expect(await all()).toBe(true), { timeout: 60_000, interval: 500 });
});

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

function chat(conversation: string, more: object, signal?: AbortSignal) {
  const messages = [{ role: "user", content: "the light" }];
  const body = JSON.stringify({ model: "talker", messages, ...more });
  const headers = { "X-Conversation-Id": conversation, "Content-Type": "application/json" };
  return fetch(`${url}/v1/chat/completions`, { method: "POST", body, headers, signal });
}

/** The board that a conversation is on. */
async function servedBy(conversation: string): Promise<string | null> {
  const response = await fetch(`${url}/health`, { headers: { "X-Conversation-Id": conversation } });
  return response.ok ? response.headers.get("x-served-by") : null;
}

/** The intent that Wyoming answers a sentence with. */
function say(text: string, conversation: string): Promise<string> {
  const data = JSON.stringify({ text, context: { conversation_id: conversation } });
  const event = `${JSON.stringify({ type: "transcript", data_length: Buffer.byteLength(data) })}\n${data}`;
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = net.connect(wyomingPort, "127.0.0.1", () => socket.write(event));
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer, but ${answer}`)));
    socket.on("error", reject);
    socket.on("data", (bytes) => {
      answer += bytes;
      if (!/"intent"[\s\S]*"name"/.test(answer)) return;
      socket.destroy();
      resolve(answer);
    });
  });
}

it("keeps a conversation on its board, and uses all of them", async () => {
  const boards = new Set<string | null>();
  for (let i = 0; i < 20; i++) {
    const served = await Promise.all([servedBy(`talk-${i}`), servedBy(`talk-${i}`), servedBy(`talk-${i}`)]);
    expect(new Set(served).size).toBe(1);
    boards.add(served[0]);
  }
  expect(boards).toEqual(new Set(["board1", "board2", "board3"]));
  const first = await (await chat("talk-1", { max_tokens: 4 })).json();
  const second = await (await chat("talk-1", { max_tokens: 4 })).json();
  expect(first.usage.prompt_tokens_details.cached_tokens).toBe(0);
  expect(second.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
});

it("answers sentences by Wyoming, too", async () => {
  for (let i = 0; i < 6; i++) expect(await say("turn on the reading lamp", `voice-${i}`)).toContain("Reading Lamp");
});

it("a board that is killed in the middle of answers loses only those", async () => {
  const conversations = Array.from({ length: 12 }, (_, i) => `kill-${i}`);
  const before = await Promise.all(conversations.map(servedBy));
  const victim = before[0]!;
  const answers = conversations.map(async (conversation) => {
    try {
      const response = await chat(conversation, { max_tokens: 600, grammar: "root ::= [a-z ]*" });
      return { conversation, ok: response.ok, text: (await response.json()).choices?.[0].message.content as string };
    } catch {
      return { conversation, ok: false, text: "" };
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 700));
  nodes[Number(victim.at(-1)) - 1].kill("SIGKILL");
  const outcomes = await Promise.all(answers);
  outcomes.forEach(({ ok, text }, i) => {
    if (before[i] !== victim) expect([ok, text.length > 0]).toEqual([true, true]);
  });
  expect(outcomes.filter(({ ok }, i) => before[i] === victim && !ok).length).toBeGreaterThan(0);
  // Its conversations move; those of the others stay where their texts are cached.
  await expect.poll(() => servedBy(conversations[0]), { timeout: 20_000 }).not.toBe(victim);
  await expect
    .poll(async () => (await Promise.all(conversations.map(servedBy))).includes(null), { timeout: 20_000 })
    .toBe(false);
  const after = await Promise.all(conversations.map(servedBy));
  after.forEach((board, i) => {
    if (before[i] === victim) expect(board).not.toBe(victim);
    else expect(board).toBe(before[i]);
  });
});

it("the manifests name the same ports and settings", () => {
  const compose = parseYaml(readFileSync(`${EXAMPLES}cluster/compose.yaml`, "utf8")) as {
    services: Record<string, { environment?: Record<string, string> }>;
  };
  const variables = [...readFileSync(CONFIGURATION, "utf8").matchAll(/presetenv (PIPHI_NODE_\w+)/g)].map(
    ([, name]) => name,
  );
  expect(Object.keys(compose.services.haproxy.environment!).sort()).toEqual(variables.sort());
  const k3s = readFileSync(`${EXAMPLES}cluster/k3s.yaml`, "utf8");
  const documents = k3s.split(/^---$/m).map((text) => parseYaml(text) as { kind: string });
  expect(documents.map(({ kind }) => kind)).toEqual(["Service", "StatefulSet", "Deployment", "Service"]);
  for (const name of variables) expect(k3s).toContain(name);
});
