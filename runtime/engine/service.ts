/** The engine's thread: takes messages, runs the engine, sends what comes of it. */

import type { Progress } from "../api.ts";
import type { Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import type { FromEngine, Request, ToEngine } from "../protocol.ts";
import { Engine } from "./engine.ts";

/** Returns the listener for the caller's messages. */
export function serveEngine(device: Device, post: (message: FromEngine) => void): (message: ToEngine) => void {
  let engine: Engine | undefined;

  const load = async (message: ToEngine & { type: "load" }) => {
    const onProgress = throttled((progress) => post({ type: "progress", progress }));
    engine = await Engine.load(device, message.model, message.options, onProgress);
    const memory = device.sharedMemory ? engine.memory : undefined;
    post({ type: "ready", info: engine.info, memory, control: engine.control });
  };

  const answer = async (request: Request) => {
    if (!engine) throw new PiPhiError("E_CLOSED", "The model is not loaded. Load it first.");
    post({ type: "result", value: await run(engine, request, post) });
  };

  return (message) => {
    const fail = (error: unknown) => post({ type: "error", error: PiPhiError.from(error).toJSON() });
    if (message.type === "load") load(message).catch(fail);
    else if (message.type === "request") answer(message).catch(fail);
    else if (message.type === "cancel" && engine) engine.cancelled = true;
    else if (message.type === "close") {
      engine?.close();
      engine = undefined;
      post({ type: "closed" });
    }
  };
}

async function run(engine: Engine, request: Request, post: (message: FromEngine) => void): Promise<unknown> {
  const emit = (delta: { text: string; id: number }) => post({ type: "delta", delta });
  switch (request.method) {
    case "generate":
      return engine.generate(request.ask.prompt, request.ask.options, emit, request.ask.session);
    case "chat":
      return engine.chat(request.ask.messages, request.ask.options, emit, request.ask.session);
    case "generateAll":
      return engine.generateAll(request.ask.prompts, request.ask.options);
    case "score":
      return engine.score(request.ask.input, request.ask.top);
    case "openSession":
      return engine.sessions.begin(request.ask.prefix);
    case "restoreSession":
      return engine.sessions.restore(request.ask.from);
    case "saveSession":
      return engine.sessions.save(request.ask.session, request.ask.path, request.ask.note);
    case "exportSession":
      return engine.sessions.export(request.ask.session, request.ask.note);
    case "sessionTokens":
      return engine.sessions.tokens(request.ask.session);
    case "closeSession":
      return engine.sessions.close(request.ask.session);
    case "tokenize":
      return engine.tokenize(request.ask.text);
    case "detokenize":
      return engine.detokenize(request.ask.ids);
    case "bandwidth":
      return engine.bandwidth();
    case "memory":
      return engine.memoryUse();
  }
}

/** Lets through at most one report in 50 ms, and the last. */
function throttled(report: (progress: Progress) => void): (progress: Progress) => void {
  let last = 0;
  return (progress) => {
    const now = performance.now();
    if (now - last < 50 && progress.loadedBytes < progress.totalBytes) return;
    last = now;
    report(progress);
  };
}
