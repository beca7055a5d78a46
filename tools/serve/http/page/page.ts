/** The server's page: a small chat, a look at what the house understands, and what the server is busy with. */

const at = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const talk = at<HTMLOListElement>("talk");
const said = at<HTMLTextAreaElement>("said");
const stop = at<HTMLButtonElement>("stop");
const send = at<HTMLButtonElement>("send");
const key = at<HTMLInputElement>("key");

interface Message {
  role: "user" | "assistant";
  content: string;
}
let messages: Message[] = [];
let running: AbortController | undefined;

function headers(): Record<string, string> {
  const own = { "Content-Type": "application/json" };
  return key.value === "" ? own : { ...own, Authorization: `Bearer ${key.value}` };
}

/** The answer as JSON; throws what the server says is wrong. */
async function call<T>(path: string, body?: unknown): Promise<T> {
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, { headers: headers(), ...post });
  const document = await response.json();
  if (!response.ok) throw new Error(document.error?.message ?? document.error ?? response.statusText);
  return document;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function show(kind: string, text: string): HTMLLIElement {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = text;
  talk.append(item);
  talk.scrollTop = talk.scrollHeight;
  return item;
}

/** The events of a stream, parsed. */
async function* events(response: Response) {
  let rest = "";
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (data === "[DONE]") return;
      if (data !== undefined) yield JSON.parse(data);
    }
  }
}

async function answer(signal: AbortSignal, into: HTMLLIElement): Promise<string> {
  const asked = {
    model: at<HTMLSelectElement>("model").value,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  };
  const started = performance.now();
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: headers(),
    body: JSON.stringify(asked),
    signal,
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let text = "";
  let first: number | undefined;
  for await (const { choices, usage, error } of events(response)) {
    if (error) throw new Error(error.message);
    text += choices[0]?.delta.content ?? "";
    if (text !== "") first ??= performance.now();
    into.textContent = text;
    talk.scrollTop = talk.scrollHeight;
    if (usage) showSpeed(usage, (first ?? started) - started, performance.now() - (first ?? started));
  }
  return text;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

function showSpeed(usage: Usage, firstMs: number, restMs: number): void {
  const { prompt_tokens: read, completion_tokens: written, prompt_tokens_details: details } = usage;
  const rate = written > 1 && restMs > 0 ? `, ${((1000 * (written - 1)) / restMs).toFixed(1)} tokens a second` : "";
  const reused = details.cached_tokens > 0 ? ` (${details.cached_tokens} reused)` : "";
  const first = Math.round(firstMs);
  // The model of the home answers without counting.
  at("speed").textContent =
    read === 0
      ? `answered after ${first} ms`
      : `${read} tokens read${reused}, first word after ${first} ms, ${written} written${rate}`;
}

at<HTMLFormElement>("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running || said.value.trim() === "") return;
  messages.push({ role: "user", content: said.value });
  show("user", said.value);
  said.value = "";
  running = new AbortController();
  stop.disabled = false;
  send.disabled = true;
  const item = show("assistant", "…");
  try {
    messages.push({ role: "assistant", content: await answer(running.signal, item) });
  } catch (error) {
    if (running.signal.aborted) {
      // What was read so far is what was said.
      if (item.textContent === "…") item.remove();
      else messages.push({ role: "assistant", content: item.textContent ?? "" });
    } else {
      item.classList.add("wrong");
      item.textContent = messageOf(error);
      messages.pop();
    }
  }
  running = undefined;
  stop.disabled = true;
  send.disabled = false;
  said.focus();
});

said.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at<HTMLFormElement>("ask").requestSubmit();
  }
});
stop.addEventListener("click", () => running?.abort());
at("fresh").addEventListener("click", () => {
  running?.abort();
  messages = [];
  talk.replaceChildren();
  said.focus();
});

interface Understood {
  intents: { name: string; slots: Record<string, unknown>; text?: string }[];
  confidence: number;
  ms: number;
  explanation?: { names: { said: string; candidates: string[] }[]; refused?: string };
}

function list(rows: readonly (readonly [string, string])[]): HTMLDListElement {
  const dl = document.createElement("dl");
  for (const [term, text] of rows) {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    dd.textContent = text;
    dl.append(dt, dd);
  }
  return dl;
}

function rowsOf({ intents, confidence, ms, explanation }: Understood): [string, string][] {
  const rows = intents.flatMap(({ name, slots, text }): [string, string][] => [
    ["Intent", name],
    ...Object.entries(slots).map(([slot, value]): [string, string] => [slot, String(value)]),
    ...(text ? [["Says", text] as [string, string]] : []),
  ]);
  if (intents.length === 0) rows.push(["Intent", "none: this is no home command"]);
  for (const { said: words, candidates } of explanation?.names ?? []) rows.push([`“${words}”`, candidates.join(", ")]);
  if (explanation?.refused) rows.push(["Why not", explanation.refused]);
  rows.push(["Sure to", `${Math.round(confidence * 100)} %, in ${Math.round(ms)} ms`]);
  return rows;
}

at<HTMLFormElement>("command").addEventListener("submit", async (event) => {
  event.preventDefault();
  const place = at("understood");
  try {
    const text = at<HTMLInputElement>("sentence").value;
    const area = at<HTMLSelectElement>("area").value || undefined;
    place.replaceChildren(list(rowsOf(await call("understand", { text, area }))));
  } catch (error) {
    place.textContent = messageOf(error);
  }
});

interface State {
  version: string;
  ready: boolean;
  residentBytes: number;
  models: { id: string; loaded: boolean; status?: Record<string, number>; info?: Record<string, unknown> }[];
  house: { areas: string[]; entities: number } | null;
}

function showState({ version, ready, residentBytes, models, house }: State): void {
  at("state").textContent = ready ? `Version ${version}, ready` : `Version ${version}, loading`;
  const rows: [string, string][] = [["Memory of the server", `${Math.round(residentBytes / 1e6)} MB`]];
  for (const { id, loaded, status, info } of models) {
    const busy = status
      ? `${status.running} running, ${status.waiting} waiting, ${status.cachedPrefixes} texts kept`
      : "";
    rows.push([
      id,
      loaded ? `${info?.quantization}, ${info?.threads} threads, ${info?.kernel}. ${busy}` : "not loaded",
    ]);
  }
  if (house) rows.push(["House", `${house.entities} entities in ${house.areas.length} areas`]);
  const body = at("figures").querySelector("tbody")!;
  body.replaceChildren(
    ...rows.map(([name, text]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head);
      row.insertCell().textContent = text;
      return row;
    }),
  );
}

function fill(select: HTMLSelectElement, values: readonly string[]): void {
  const known = new Set([...select.options].map(({ value }) => value));
  for (const value of values) if (!known.has(value)) select.add(new Option(value, value));
}

async function refresh(): Promise<void> {
  try {
    const state = await call<State>("server");
    showState(state);
    fill(
      at<HTMLSelectElement>("model"),
      state.models.map(({ id }) => id),
    );
    fill(at<HTMLSelectElement>("area"), state.house?.areas ?? []);
    at("no-house").hidden = state.house !== null;
    at<HTMLFormElement>("command").hidden = state.house === null;
  } catch (error) {
    at("state").textContent = messageOf(error);
  }
}

key.addEventListener("change", () => void refresh());
await refresh();
setInterval(() => {
  if (!document.hidden) void refresh();
}, 2000);

export {};
