import { describe, expect, it } from "vitest";
import { createWasiHost } from "../../devices/wasi/host.ts";
import { chooseKernels, examineKernels, kernelName, unsharedBuild } from "../../runtime/compute/builds.ts";
import { instantiateKernels } from "../../runtime/compute/instance.ts";
import type { Device, KernelBuild } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { bytesOfBuild } from "../checkasm.ts";
import { type Mutation, mutate, mutationsOf } from "../kernels/broken.ts";

const BUILDS: readonly KernelBuild[] = ["simd", "relaxed"];
const good = { simd: bytesOfBuild("simd"), relaxed: bytesOfBuild("relaxed") };

/** A device that has kernels and a WASI host, and nothing else. */
function deviceWith(files: Partial<Record<KernelBuild, Uint8Array | Error>> = {}, sharedMemory = true): Device {
  const kernel = async (build: KernelBuild): Promise<Uint8Array> => {
    const bytes = files[build] ?? good[build];
    if (bytes instanceof Error) throw bytes;
    return bytes;
  };
  return { sharedMemory, kernel, wasi: createWasiHost } as unknown as Device;
}

const failure = (promise: Promise<unknown>): Promise<PiPhiError> =>
  promise.then(
    () => Promise.reject(new Error("nothing was thrown")),
    (error: unknown) => (error instanceof PiPhiError ? error : Promise.reject(error)),
  );

const truncated = (build: KernelBuild): Uint8Array => good[build].slice(0, good[build].length >> 1);
const unknownInstruction = (): Uint8Array => {
  const [{ changes }] = mutationsOf(good.relaxed, "matmul_q4").filter(({ what }) => what.startsWith("fe12"));
  return mutate(good.relaxed, {
    what: "",
    changes: [
      [changes[0][0], 0xff],
      [changes[1][0], 0x7f],
    ],
  });
};

describe.each(BUILDS)("the unshared form of %s", (build) => {
  it("differs in one bit, and leaves its input alone", () => {
    const before = good[build].slice();
    const unshared = unsharedBuild(good[build]);
    const changed = [...unshared.keys()].filter((i) => unshared[i] !== before[i]);
    expect(changed.map((i) => unshared[i] ^ before[i])).toEqual([2]);
    expect(good[build]).toEqual(before);
  });

  it("runs on a memory that is not shared, which the shared form refuses", () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
    const instantiate = (bytes: Uint8Array) =>
      instantiateKernels(deviceWith(), new WebAssembly.Module(bytes as BufferSource), memory);
    expect(() => instantiate(good[build])).toThrow(WebAssembly.LinkError);
    const kernels = instantiate(unsharedBuild(good[build]));
    new Float32Array(memory.buffer, 65536, 4).set([0, 100, -100, 1]);
    kernels.gelu(65536, 4);
    expect(new Float32Array(memory.buffer, 65536, 2)).toEqual(Float32Array.from([0, 100]));
  });

  it("of something else is refused", () => {
    const empty = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    expect(() => unsharedBuild(empty)).toThrow(expect.objectContaining({ code: "E_ENGINE" }));
  });
});

describe.each([true, false])("choosing kernels, shared memory: %s", (shared) => {
  it("takes the relaxed build where it works", async () => {
    const choice = await chooseKernels(deviceWith({}, shared));
    expect(choice.build).toBe("relaxed");
    expect(choice.name).toBe(kernelName("relaxed", choice.form));
    expect(choice.module).toBeInstanceOf(WebAssembly.Module);
  });

  it.each([
    ["cannot be read", new Error("EIO")],
    ["is cut off", truncated("relaxed")],
    ["has an instruction that the engine does not know", unknownInstruction()],
  ])("falls back to simd when the relaxed build %s", async (_, relaxed) => {
    const choice = await chooseKernels(deviceWith({ relaxed }, shared));
    expect(choice).toMatchObject({ build: "simd", form: "pairs", name: "simd" });
  });

  it("says why when nothing works", async () => {
    const error = await failure(chooseKernels(deviceWith({ relaxed: truncated("relaxed"), simd: new Error("EIO") })));
    expect(error.code).toBe("E_ENGINE");
    expect(error.details.reasons).toEqual([expect.stringContaining("relaxed: "), "simd: EIO"]);
  });
});

