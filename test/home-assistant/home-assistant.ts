/** The Home Assistant that install.sh installed: started, set up as its first user would, and driven by its own APIs. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

export const ADDRESS = "http://127.0.0.1:8123";
const SYSTEM = fileURLToPath(new URL("../../.home-assistant/system/", import.meta.url));
const CONFIGURATION = fileURLToPath(new URL("configuration.yaml", import.meta.url));
const CLIENT = `${ADDRESS}/`;
const USER = { name: "Tester", username: "tester", password: "only for this check", language: "en" };

interface Reply {
  id: number;
  type: string;
  success: boolean;
  result: unknown;
  event?: unknown;
  error?: { message: string };
}

/** What `conversation/process` answers. */
export interface Spoken {
  type: string;
  speech: string;
  conversation: string;
}

export interface State {
  state: string;
  attributes: Record<string, unknown>;
}

async function until<T>(what: string, ms: number, ask: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`Waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function post(where: string, body: unknown, token?: string): Promise<Record<string, unknown>> {
  const form = body instanceof URLSearchParams;
  const response = await fetch(ADDRESS + where, {
    method: "POST",
    headers: {
      ...(!form && { "content-type": "application/json" }),
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: form ? body : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${where}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** What the first user does in the browser. */
async function onboard(): Promise<string> {
  const { auth_code: code } = await post("/api/onboarding/users", { client_id: CLIENT, ...USER });
  const form = { client_id: CLIENT, code: String(code), grant_type: "authorization_code" };
  const { access_token: token } = await post("/auth/token", new URLSearchParams(form));
  await post("/api/onboarding/core_config", {}, String(token));
  await post("/api/onboarding/analytics", {}, String(token));
  await post("/api/onboarding/integration", { client_id: CLIENT, redirect_uri: CLIENT }, String(token));
  return String(token);
}

export class HomeAssistant {
  #id = 0;
  readonly #events = new Map<number, (event: unknown) => void>();
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  /** A long-lived access token. */
  token = "";

  private constructor(
    readonly process: ChildProcess,
    readonly socket: WebSocket,
  ) {
    socket.on("message", (text) => {
      const reply = JSON.parse(String(text)) as Reply;
      if (reply.type === "event") this.#events.get(reply.id)?.(reply.event);
      else this.#waiting.get(reply.id)?.(reply);
    });
  }

  /** A new house: nothing is left of an earlier run. */
  static async start(): Promise<HomeAssistant> {
    for (const what of ["proc", "dev"]) execFileSync("mount", ["--bind", `/${what}`, path.join(SYSTEM, what)]);
    const config = path.join(SYSTEM, "config");
    fs.rmSync(config, { recursive: true, force: true });
    fs.mkdirSync(config);
    fs.copyFileSync(CONFIGURATION, path.join(config, "configuration.yaml"));
    const env = { PATH: "/opt/hass/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/tmp", LC_ALL: "C.UTF-8" };
    const child = spawn("chroot", [SYSTEM, "hass", "-c", "/config", "--skip-pip"], { env, stdio: "inherit" });
    const isUp = async () => (await fetch(`${ADDRESS}/api/onboarding`)).ok || undefined;
    await until("Home Assistant's start", 120_000, isUp);
    const token = await onboard();
    const socket = new WebSocket(`${ADDRESS.replace("http", "ws")}/api/websocket`);
    await once(socket, "message");
    socket.send(JSON.stringify({ type: "auth", access_token: token }));
    await once(socket, "message");
    const started = new HomeAssistant(child, socket);
    const life = { client_name: "check", lifespan: 1 };
    started.token = await started.command<string>("auth/long_lived_access_token", life);
    return started;
  }

  async command<T = unknown>(type: string, data: Record<string, unknown> = {}): Promise<T> {
    const id = ++this.#id;
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, type, ...data }));
    const { success, result, error } = await reply;
    this.#waiting.delete(id);
    if (!success) throw new Error(`${type}: ${error?.message}`);
    return result as T;
  }

  post(where: string, body: unknown): Promise<Record<string, unknown>> {
    return post(where, body, this.token);
  }

  async state(entity: string): Promise<State | undefined> {
    const response = await fetch(`${ADDRESS}/api/states/${entity}`, {
      headers: { authorization: `Bearer ${this.token}` },
    });
    return response.ok ? ((await response.json()) as State) : undefined;
  }

  /** Waits until an entity is as it should be. */
  async becomes(entity: string, wanted: string): Promise<State> {
    return until(`${entity} ${wanted}`, 5000, async () => {
      const now = await this.state(entity);
      return now?.state === wanted ? now : undefined;
    });
  }

  /** Adds an integration as the user does in the settings: its form is filled in. */
  async addIntegration(handler: string, answers: Record<string, unknown>): Promise<string> {
    const flow = await this.post("/api/config/config_entries/flow", { handler, show_advanced_options: false });
    const done = await this.post(`/api/config/config_entries/flow/${String(flow.flow_id)}`, answers);
    const entry = done.result as { entry_id: string } | undefined;
    if (done.type !== "create_entry" || !entry) throw new Error(`${handler}: ${JSON.stringify(done).slice(0, 500)}`);
    return entry.entry_id;
  }

  /** Adds what an integration has several of, such as Ollama's agents. */
  async addPart(entry: string, kind: string, answers: Record<string, unknown>): Promise<void> {
    const where = "/api/config/config_entries/subentries/flow";
    const flow = await this.post(where, { handler: [entry, kind], show_advanced_options: false });
    const done = await this.post(`${where}/${String(flow.flow_id)}`, answers);
    if (done.type !== "create_entry") throw new Error(`${kind}: ${JSON.stringify(done).slice(0, 500)}`);
  }

  /** Adds a Wyoming service on this machine, as soon as it listens. */
  addService(port: number): Promise<string> {
    const answers = { host: "127.0.0.1", port };
    return until("a Wyoming service", 30_000, () => this.addIntegration("wyoming", answers));
  }

  /** Renders a template as Home Assistant does; throws where it fails. */
  async render(template: string, variables: Record<string, unknown>): Promise<void> {
    const id = this.#id + 1;
    const event = new Promise<unknown>((resolve) => this.#events.set(id, resolve));
    await this.command("render_template", { template, variables, report_errors: true });
    const { error } = (await event) as { error?: string };
    this.#events.delete(id);
    await this.command("unsubscribe_events", { subscription: id });
    if (error) throw new Error(`${error}: ${template}`);
  }

  /** The conversation agent whose id begins so: it appears some moments after its integration. */
  agent(prefix: string): Promise<string> {
    return until(`an agent ${prefix}`, 30_000, async () => {
      const { agents } = await this.command<{ agents: { id: string }[] }>("conversation/agent/list");
      return agents.map(({ id }) => id).find((id) => id.startsWith(prefix));
    });
  }

  /** Says a sentence to an agent, as the app does. */
  async say(text: string, agent: string, more: Record<string, unknown> = {}): Promise<Spoken> {
    const answer = await this.post("/api/conversation/process", { text, language: "en", agent_id: agent, ...more });
    const response = answer.response as { response_type: string; speech: { plain?: { speech: string } } };
    return {
      type: response.response_type,
      speech: response.speech.plain?.speech ?? "",
      conversation: String(answer.conversation_id),
    };
  }

  async stop(): Promise<void> {
    this.socket.close();
    const ended = once(this.process, "exit");
    this.process.kill();
    await ended;
  }
}
