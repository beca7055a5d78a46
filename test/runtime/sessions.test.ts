/** Sessions: texts that go on where they were left, from a file too, and files that are not what they should be. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { load, type Phi, packFile, type Session } from "../../devices/node/index.ts";
import type { Device } from "../../runtime/device.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const CONTEXT = 128;
const MODEL = { contextLength: 256, peaked: 5 };
const PROMPT = "the light and the light and";
const START = { ignoreEos: true, maxTokens: 30 };
/** Past the context: 400 tokens of which 320 have gone. */
const LONG = { ignoreEos: true, maxTokens: 400, overflow: "roll" } as const;

const codeOf = (act: () => PromiseLike<unknown>) =>
  Promise.resolve(act()).then(
    () => "no error",
    (error) => (error instanceof PiPhiError ? error.code : error),
  );

let source: string;
let phi: Phi;
beforeAll(async () => {
  source = temporaryFile("sessions.gguf", randomModel(MODEL));
  phi = await load(source, { contextLength: CONTEXT });
});
afterAll(() => phi.close());

/** What follows all that a session has: the same with the same keys and values. */
const goOn = async (session: Session) => {
  const { tokens, cachedTokens } = await session.generate([...(await session.tokens()), 7], { ...LONG, maxTokens: 60 });
  return { tokens, cachedTokens };
};

describe("a session that was saved", () => {
  test.each([
    ["before the context is full", START],
    ["after it has rolled", LONG],
  ])("goes on in another engine as if nothing had been, %s", async (_, options) => {
    for (const kv of ["int8", "f16"] as const) {
      const file = temporaryPath(`session-${kv}.piphi`);
      await using own = await load(source, { contextLength: CONTEXT, kv });
      const session = await own.session();
      await session.generate(PROMPT, options);
      const held = await session.tokens();
      expect(await session.save(file, { note: "mine" })).toBe(readFileSync(file).length);
      const expected = await goOn(session);
      expect(expected.cachedTokens).toBe(held.length);
      await using other = await load(source, { contextLength: CONTEXT, kv, threads: 1 });
      await other.generate("something else"); // in the same sequence
      const restored = await other.restore(file);
      expect(restored).toMatchObject({ note: "mine", prefix: "" });
      expect(await restored.tokens()).toEqual(held);
      expect(await goOn(restored)).toEqual(expected);
    }
  });

  test("restores from bytes, and from packs of the same model, mapped and read", async () => {
    const session = await phi.session();
    await session.generate(PROMPT, LONG);
    const bytes = await session.export();
    const expected = await goOn(session);
    expect(await goOn(await phi.restore(bytes))).toEqual(expected);
    const pack = temporaryPath("sessions.pack.gguf");
    await packFile(source, pack);
    await using packed = await load(pack, { contextLength: CONTEXT });
    expect(packed.info.memory.mode).toBe("mapped");
    expect(await goOn(await packed.restore(bytes))).toEqual(expected);
    expect(await codeOf(async () => phi.restore(await (await packed.session()).export()))).toBe("no error");
  });

  test("fits into a longer context, and into a shorter one that holds its tokens", async () => {
    const session = await phi.session();
    await session.generate(PROMPT, START);
    const bytes = await session.export();
    const expected = (await session.generate([...(await session.tokens()), 7], START)).tokens;
    for (const contextLength of [256, 96]) {
      await using other = await load(source, { contextLength });
      const restored = await other.restore(bytes);
      const { tokens, cachedTokens } = await restored.generate([...(await restored.tokens()), 7], START);
      expect(cachedTokens).toBeGreaterThan(30);
      expect(tokens).toEqual(expected);
    }
    await using small = await load(source, { contextLength: 33 });
    const refused = small.restore(bytes);
    await expect(refused).rejects.toMatchObject({
      code: "E_CONTEXT",
      message: expect.stringMatching(/contextLength: \d+/),
    });
  });
});

