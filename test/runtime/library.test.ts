/** The library as an application uses it, on the embedded model. */

import { EventEmitter, getEventListeners } from "node:events";
import type { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import {
  EMBEDDED_MODEL,
  estimate,
  inspect,
  load,
  type Phi,
  PiPhiError,
  type Progress,
} from "../../devices/node/index.ts";
import { threadOf } from "../../devices/node/threads.ts";
import type { Device, Thread } from "../../runtime/device.ts";
import { Engine } from "../../runtime/engine/engine.ts";

const PROMPT = "Instruct: turn on the kitchen lights\nOutput:";
const INTENT = '{"intent":"HassTurnOn","area":"kitchen","domain":"light"}';

const codeOf = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => "no error",
    (error) => (error instanceof PiPhiError ? error.code : error),
  );

let phi: Phi;
beforeAll(async () => {
  phi = await load();
});
afterAll(() => phi.close());

describe("generate", () => {
  test("answers with the intent", async () => {
    const result = await phi.generate(PROMPT);
    expect(result.text.trim()).toBe(INTENT);
    expect(result.stopReason).toBe("eos");
    expect(result.generatedTokens).toBe(result.tokens.length);
    expect(result.promptTokens).toBeGreaterThan(5);
  });

  test("the deltas are the text", async () => {
    const generation = phi.generate(PROMPT);
    let text = "";
    for await (const delta of generation) text += delta.text;
    expect(text).toBe((await generation).text);
  });

  test("every loop over a generation sees all deltas, also after its end", async () => {
    const generation = phi.generate(PROMPT, { maxTokens: 8 });
    const read = async () => {
      let text = "";
      for await (const delta of generation) text += delta.text;
      return text;
    };
    const texts = [...(await Promise.all([read(), read()])), await read()];
    expect(texts).toEqual(Array(3).fill((await generation).text));
  });

  test("chat gives the same in the model's own format", async () => {
    const result = await phi.chat([{ role: "user", content: "turn on the kitchen lights" }]);
    expect(result.text.trim()).toBe(INTENT);
  });

  test("stops before a stop text that spans tokens", async () => {
    const result = await phi.generate(PROMPT, { stop: ["HassTurn"] });
    expect(result.text.trim()).toBe('{"intent":"');
    expect(result.stopReason).toBe("stop");
  });

  test("ends at maxTokens, and 0 is none", async () => {
    expect(await phi.generate(PROMPT, { maxTokens: 3 })).toMatchObject({ stopReason: "length", generatedTokens: 3 });
    expect(await phi.generate(PROMPT, { maxTokens: 0 })).toMatchObject({ text: "", generatedTokens: 0 });
  });

  test("the same seed gives the same text, another seed another", async () => {
    const sample = async (seed: number) =>
      (await phi.generate("Instruct: set", { temperature: 3, minP: 0, topP: 1, topK: 0, seed, maxTokens: 12 })).text;
    const first = await sample(1);
    expect(await sample(1)).toBe(first);
    expect(await sample(2)).not.toBe(first);
  });

  test("keeps what a prompt shares with the one before", async () => {
    await phi.generate(PROMPT, { maxTokens: 2 });
    const again = await phi.generate(PROMPT, { maxTokens: 2 });
    expect(again.cachedTokens).toBe(again.promptTokens - 1);
    expect(again.text).toBe((await phi.generate(PROMPT, { maxTokens: 2 })).text);
  });

  test("fills the context to its last token and no further", async () => {
    const { contextLength } = phi.info;
    const full = await phi.generate(PROMPT, { ignoreEos: true });
    expect(full.promptTokens + full.generatedTokens).toBe(contextLength + 1);
    const ids = Array.from({ length: contextLength }, () => 20);
    expect(await phi.generate(ids, { ignoreEos: true })).toMatchObject({ generatedTokens: 1, stopReason: "length" });
    expect(await codeOf(phi.generate([...ids, 20]))).toBe("E_PROMPT_TOO_LONG");
  });

  test("a profile accounts for the time", async () => {
    const { profile, timings } = await phi.generate(PROMPT, { profile: true, ignoreEos: true, maxTokens: 40 });
    const sum = (phase: Record<string, number>) => Object.values(phase).reduce((a, b) => a + b, 0);
    expect(sum(profile!.decode)).toBeCloseTo(timings.decodeMs, 0);
    expect(profile!.decode.matmul).toBeGreaterThan(profile!.decode.embedding ?? 0);
    expect(profile!.prefill.matmul).toBeGreaterThan(0);
    expect((await phi.generate(PROMPT)).profile).toBeUndefined();
  });

  test("requests wait for their turn", async () => {
    const [a, b] = await Promise.all([phi.generate(PROMPT), phi.generate(PROMPT)]);
    expect(a.text).toBe(b.text);
  });
});

