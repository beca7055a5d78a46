/**
 * How a build of the kernels is chosen: validated, proven against its scalar references on this very engine, timed, and
 * only then used.
 */

import type { KernelReport } from "../api.ts";
import type { Device, KernelBuild } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import type { DotForm, KernelChoice } from "./kernels.ts";
import { examine } from "./self-test.ts";

const BUILDS: readonly KernelBuild[] = ["relaxed", "simd"];
const FORMS: Record<KernelBuild, readonly DotForm[]> = { relaxed: ["pairs", "sdot"], simd: ["pairs"] };

export function kernelName(build: KernelBuild, form: DotForm): string {
  return build === "simd" ? "simd" : `relaxed-${form}`;
}

/**
 * The bytes of a build for a memory that is not shared: the only difference is the flag in the memory import.
 * Import section (id 2): vector of {module, field, kind}; a memory's limits begin with 0x03 when shared.
 */
export function unsharedBuild(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  let p = 8;
  const leb = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = copy[p++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const skipName = () => {
    const length = leb(); // first, since it moves p
    p += length;
  };
  while (p < copy.length) {
    const id = copy[p++];
    const size = leb();
    if (id !== 2) {
      p += size;
      continue;
    }
    for (let count = leb(); count > 0; count--) {
      skipName();
      skipName();
      const kind = copy[p++];
      if (kind === 2) {
        copy[p] &= ~2;
        return copy;
      }
      leb();
    }
  }
  throw new PiPhiError("E_ENGINE", "The kernels' file has no memory import. Reinstall PiPhi: its files are damaged.");
}

/** An empty custom section: the same code in other bytes, which no cache of compiled code knows. */
const CUSTOM_SECTION = [0, 2, 1, "x".charCodeAt(0)];

async function compile(device: Device, build: KernelBuild, again = false): Promise<WebAssembly.Module> {
  const file = await device.kernel(build);
  const bytes = again ? Uint8Array.from([...file, ...CUSTOM_SECTION]) : file;
  const form = device.sharedMemory ? bytes : unsharedBuild(bytes);
  if (!WebAssembly.validate(form as BufferSource)) {
    throw new PiPhiError("E_ENGINE", `This engine cannot compile the ${build} kernels.`);
  }
  return WebAssembly.compile(form as BufferSource);
}

/** Tests and times every build and form. */
export async function examineKernels(device: Device): Promise<KernelReport[]> {
  const reports: KernelReport[] = [];
  for (const build of BUILDS) {
    for (const form of FORMS[build]) {
      const name = kernelName(build, form);
      try {
        const module = await compile(device, build);
        reports.push({ name, ok: true, gigabytesPerSecond: examine(device, module, [form])[0] });
      } catch (error) {
        reports.push({ name, ok: false, gigabytesPerSecond: 0, reason: PiPhiError.from(error).message });
      }
    }
  }
  return reports;
}

/** The fastest build that this engine accepts and that passes its self-test; `only` restricts the choice. */
export async function chooseKernels(device: Device, only?: KernelBuild): Promise<KernelChoice> {
  const reasons: string[] = [];
  for (const build of only ? [only] : BUILDS) {
    try {
      const { module, speeds } = await prove(device, build);
      const form = FORMS[build][speeds.indexOf(Math.max(...speeds))];
      return { build, form, module, name: kernelName(build, form) };
    } catch (error) {
      if (error instanceof PiPhiError && error.code === "E_MEMORY") throw error;
      reasons.push(`${build}: ${PiPhiError.from(error).message.replace(/\.$/, "")}`);
    }
  }
  throw new PiPhiError("E_ENGINE", `The kernels do not run here: ${obstacle(reasons)}`, { reasons });
}

/** The smallest module with a 128-bit vector: (func (result v128) i32.const 0, i8x16.splat). */
const SIMD_MODULE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
];

/** What the engine lacks, and what to do. */
function obstacle(reasons: readonly string[]): string {
  if (typeof WebAssembly === "undefined") {
    return "this engine has WebAssembly turned off. Start it without --jitless, or without the browser's lockdown mode.";
  }
  if (reasons.some((reason) => /content.security.policy|unsafe-eval|blocked by CSP/i.test(reason))) {
    return "the page's Content-Security-Policy forbids WebAssembly. Add 'wasm-unsafe-eval' to its script-src.";
  }
  if (!WebAssembly.validate(Uint8Array.from(SIMD_MODULE))) {
    return "this engine or processor has no WebAssembly SIMD. It takes Node 20, Chrome 91, Firefox 89 or Safari 16.4, and on x64 a processor with SSE4.1.";
  }
  return `${reasons.join("; ")}. Update the engine, and report this if it is the newest: piphi doctor shows more.`;
}

/** Compiles and examines a build; once more without the compiler's risks where the self-test fails with them. */
async function prove(device: Device, build: KernelBuild): Promise<{ module: WebAssembly.Module; speeds: number[] }> {
  const attempt = async (again: boolean) => {
    const module = await compile(device, build, again);
    return { module, speeds: examine(device, module, FORMS[build]) };
  };
  try {
    return await attempt(false);
  } catch (error) {
    if (!device.retreat?.()) throw error;
    return attempt(true);
  }
}