describe("sessions beside each other", () => {
  test.each([1, 2])("do not disturb each other in %i caches", async (parallel) => {
    await using own = await load(source, { contextLength: CONTEXT, parallel });
    const alone = async (prompt: string) => (await own.generate(prompt, LONG)).tokens;
    const prompts = ["the light", "and the", "in the light"];
    const expected = await Promise.all(prompts.map(alone));
    const sessions = await Promise.all(prompts.map(() => own.session()));
    const texts = prompts.map((): number[] => []);
    for (let round = 0; round < 8; round++) {
      for (const [i, session] of sessions.entries()) {
        const so = round === 0 ? prompts[i] : [...(await own.tokenize(prompts[i])).ids, ...texts[i]];
        const { tokens, cachedTokens, promptTokens } = await session.generate(so, { ...LONG, maxTokens: 50 });
        if (round > 0) expect(cachedTokens).toBe(promptTokens - 1); // put aside, not read again
        texts[i].push(...tokens);
      }
      await own.generate("something else", { maxTokens: 3 });
      if (round === 3) await own.generateAll(["a", "b", "c"], { maxTokens: 3 });
    }
    expect(texts).toEqual(expected);
  });

  test("a prefix is read once, and begins every text", async () => {
    const prefix = "and the light in the light";
    const session = await phi.session({ prefix });
    const { ids } = await phi.tokenize(prefix);
    const { ids: more } = await phi.tokenize(" a");
    const { tokens } = await phi.generate([...ids, ...more], START);
    const result = await session.generate(" a", START);
    expect(result).toMatchObject({ tokens, promptTokens: ids.length + more.length, cachedTokens: ids.length });
    expect((await session.generate(more, START)).tokens).toEqual(tokens);
    const messages = [{ role: "user", content: "the light" }] as const;
    const system = { role: "system", content: prefix } as const;
    const answer = await session.chat(messages, START);
    expect(answer.tokens).toEqual((await phi.chat([system, ...messages], START)).tokens);
    expect(answer.cachedTokens).toBeGreaterThanOrEqual(ids.length);
    const restored = await phi.restore(await session.export());
    expect(restored.prefix).toBe(prefix);
    expect((await restored.generate(" a", START)).tokens).toEqual(tokens);
    expect(await codeOf(() => phi.session({ prefix: "a ".repeat(200) }))).toBe("E_PROMPT_TOO_LONG");
    expect(await codeOf(() => phi.session({ prefix: 7 as unknown as string }))).toBe("E_USAGE");
  });

  test("a closed session is refused, another goes on", async () => {
    const [one, two] = [await phi.session(), await phi.session()];
    await one.generate(PROMPT, START);
    await two.generate(PROMPT, START);
    await one.close();
    await one.close();
    for (const act of [() => one.generate("a"), () => one.tokens(), () => one.export(), () => one.save("x")]) {
      expect(await codeOf(act)).toBe("E_CLOSED");
    }
    expect((await two.tokens()).length).toBeGreaterThan(30);
    const other = await load(source);
    const session = await other.session();
    await other.close();
    await session.close();
    expect(await codeOf(() => session.tokens())).toBe("E_CLOSED");
  });
});

describe("files that are not what they should be", () => {
  let bytes: Uint8Array;
  const restore = (from: Uint8Array) => codeOf(() => phi.restore(from));
  beforeAll(async () => {
    const session = await phi.session();
    await session.generate(PROMPT, { ...LONG, maxTokens: 150 });
    bytes = await session.export({ note: "a note" });
  });

  test("cut anywhere", async () => {
    for (const length of [0, 1, 7]) expect(await restore(bytes.slice(0, length))).toBe("E_NOT_SESSION");
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 8, max: bytes.length - 1 }), async (length) => {
        expect(await restore(bytes.slice(0, length))).toBe("E_FILE_TRUNCATED");
      }),
    );
    expect(await restore(Uint8Array.from([...bytes, 0]))).toBe("E_FILE_CORRUPT");
  });

  test("with any bit flipped", async () => {
    const codes = ["E_NOT_SESSION", "E_SESSION_VERSION", "E_FILE_TRUNCATED", "E_FILE_CORRUPT"];
    const places = fc.oneof(fc.nat(400), fc.nat(bytes.length - 1));
    await fc.assert(
      fc.asyncProperty(places, fc.nat(7), async (at, bit) => {
        const flipped = bytes.slice();
        flipped[at] ^= 1 << bit;
        expect(codes).toContain(await restore(flipped));
      }),
    );
    expect(await restore(bytes)).toBe("no error");
  });

  test("of another version, another model, another precision, another cache", async () => {
    const later = bytes.slice();
    later[8] = 2;
    expect(await restore(later)).toBe("E_SESSION_VERSION");
    const dense = { type: "F16", seed: 3 };
    const [other, f16] = [randomModel({ ...MODEL, seed: 2 }), randomModel({ ...MODEL, ...dense })];
    await using stranger = await load(temporaryFile("other.gguf", other), { contextLength: CONTEXT });
    const refused = stranger.restore(bytes);
    await expect(refused).rejects.toMatchObject({
      code: "E_SESSION_MODEL",
      message: expect.stringMatching(/random phi 1/),
    });
    await using half = await load(source, { contextLength: CONTEXT, kv: "f16" });
    await expect(half.restore(bytes)).rejects.toMatchObject({ code: "E_SESSION_KV", details: { kv: "int8" } });
    const file = temporaryFile("f16.gguf", f16);
    await using exact = await load(file, { dense: "exact" });
    await using rounded = await load(file, { dense: "int8" });
    const session = await exact.session({ prefix: "a" });
    expect(await codeOf(async () => rounded.restore(await session.export()))).toBe("E_SESSION_MODEL");
  });

  test("missing, a folder, a model, or no path at all", async () => {
    const folder = path.dirname(source);
    expect(await codeOf(() => phi.restore(path.join(folder, "none")))).toBe("E_NOT_FOUND");
    expect(await codeOf(() => phi.restore(folder))).toBe("E_FILE_READ");
    expect(await codeOf(() => phi.restore(source))).toBe("E_NOT_SESSION");
    expect(await codeOf(() => phi.restore(7 as unknown as string))).toBe("E_USAGE");
  });

  test("leave the sessions that there are as they were", async () => {
    const session = await phi.session();
    await session.generate(PROMPT, START);
    const [expected, again] = [await session.export(), bytes.slice()];
    again[again.length - 100] ^= 1;
    expect(await restore(again)).toBe("E_FILE_CORRUPT");
    expect(await session.export()).toEqual(expected);
  });
});