describe("cancelling", () => {
  test("ends a running generation with what there is, and the next one works", async () => {
    const controller = new AbortController();
    const generation = phi.generate(PROMPT, { ignoreEos: true, signal: controller.signal });
    for await (const _ of generation) controller.abort();
    const result = await generation;
    expect(result.stopReason).toBe("cancelled");
    expect(result.generatedTokens).toBeLessThan(phi.info.contextLength - result.promptTokens);
    expect((await phi.generate(PROMPT)).text.trim()).toBe(INTENT);
  });

  test("leaving the loop cancels", async () => {
    const generation = phi.generate(PROMPT, { ignoreEos: true });
    for await (const _ of generation) break;
    expect((await generation).stopReason).toBe("cancelled");
  });

  test("a signal that fires before a request's turn refuses it at once", async () => {
    const controller = new AbortController();
    const alone = await load(EMBEDDED_MODEL, { parallel: 1 });
    const running = alone.generate(PROMPT, { ignoreEos: true });
    const waiting = codeOf(alone.generate(PROMPT, { signal: controller.signal }));
    controller.abort();
    const first = await Promise.race([waiting, Promise.resolve(running).then(() => "the one before ended")]);
    expect(first).toBe("E_CANCELLED");
    expect((await running).stopReason).toBe("length");
    await alone.close();
  });

  test("a signal that outlives many generations collects no listeners", async () => {
    const { signal } = new AbortController();
    await phi.generate(PROMPT, { maxTokens: 2, signal });
    await phi.chat([{ role: "user", content: "x" }], { maxTokens: 2, signal });
    await codeOf(phi.generate("", { signal }));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("a signal that fired before refuses", async () => {
    expect(await codeOf(phi.generate(PROMPT, { signal: AbortSignal.abort() }))).toBe("E_CANCELLED");
    expect(await codeOf(load(EMBEDDED_MODEL, { signal: AbortSignal.abort() }))).toBe("E_CANCELLED");
  });
});

describe("score, tokenize", () => {
  test("log-probabilities sum to one", async () => {
    const { ids } = await phi.tokenize(PROMPT);
    const { positions } = await phi.score(PROMPT, { top: phi.info.config.vocabSize });
    expect(positions.map(({ id }) => id)).toEqual(ids);
    for (const { top } of positions) {
      expect(top.reduce((sum, [, logprob]) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 5);
      expect(top.every(([, logprob], i) => i === 0 || logprob <= top[i - 1][1])).toBe(true);
    }
  });

  test("detokenize gives the text back", async () => {
    const { ids, pieces } = await phi.tokenize("Grüße, 世界 🎉");
    expect(pieces).toHaveLength(ids.length);
    expect(await phi.detokenize(ids)).toBe("Grüße, 世界 🎉");
  });
});

describe("refusals", () => {
  test.each([
    ["an empty prompt", () => phi.generate(""), "E_PROMPT_EMPTY"],
    ["an id beyond the vocabulary", () => phi.generate([1e6]), "E_USAGE"],
    ["a fractional id", () => phi.generate([1.5]), "E_USAGE"],
    ["a negative temperature", () => phi.generate(PROMPT, { temperature: -1 }), "E_USAGE"],
    ["an empty stop text", () => phi.generate(PROMPT, { stop: [""] }), "E_USAGE"],
    ["a stop text outside of an array", () => phi.generate(PROMPT, { stop: "x" as unknown as string[] }), "E_USAGE"],
    ["an option that no message can carry", () => phi.generate(PROMPT, { seed: (() => 1) as never }), "E_USAGE"],
    ["a prompt that is no text", () => phi.generate(undefined as unknown as string), "E_USAGE"],
    ["a message without text", () => phi.chat([{ role: "user" } as never]), "E_USAGE"],
    ["negative maxTokens", () => phi.generate(PROMPT, { maxTokens: -1 }), "E_USAGE"],
    ["nothing to score", () => phi.score([]), "E_PROMPT_EMPTY"],
    ["a context beyond the model's", () => load(EMBEDDED_MODEL, { contextLength: 1 << 20 }), "E_CONTEXT"],
    ["no threads", () => load(EMBEDDED_MODEL, { threads: 0 }), "E_USAGE"],
    ["an unreadable size", () => load(EMBEDDED_MODEL, { ram: "much" }), "E_USAGE"],
    ["too little memory", () => load(EMBEDDED_MODEL, { ram: "2M" }), "E_MEMORY"],
    ["an unknown cache type", () => load(EMBEDDED_MODEL, { kv: "int4" as "int8" }), "E_USAGE"],
    ["a missing file", () => load("no-such-file.gguf"), "E_NOT_FOUND"],
  ])("%s", async (_, act, code) => {
    expect(await codeOf(act())).toBe(code);
  });

  test("the engine still works", async () => {
    expect((await phi.generate(PROMPT)).text.trim()).toBe(INTENT);
  });
});

describe("life of a model", () => {
  test("reports progress to the end, and hands on what the listener throws", async () => {
    const seen: Progress[] = [];
    await (await load(EMBEDDED_MODEL, { onProgress: (progress) => seen.push(progress) })).close();
    expect(seen.at(-1)!.loadedBytes).toBe(seen.at(-1)!.totalBytes);
    const onProgress = () => {
      throw new RangeError("the listener's own");
    };
    await expect(load(EMBEDDED_MODEL, { onProgress })).rejects.toThrow(RangeError);
  });

  test("a thread that cannot be started is an error, not a wait without end", async () => {
    const failing: Thread = {
      post: () => {},
      onMessage: () => {},
      onFailure: (listener) => void setTimeout(() => listener(new Error("no room"))),
      terminate: () => {},
    };
    const device = { ...nodeDevice(), startWorker: () => failing };
    const loading = Engine.load(device, EMBEDDED_MODEL, { threads: 2, kernel: "simd" }, () => {});
    await expect(loading).rejects.toMatchObject({ code: "E_ENGINE", message: expect.stringContaining("no room") });
  });

  test("a thread that never begins to run is left out, and the caller is told", async () => {
    const real = nodeDevice();
    let started = 0;
    const said: string[] = [];
    let ended = 0;
    // A worker of Node's that gives no sign of life.
    const silent = Object.assign(new EventEmitter(), {
      postMessage: () => {},
      terminate: async () => ++ended,
      ref: () => {},
      unref: () => {},
    }) as unknown as Worker;
    const device: Device = {
      ...real,
      warn: (text) => said.push(text),
      startWorker: (role) => (started++ === 0 ? threadOf(silent, 50) : real.startWorker(role)),
    };
    const engine = await Engine.load(device, EMBEDDED_MODEL, { threads: 3, kernel: "simd" }, () => {});
    expect(engine.info.threads).toBe(2);
    expect(said).toEqual(["1 of 3 threads did not start in time. The model runs on 2 threads."]);
    expect(ended).toBe(1);
    const { text } = await engine.generate(PROMPT, { ignoreEos: false }, () => {});
    expect(text.trim()).toBe(INTENT);
    await engine.close();
  });

  test("close ends a running generation, and what follows is refused", async () => {
    const other = await load(EMBEDDED_MODEL, { threads: 2, parallel: 1 });
    const running = other.generate(PROMPT, { ignoreEos: true });
    const waiting = other.generate(PROMPT);
    for await (const _ of running) void other.close();
    expect((await running).stopReason).toBe("cancelled");
    expect(await codeOf(waiting)).toBe("E_CLOSED");
    expect(await codeOf(other.generate(PROMPT))).toBe("E_CLOSED");
    await other.close();
  });

  test("await using closes", async () => {
    let kept: Phi;
    {
      await using other = await load();
      kept = other;
    }
    expect(await codeOf(kept.tokenize("x"))).toBe("E_CLOSED");
  });

  test("estimate agrees with what was loaded, and says what would fit", async () => {
    const { bytes, fits } = await estimate();
    expect(fits).toBe(true);
    expect(bytes.total).toBeGreaterThanOrEqual(bytes.weights + bytes.kv + bytes.scratch);
    expect(bytes.weights).toBe(phi.info.memory.pinnedBytes);
    const small = await estimate(EMBEDDED_MODEL, { ram: "2M" });
    expect(small.fits).toBe(false);
    expect(small.remedy).toMatch(/more|context/);
  });

  test("inspect reads the header", async () => {
    const model = await inspect();
    expect(model.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0)).toBe(model.parameters);
    expect(model.config).toEqual(phi.info.config);
  });
});
