/** Plans for devices that are not this one. */

import { expect, onTestFinished, test, vi } from "vitest";
import { engineBytes } from "../../devices/node/device.ts";
import { DEVICE_IDS, estimate, estimateOn, TARGETS } from "../../devices/node/index.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";

test.each(DEVICE_IDS)("Phi-2 on %s: a plan within its memory and a speed, or what it would need", async (id) => {
  const plan = await estimateOn(id);
  const target = TARGETS.find((one) => one.id === plan.device)!;
  expect(plan.model).toContain("Phi-2");
  expect(plan.ramBytes).toBe(target.totalBytes);
  expect(plan.layers.pinned + plan.layers.streamed).toBe(32);
  if (!plan.fits) {
    expect(plan).toMatchObject({ predictedTokensPerSecond: null, remedy: expect.stringMatching(/MiB/) });
    return;
  }
  expect(plan.bytes.total).toBeLessThan(target.usableBytes);
  expect(plan.predictedTokensPerSecond).toBeGreaterThan(0);
  expect(plan.predictedTokensPerSecond).toBeLessThan(100);
  const page = target.profile.kind === "webview";
  if (page) expect(plan).toMatchObject({ threads: 1, mode: "resident" });
  else expect(plan.mode === "streamed").toBe(plan.streamedBytesPerToken > 0);
});

test("options change the plan: memory, context, threads", async () => {
  const whole = await estimateOn("pi-4-4gb");
  const tight = await estimateOn("pi-4-4gb", undefined, { ram: "600M", contextLength: 256, threads: 2 });
  expect(whole).toMatchObject({ device: "pi-4-4gb", mode: "mapped", threads: 4 });
  expect(tight).toMatchObject({ mode: "streamed", contextLength: 256, threads: 2 });
  expect(tight.predictedTokensPerSecond!).toBeLessThan(whole.predictedTokensPerSecond!);
  expect((await estimateOn("ios-8gb", undefined, { contextLength: 2048 })).fits).toBe(false);
  expect((await estimateOn("ios-8gb")).contextLength).toBe(1024);
  // Without shared memory there is one thread, whatever is asked for.
  expect((await estimateOn("ios-8gb", undefined, { threads: 4 })).threads).toBe(1);
});

test("a model of one's own is planned from its header", async () => {
  const file = temporaryFile("own.gguf", randomModel());
  for (const id of ["pi-zero-2-w", "ios-4gb"]) {
    expect(await estimateOn(id, file)).toMatchObject({ fits: true, model: file, device: id });
  }
  // What `run` would not pack is not planned as a pack either.
  expect(await estimateOn("pi-5", file)).toMatchObject({ mode: "resident" });
  expect(await estimate(file, { pack: true })).toMatchObject({ mode: "resident" });
  await expect(estimateOn("pi-5", "no-such.gguf")).rejects.toMatchObject({ code: "E_NOT_FOUND" });
});

test("an unknown device is wrong usage, with those that there are", async () => {
  await expect(estimateOn("pi-6")).rejects.toMatchObject({
    code: "E_USAGE",
    message: expect.stringContaining("pi-5-8gb"),
    details: { device: "pi-6" },
  });
});

test("on this machine the model's own storage is measured, where weights would be streamed", async () => {
  const file = temporaryFile("wide.gguf", randomModel({ hiddenSize: 512, layers: 40, heads: 8 }));
  const inMemory = await estimate(file, { pack: true, threads: 1 });
  expect(inMemory).toMatchObject({ mode: "mapped", predictedFrom: expect.not.stringContaining("measured") });
  // The weights take 71 MB; half of them is left beside what the process has and what its engine takes.
  const rss = vi.spyOn(process.memoryUsage, "rss").mockReturnValue(100e6);
  onTestFinished(() => rss.mockRestore());
  const ram = 100e6 + engineBytes(1) + 37e6;
  const streamed = await estimate(file, { pack: true, threads: 1, ram });
  expect(streamed).toMatchObject({ mode: "streamed", predictedFrom: expect.stringContaining("MB/s measured here") });
  expect(streamed.predictedTokensPerSecond).toBeGreaterThan(0);
});
