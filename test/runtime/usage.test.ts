/** What callers pass that is no option: E_USAGE, and never an error of JavaScript's own. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { checkPack, estimate, load, type Phi, packFile, type Session } from "../../devices/node/index.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

let file: string;
let phi: Phi;
let session: Session;
beforeAll(async () => {
  file = temporaryFile("usage.gguf", randomModel());
  phi = await load(file, { threads: 1 });
  session = await phi.session();
});
afterAll(() => phi.close());

const calls: Record<string, (options: never) => unknown> = {
  load: (options) => load(file, options),
  estimate: (options) => estimate(file, options),
  packFile: (options) => packFile(file, temporaryPath("usage.pack.gguf"), options),
  checkPack: (options) => checkPack(file, options),
  generate: (options) => phi.generate("a", options),
  chat: (options) => phi.chat([{ role: "user", content: "a" }], options),
  generateAll: (options) => phi.generateAll(["a"], options),
  score: (options) => phi.score("a", options),
  session: (options) => phi.session(options),
  restore: (options) => phi.restore(new Uint8Array(), options),
  "session.generate": (options) => session.generate("a", options),
  "session.chat": (options) => session.chat([{ role: "user", content: "a" }], options),
  "session.save": (options) => session.save(temporaryPath("usage.piphi"), options),
  "session.export": (options) => session.export(options),
};

test.each(Object.keys(calls))("%s", async (name) => {
  for (const options of [null, 1, "x", { signal: 1 }, { signal: null }]) {
    const call = async () => calls[name](options as never);
    await expect(call(), JSON.stringify(options)).rejects.toMatchObject({ name: "PiPhiError", code: "E_USAGE" });
  }
});

test.each(["load", "packFile", "checkPack"])("%s: a listener that cannot be called", async (name) => {
  const call = async () => calls[name]({ onProgress: 1 } as never);
  await expect(call()).rejects.toMatchObject({ code: "E_USAGE", message: expect.stringMatching(/onProgress/) });
});

test("ids with one missing", async () => {
  // biome-ignore lint/suspicious/noSparseArray: it is the point
  const sparse = [65, , 67] as number[];
  for (const call of [() => phi.generate(sparse), () => phi.score(sparse), () => phi.detokenize(sparse)]) {
    await expect((async () => call())()).rejects.toMatchObject({ code: "E_USAGE", details: { at: 1 } });
  }
});
