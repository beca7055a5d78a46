/** What the heavy checks need of the machine: root on Linux, control groups, mounts, a model of some size. */

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryPath } from "../fixtures/temporary.ts";

/** Why the checks cannot run here; undefined if they can. */
export const unable =
  process.platform !== "linux"
    ? "they need Linux"
    : process.getuid?.() !== 0
      ? "they need root, for control groups and mounts: sudo npm run check:faults"
      : undefined;

const ROOT = new URL("../../", import.meta.url);
export const CLI = fileURLToPath(new URL("dist/tools/cli.js", ROOT));
const LIBRARY = new URL("dist/devices/node/index.js", ROOT).href;

/** A model of Phi-2's widths with random weights. */
export function makeModel(layers: number): string {
  const file = temporaryPath(`phi2-${layers}.gguf`);
  const tool = fileURLToPath(new URL("tools/bench/make-phi2.mjs", ROOT));
  const args = [tool, file, "--layers", `${layers}`, "--context", "1024"];
  execFileSync(process.execPath, args, { stdio: "ignore" });
  return file;
}

const V1 = "/sys/fs/cgroup/memory";
let groups = 0;

/** A control group with a memory limit. Page cache counts, as it does on a small board. */
export class Group {
  readonly folder: string;
  private readonly v1 = existsSync(V1);

  constructor(limitBytes: number) {
    this.folder = path.join(this.v1 ? V1 : "/sys/fs/cgroup", `piphi-check-${process.pid}-${groups++}`);
    mkdirSync(this.folder);
    writeFileSync(path.join(this.folder, this.v1 ? "memory.limit_in_bytes" : "memory.max"), `${limitBytes}`);
  }

  /** Processes that the system ended because the limit was met. */
  get killed(): number {
    const text = readFileSync(path.join(this.folder, this.v1 ? "memory.oom_control" : "memory.events"), "utf8");
    return Number(/^oom_kill (\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** Starts Node in the group with an ES module and its arguments. */
  start(script: string, ...args: string[]) {
    const enter = 'echo $$ > "$1"; shift; exec "$@"';
    const procs = path.join(this.folder, "cgroup.procs");
    const node = [process.execPath, "--input-type=module", "-e", script, ...args];
    return spawn("bash", ["-c", enter, "_", procs, ...node], { stdio: ["ignore", "pipe", "inherit"] });
  }

  async remove(): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        return rmdirSync(this.folder);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100)); // its processes are just ending
      }
    }
  }
}

/** Arguments: model, tokens. Prints a line at the first token, and the answer with its memory figures as JSON at the end. */
export const ANSWER = `import { load } from ${JSON.stringify(LIBRARY)};
  const [model, count] = process.argv.slice(1);
  const phi = await load(model, { contextLength: 1024 });
  const answer = phi.generate([1212, 318, 281, 1672], { maxTokens: Number(count), ignoreEos: true });
  let first = true;
  for await (const _ of answer) {
    if (first) console.log("answering");
    first = false;
  }
  console.log(JSON.stringify({ tokens: (await answer).tokens, memory: await phi.memory() }));
  await phi.close();`;

/** Arguments: MiB to take, and how many a second, after two seconds. */
export const HOG = `const [total, rate] = process.argv.slice(1).map(Number);
  const taken = [];
  setTimeout(() => {
    const timer = setInterval(() => {
      if (taken.length * rate >= 10 * total) clearInterval(timer);
      else taken.push(Buffer.alloc((rate << 20) / 10, 1));
    }, 100);
  }, 2000);
  setTimeout(() => {}, 600_000);`;

/** Mounts a tmpfs; call the result to unmount it. */
export function mountSmall(folder: string, options: string): () => void {
  mkdirSync(folder, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]);
  return () => void execFileSync("umount", [folder]);
}
