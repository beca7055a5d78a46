import { WASI } from "node:wasi";
import { describe, expect, it } from "vitest";
import { createWasiHost } from "../../devices/wasi/host.ts";
import { instantiateKernels } from "../../runtime/compute/instance.ts";
import type { Kernels } from "../../runtime/compute/kernels.ts";
import type { Device } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { TILE_KINDS } from "../../runtime/weights/tiles.ts";
import { bytesOfBuild } from "../checkasm.ts";

const Q4_0 = 2;
const Q8_0 = 8;
const newMemory = () => new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const thrownBy = (work: () => unknown): PiPhiError => {
  try {
    work();
  } catch (error) {
    if (error instanceof PiPhiError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe.each(["simd", "relaxed"] as const)("an assertion in the %s kernels", (build) => {
  const device = { wasi: createWasiHost } as unknown as Device;
  const kernels = instantiateKernels(device, new WebAssembly.Module(bytesOfBuild(build) as BufferSource), newMemory());
  const retile = (type: number, rows: number): number =>
    kernels.retile(type, TILE_KINDS.indexOf("q4"), 0x10000, rows, 32, 0x20000, 0x30000);

  it("becomes a PiPhiError with the abort's text, file and line", () => {
    const error = thrownBy(() => retile(Q8_0, 16));
    expect(error.code).toBe("E_KERNEL");
    expect(error.message).toMatch(/^A kernel stopped: abort: .*in kernels\/retile\.ts\(\d+:\d+\)\./);
    expect(error.message).toMatch(/Please report this as a bug\.$/);
    expect(error.details.message).toContain("kernels/retile.ts");
    expect(error.details.code).not.toBe(0);
  });

  it("is told anew each time, and leaves the kernels usable", () => {
    const [first, second] = [1, 2].map(() => thrownBy(() => retile(Q8_0, 16)).message);
    expect(second).toBe(first);
    expect(retile(Q4_0, 16)).toBe(0);
    expect(thrownBy(() => retile(Q4_0, 17)).message).not.toBe(first);
  });
});

describe("fd_write", () => {
  const memory = newMemory();
  const { imports } = createWasiHost(memory);
  const { fd_write, proc_exit } = imports.wasi_snapshot_preview1 as unknown as {
    fd_write(fd: number, vectors: number, count: number, written: number): number;
    proc_exit(code: number): never;
  };
  const [VECTORS, WRITTEN, TEXT] = [64, 128, 256];

  /** Puts texts and their vectors into memory. */
  function place(texts: readonly string[]): void {
    const view = new DataView(memory.buffer);
    let at = TEXT;
    for (const [i, text] of texts.entries()) {
      const bytes = new TextEncoder().encode(text);
      new Uint8Array(memory.buffer).set(bytes, at);
      view.setUint32(VECTORS + 8 * i, at, true);
      view.setUint32(VECTORS + 8 * i + 4, bytes.length, true);
      at += bytes.length + 3;
    }
  }
  const written = (): number => new DataView(memory.buffer).getUint32(WRITTEN, true);

  it("gathers several vectors and calls, counts bytes, and hands all to the error", () => {
    place(["abort: ", "", "größer", " than 3\n"]);
    expect(fd_write(2, VECTORS, 4, WRITTEN)).toBe(0);
    expect(written()).toBe(7 + 8 + 8);
    expect(fd_write(2, VECTORS, 1, WRITTEN)).toBe(0);
    const error = thrownBy(() => proc_exit(255));
    expect(error).toMatchObject({ code: "E_KERNEL", details: { code: 255, message: "abort: größer than 3\nabort:" } });
  });

  it("forgets what an earlier error has told", () => {
    const error = thrownBy(() => proc_exit(3));
    expect(error.message).toBe("A kernel stopped: exit 3. Please report this as a bug.");
  });

  it.each([0, 1, 3, -1])("refuses file descriptor %i with EBADF and writes nothing", (fd) => {
    place(["lost"]);
    new DataView(memory.buffer).setUint32(WRITTEN, 0xabcdef, true);
    expect(fd_write(fd, VECTORS, 1, WRITTEN)).toBe(8);
    expect(written()).toBe(0xabcdef);
    expect(thrownBy(() => proc_exit(1)).details.message).toBe("");
  });
});

it("the kernels are a WASI reactor that other hosts can run", () => {
  const memory = newMemory();
  const wasi = new WASI({ version: "preview1" });
  const module = new WebAssembly.Module(bytesOfBuild("simd") as BufferSource);
  const instance = new WebAssembly.Instance(module, {
    ...wasi.getImportObject(),
    env: { memory },
  } as WebAssembly.Imports);
  expect(() => wasi.initialize(instance)).not.toThrow();
  const { gelu } = instance.exports as unknown as Kernels;
  new Float32Array(memory.buffer, 0x10000, 1)[0] = 100;
  gelu(0x10000, 4);
  expect(new Float32Array(memory.buffer, 0x10000, 1)[0]).toBe(100);
});

it("a module without _initialize is started too", () => {
  const empty = new WebAssembly.Module(Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  expect(() => createWasiHost(newMemory()).start(new WebAssembly.Instance(empty))).not.toThrow();
});