it("takes what it is told to take", async () => {
  expect((await chooseKernels(deviceWith(), "simd")).name).toBe("simd");
  const error = await failure(chooseKernels(deviceWith({ relaxed: truncated("relaxed") }), "relaxed"));
  expect(error.details.reasons).toHaveLength(1);
});

describe("the self-test", () => {
  /** The first change of each kernel that hits an instruction of the kind. */
  const changeOf = (build: KernelBuild, name: string, what: RegExp): Mutation =>
    mutationsOf(good[build], name).find((mutation) => what.test(mutation.what))!;
  const anyDot = /^(fdba|fe12|fe13) /;
  const anyScale = /^fde6 /;

  it.each([
    ["simd", "matmul_q4", anyDot, "int4 pairs matmul"],
    ["simd", "matmul_q4m", anyScale, "int4+min pairs matmul"],
    ["simd", "matmul_q8", anyDot, "int8 matmul"],
    ["simd", "quantize_q4", anyScale, "8-bit quantizer"],
    ["simd", "quantize_q8", anyScale, "16-bit quantizer"],
    ["relaxed", "matmul_q4", anyDot, "int4 pairs matmul"],
    ["relaxed", "matmul_q4_sdot", anyDot, "int4 sdot matmul"],
    ["relaxed", "matmul_q4m", anyDot, "int4+min pairs matmul"],
    ["relaxed", "matmul_q4m_sdot", anyDot, "int4+min sdot matmul"],
  ] as const)("of %s notices a wrong %s", async (build, name, what, called) => {
    const broken = mutate(good[build], changeOf(build, name, what));
    const error = await failure(chooseKernels(deviceWith({ [build]: broken }), build));
    expect(error.code).toBe("E_ENGINE");
    expect(error.message).toContain(`The ${called} kernel gives wrong results`);
  });

  it("of a wrong relaxed build leads to simd", async () => {
    const relaxed = mutate(good.relaxed, changeOf("relaxed", "matmul_q4", anyDot));
    expect((await chooseKernels(deviceWith({ relaxed }))).name).toBe("simd");
  });

  it("that fails with the compiler's risks is repeated without them, on other bytes", async () => {
    const broken = mutate(good.relaxed, changeOf("relaxed", "matmul_q8", anyDot));
    let risky = true;
    const device: Device = {
      ...deviceWith(),
      kernel: async () => (risky ? broken : good.relaxed),
      retreat: () => risky && !(risky = false),
    };
    const { module, name } = await chooseKernels(device, "relaxed");
    expect(name).toMatch(/^relaxed-/);
    expect(WebAssembly.Module.customSections(module, "x")).toHaveLength(1);
    expect((await failure(chooseKernels({ ...device, kernel: async () => broken }, "relaxed"))).code).toBe("E_ENGINE");
  });

  it("reports a kernel that traps", async () => {
    const { changes } = mutationsOf(good.simd, "quantize_q8").find(({ what }) => what === "fd00 address")!;
    const simd = mutate(good.simd, { what: "", changes: changes.map(([at]) => [at, 0x7f]) });
    expect((await failure(chooseKernels(deviceWith({ simd }), "simd"))).code).toBe("E_ENGINE");
  });
});

describe("examining kernels", () => {
  it("reports every build and form with its speed", async () => {
    const reports = await examineKernels(deviceWith());
    expect(reports.map(({ name, ok }) => [name, ok])).toEqual([
      ["relaxed-pairs", true],
      ["relaxed-sdot", true],
      ["simd", true],
    ]);
    for (const { gigabytesPerSecond, reason } of reports) {
      expect(gigabytesPerSecond).toBeGreaterThan(0);
      expect(reason).toBeUndefined();
    }
  });

  it("reports what is broken beside what is not", async () => {
    const [relaxedPairs, , simd] = await examineKernels(deviceWith({ relaxed: truncated("relaxed") }));
    expect(relaxedPairs).toMatchObject({ ok: false, gigabytesPerSecond: 0, reason: expect.stringMatching(/\w/) });
    expect(simd.ok).toBe(true);
  });
});
