/** The engine's thread: takes messages, asks the engine, sends what comes of it. */

import type { Delta, Progress } from "../api.ts";
import type { Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import type { FromEngine, Method, Methods, Request, ToEngine } from "../protocol.ts";
import { Engine } from "./engine.ts";

/** A request, as far as its answer is concerned. */
interface Call {
  id: number;
  emit(delta: Delta): void;
}

type Answers = {
  [M in Method]: (
    engine: Engine,
    ask: Methods[M]["ask"],
    call: Call,
  ) => Methods[M]["answer"] | Promise<Methods[M]["answer"]>;
};

/** What is asked of a session is done in turn. What computes nothing is answered even where the queue is full. */
const ANSWERS: Answers = {
  generate: (engine, { prompt, options, session }, { emit, id }) => engine.generate(prompt, options, emit, session, id),
  chat: (engine, { messages, options, session }, { emit, id }) => engine.chat(messages, options, emit, session, id),
  generateAll: (engine, { prompts, options }, { id }) => engine.generateAll(prompts, options, id),
  score: (engine, { input, top }, { id }) => engine.score(input, top, id),
  openSession: (engine, { prefix }, { id }) => engine.serve(() => engine.sessions.begin(prefix, id)),
  restoreSession: (engine, { from }, { id }) => engine.serve(() => engine.sessions.restore(from, id)),
  saveSession: (engine, { session, path, note }, { id }) => {
    return engine.inTurn(id, session, () => engine.sessions.save(session, path, note, id));
  },
  exportSession: (engine, { session, note }, { id }) => {
    return engine.inTurn(id, session, () => engine.sessions.export(session, note, id));
  },
  sessionTokens: (engine, { session }, { id }) =>
    engine.sessions.inTurn(id, session, () => engine.sessions.tokens(session)),
  closeSession: (engine, { session }, { id }) => {
    return engine.sessions.inTurn(id, session, () => void engine.sessions.close(session));
  },
  tokenize: ({ language }, { text }) => language.tokenize(text),
  detokenize: ({ language }, { ids }) => language.detokenize(ids),
  bandwidth: (engine, _, { id }) => engine.bandwidth(id),
  memory: (engine) => engine.memoryUse(),
  status: (engine) => engine.status(),
};

/** Returns the listener for the caller's messages. */
export function serveEngine(device: Device, post: (message: FromEngine) => void): (message: ToEngine) => void {
  let engine: Engine | undefined;
  const failed = (error: unknown, id?: number) => post({ type: "error", id, error: PiPhiError.from(error).toJSON() });

  const load = async (message: ToEngine & { type: "load" }) => {
    const onProgress = throttled((progress) => post({ type: "progress", progress }));
    engine = await Engine.load(device, message.model, message.options, onProgress);
    const signals = device.sharedMemory ? engine.signals.buffer : undefined;
    post({ type: "ready", info: engine.info, signals });
  };

  const answer = async ({ id, method, ask }: Request) => {
    if (!engine) throw new PiPhiError("E_CLOSED", "The model is not loaded. Load it first.");
    const emit = (delta: Delta) => post({ type: "delta", id, delta });
    const handle = ANSWERS[method] as (engine: Engine, ask: unknown, call: Call) => unknown;
    post({ type: "result", id, value: await handle(engine, ask, { id, emit }) });
  };

  const close = async () => {
    await engine?.close();
    engine = undefined;
    post({ type: "closed" });
  };

  return (message) => {
    engine?.mail.note();
    if (message.type === "load") load(message).catch((error) => failed(error));
    else if (message.type === "request") answer(message).catch((error) => failed(error, message.id));
    else if (message.type === "cancel") engine?.cancel(message.id);
    else close().catch((error) => failed(error));
  };
}

/** Lets through at most one report in 50 ms, and the last. */
export function throttled(report: (progress: Progress) => void): (progress: Progress) => void {
  let last = 0;
  return (progress) => {
    const now = performance.now();
    if (now - last < 50 && progress.loadedBytes !== progress.totalBytes) return;
    last = now;
    report(progress);
  };
}