describe("saving that fails", () => {
  const folder = () => readdirSync(path.dirname(source));

  test("leaves the old file as it was, and the session to be saved again", async () => {
    const file = temporaryPath("kept.piphi");
    writeFileSync(file, "the old one");
    let left = 5;
    const node = nodeDevice();
    const full = new PiPhiError("E_DISK_FULL", "The disk is full.");
    const device: Device = {
      ...node,
      create: (name, write) =>
        node.create!(name, (sink) =>
          write({
            ...sink,
            write(offset, part) {
              if (left-- === 0) throw full;
              sink.write(offset, part);
            },
          }),
        ),
    };
    const engine = await Engine.load(device, source, { contextLength: CONTEXT }, () => {});
    try {
      const { session } = await engine.sessions.begin("the light");
      const before = folder();
      expect(await codeOf(() => engine.sessions.save(session, file, ""))).toBe("E_DISK_FULL");
      expect(readFileSync(file, "utf8")).toBe("the old one");
      expect(folder()).toEqual(before);
      expect(await engine.sessions.save(session, file, "")).toBe(readFileSync(file).length);
      expect(await codeOf(() => engine.sessions.restore(file))).toBe("no error");
    } finally {
      engine.close();
    }
  });

  test("what a process that was killed left of it goes with the next save", async () => {
    const file = temporaryPath("again.piphi");
    const { create } = nodeDevice();
    let left = "";
    await create!(file, async () => {
      const own = folder().find((name) => name.startsWith("again.piphi.") && name.endsWith(".part"))!;
      const { pid: gone } = spawnSync(process.execPath, ["-e", ""]);
      left = own.replace(`.${process.pid}-`, `.${gone}-`);
    });
    writeFileSync(path.join(path.dirname(file), left), "half a session");
    const session = await phi.session();
    await session.save(file);
    expect(folder().filter((name) => name.startsWith("again.piphi"))).toEqual(["again.piphi"]);
  });

  test("where nothing can be written", async () => {
    const session = await phi.session();
    expect(await codeOf(() => session.save(temporaryPath("no/folder/x")))).toBe("E_FILE_WRITE");
    expect(await codeOf(() => session.save(path.dirname(source)))).toBe("E_FILE_WRITE");
    expect(await codeOf(() => session.save(""))).toBe("E_USAGE");
    expect(await codeOf(() => session.save("x", { note: 7 as unknown as string }))).toBe("E_USAGE");
  });

  test("a cancel between two layers leaves nothing behind", async () => {
    const file = temporaryPath("cancelled.piphi");
    let engine: Engine | undefined;
    const node = nodeDevice();
    const cancelling =
      (after: number): Device["create"] =>
      (name, write) =>
        node.create!(name, (sink) => {
          let writes = 0;
          const count = (offset: number, part: Uint8Array) => {
            if (++writes === after) engine!.cancel();
            sink.write(offset, part);
          };
          return write({ ...sink, write: count });
        });
    const device = { ...node, create: cancelling(4) };
    engine = await Engine.load(device, source, { contextLength: CONTEXT }, () => {});
    try {
      const { session } = await engine.sessions.begin("the light");
      const before = folder();
      expect(await codeOf(() => engine!.sessions.save(session, file, ""))).toBe("E_CANCELLED");
      expect(folder()).toEqual(before);
      expect(existsSync(file)).toBe(false);
      const bytes = await engine.sessions.export(session, "");
      expect(await engine.sessions.restore(bytes)).toMatchObject({ note: "" });
    } finally {
      engine.close();
    }
  });

  test("a signal ends what a session waits for", async () => {
    expect(await codeOf(() => phi.session({ signal: AbortSignal.abort() }))).toBe("E_CANCELLED");
    const session = await phi.session();
    const running = session.generate(PROMPT, { ...LONG, maxTokens: 100_000 });
    const controller = new AbortController();
    const waiting = codeOf(() => session.save(temporaryPath("never"), { signal: controller.signal }));
    controller.abort();
    expect(await waiting).toBe("E_CANCELLED");
    for await (const _ of running) break;
    const { stopReason, tokens } = await running;
    expect(stopReason).toBe("cancelled");
    const held = await session.tokens();
    expect([...(await phi.tokenize(PROMPT)).ids, ...tokens].slice(0, held.length)).toEqual(held);
    expect((await session.generate(PROMPT, START)).generatedTokens).toBe(30);
  });
});
