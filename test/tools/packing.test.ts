/** `piphi pack`, `piphi plan`, and how commands load a model through its pack. */

import { expect, test } from "vitest";
import type { LoadOptions } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { piphi } from "./fake.ts";

test("pack names the file it made, with its size", async () => {
  const { code, stdout, call } = await piphi(["pack", "a.gguf", "b.gguf", "--dense", "exact"]);
  expect([code, stdout]).toEqual([0, "b.gguf  1.64 GB\n"]);
  expect(call("packFile")).toMatchObject({ input: "a.gguf", options: { output: "b.gguf", dense: "exact" } });
  expect(JSON.parse((await piphi(["pack", "a.gguf", "b.gguf", "--json"])).stdout)).toEqual({
    pack: "b.gguf",
    bytes: 1_636_958_208,
  });
});

test("pack --check reports a sound pack, and fails for another", async () => {
  expect((await piphi(["pack", "--check", "b.gguf"])).stdout).toBe("b.gguf is sound.\n");
  const loadError = new PiPhiError("E_FILE_CORRUPT", "b.gguf is damaged. Pack the model again.");
  const { code, stdout, stderr } = await piphi(["pack", "--check", "b.gguf"], { loadError });
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toBe("error: b.gguf is damaged. Pack the model again. [E_FILE_CORRUPT]\n");
});

test.each([
  [["pack"], "Name the file to pack"],
  [["pack", "a.gguf"], "Name the pack to make"],
  [["pack", "--check", "a.gguf", "b.gguf"], 'Unexpected argument "b.gguf"'],
  [["pack", "a.gguf", "b.gguf", "c.gguf"], 'Unexpected argument "c.gguf"'],
])("%j is wrong usage", async (args, message) => {
  const { code, stderr } = await piphi(args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test("plan shows where the bytes go, and the remedy where they do not fit", async () => {
  const { stdout, call } = await piphi(["plan", "a.gguf", "--ram", "1G", "--ctx", "512"]);
  expect(stdout).toContain("12 stay in memory, 20 are streamed");
  expect(stdout).toContain("776 MB");
  expect(call("estimate")).toMatchObject({
    input: "a.gguf",
    options: { ram: "1G", contextLength: 512, pack: true },
  });
  const small = await piphi(["plan"], { estimate: { fits: false, remedy: "Free 120 MiB more." } });
  expect(small.stdout).toMatch(/fits +no[\s\S]*\nFree 120 MiB more\.\n$/);
  expect(JSON.parse((await piphi(["plan", "--json"])).stdout)).toMatchObject({ fits: true, mode: "streamed" });
});

test("plan shows the speed as a prediction, and none where there is none", async () => {
  expect((await piphi(["plan", "a.gguf"])).stdout).toMatch(/decode +0\.91 tok\/s, predicted and not measured\n/);
  expect((await piphi(["plan"], { estimate: { predictedTokensPerSecond: null } })).stdout).not.toContain("decode");
});

test("plan --device plans for another device, Phi-2 where no model is named", async () => {
  const { stdout, call } = await piphi(["plan", "--device", "pi", "--ram", "1G"]);
  expect(call("estimateOn")).toMatchObject({ input: undefined, options: { device: "pi", ram: "1G" } });
  expect(call("estimateOn")?.options).not.toHaveProperty("pack");
  expect(stdout).toMatchSnapshot();
  const json = await piphi(["plan", "a.gguf", "--device", "pi-4gb", "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ device: "pi-4gb", model: "a.gguf", fits: true, threads: 4 });
});

test("plan --device all is a table, with the reasons below it", async () => {
  const { stdout, calls } = await piphi(["plan", "--device", "all"]);
  expect(calls.map(({ options }) => options.device)).toEqual(["pi-zero", "pi-4gb"]);
  expect(stdout).toMatchSnapshot();
  const { model, devices } = JSON.parse((await piphi(["plan", "--device", "all", "--json"])).stdout);
  expect([model, devices.length, devices[0].remedy]).toEqual(["Phi-2", 2, "Free 120 MiB more."]);
});

test.each([
  ["pi-5gb", 'Did you mean "pi-4gb"?'],
  ["al", 'Did you mean "all"?'],
  ["toaster", "Choose one of pi, pi-4gb, pi-zero, or all."],
])("plan --device %s is wrong usage", async (device, hint) => {
  const { code, stderr } = await piphi(["plan", "--device", device]);
  expect(code).toBe(2);
  expect(stderr).toContain(hint);
});

test("--stats tells what stays of a model that is streamed", async () => {
  const memory = { mode: "streamed", pinnedBytes: 229_000_000, streamedBytesPerToken: 1_200_000_000 } as const;
  const { stderr } = await piphi(["run", "a.gguf", "hi", "--stats"], { memory });
  expect(stderr).toContain("peak 81.2 MB, 229 MB of weights stay, 1.20 GB streamed a token\n");
});

test("models are packed on their first run, which says so; --no-pack keeps them in memory", async () => {
  const duringLoad = async ({ onProgress }: LoadOptions) => {
    onProgress?.({ phase: "pack", loadedBytes: 1, totalBytes: 1_640_000_000 });
  };
  const { stderr, call } = await piphi(["run", "a.gguf", "hi"], { duringLoad });
  expect(stderr).toBe("Packed a.gguf into the store, 1.64 GB: used from now on.\n");
  expect(call("load")).toMatchObject({ options: { pack: true } });
  expect((await piphi(["run", "a.gguf", "hi", "--no-pack"])).call("load")).toMatchObject({ options: { pack: false } });
});

test.each(["E_CANCELLED", "E_DISK_FULL"] as const)(
  "packing that ends with %s does not say that it packed",
  async (code) => {
    const duringLoad = async ({ onProgress, ...asked }: LoadOptions & { pack?: boolean }) => {
      if (!asked.pack) return;
      onProgress?.({ phase: "pack", loadedBytes: 1, totalBytes: 1_640_000_000 });
      throw new PiPhiError(code, "It ended.");
    };
    expect((await piphi(["run", "a.gguf", "hi"], { duringLoad })).stderr).not.toContain("Packed");
  },
);

test.each(["E_DISK_FULL", "E_FILE_WRITE"] as const)(
  "%s of the store: a warning, and the weights in memory",
  async (code) => {
    const options: LoadOptions[] = [];
    const duringLoad = async (asked: LoadOptions & { pack?: boolean }) => {
      options.push(asked);
      if (asked.pack) throw new PiPhiError(code, "The store cannot be written.");
    };
    const { code: exit, stderr, stdout } = await piphi(["run", "a.gguf", "hi"], { duringLoad });
    expect(exit).toBe(0);
    expect(stdout).not.toBe("");
    expect(stderr).toContain("warning: The store cannot be written.\nThe weights are kept in memory this time.\n");
    expect(options).toMatchObject([{ pack: true }, { pack: false }]);
  },
);
