/** The house rules of ARCHITECTURE.md that a program can check. */

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const ROOMS = ["kernels", "runtime", "devices", "tools", "test"] as const;
type Room = (typeof ROOMS)[number];

/** Which rooms a room may import from. */
const ARROWS: Record<Room, readonly Room[]> = {
  kernels: ["kernels"],
  runtime: ["runtime"],
  devices: ["devices", "runtime"],
  tools: ["tools", "devices", "runtime"],
  test: ROOMS,
};
/** What tools may know of the runtime: its public API. */
const PUBLIC = ["runtime/index.ts", "runtime/api.ts", "runtime/errors.ts"];
/** Writes what the model is trained on by the code that asks it, so that both are the same. */
const WITH_ITS_OWN_CODE = new Set(["tools/train/encode.ts"]);
const MOST_LINES = 400;

const isText = (name: string): boolean => /\.(ts|mjs|js|json|py|md|sh|toml|ya?ml|txt|jsonl|snap)$/.test(name);
const isCode = (name: string): boolean => /\.(ts|mjs|js|py)$/.test(name);
const IGNORED = new Set([
  "node_modules",
  "dist",
  "coverage",
  "__pycache__",
  ".git",
  ".engines",
  ".schemathesis",
  ".home-assistant",
]);

/** Text files below a folder, with paths relative to the root. */
function filesIn(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !IGNORED.has(name))
    .flatMap((entry) => {
      const name = path.posix.join(folder, entry.name);
      if (entry.isDirectory()) return filesIn(name);
      return entry.isFile() && (isText(name) || folder === ".ci") ? [name] : [];
    });
}

const all = filesIn(".").map((name) => ({ name, text: readFileSync(path.join(root, name), "utf8") }));
const roomOf = (name: string): Room | undefined => ROOMS.find((room) => name.startsWith(`${room}/`));
const sources = all.filter(({ name }) => roomOf(name) !== undefined && isCode(name));

/** Modules that a source names: static and dynamic imports, re-exports, workers' URLs. */
function importsOf(text: string): string[] {
  const patterns = [/\bfrom\s+"([^"]+)"/g, /\bimport\s*\(?\s*"([^"]+)"/g, /new URL\("(\.[^"]+\.ts)"/g];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, module]) => module));
}

/** Every [file, imported module], modules relative to the root where they are files. */
const imports = sources
  .filter(({ name }) => /\.(ts|mjs)$/.test(name))
  .flatMap(({ name, text }) =>
    importsOf(text).map((module): [string, string] => [
      name,
      module.startsWith(".") ? path.posix.join(path.posix.dirname(name), module) : module,
    ]),
  );
const importsFrom = (room: Room): [string, string][] => imports.filter(([name]) => roomOf(name) === room);

/** Lines that match, as "file:line: text". */
function linesLike(files: readonly { name: string; text: string }[], pattern: RegExp): string[] {
  return files.flatMap(({ name, text }) =>
    text
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${name}:${i + 1}: ${line.trim().slice(0, 100)}`] : [])),
  );
}

/** Files that import each other in a circle, types included: for each such group its files. */
function circles(): string[][] {
  const next = new Map<string, string[]>();
  for (const [name, module] of imports) next.set(name, [...(next.get(name) ?? []), module]);
  const reached = (from: string): Set<string> => {
    const seen = new Set<string>();
    for (const todo = [from]; todo.length > 0; ) {
      for (const module of next.get(todo.pop()!) ?? []) {
        if (seen.has(module)) continue;
        seen.add(module);
        todo.push(module);
      }
    }
    return seen;
  };
  const reach = new Map([...next.keys()].map((name) => [name, reached(name)]));
  const inCircles = [...reach.keys()].filter((name) => reach.get(name)!.has(name));
  const groups = inCircles.map((name) =>
    inCircles.filter((other) => reach.get(name)!.has(other) && reach.get(other)!.has(name)),
  );
  return groups.filter((group, i) => group[0] === inCircles[i]);
}

it("no files import each other in a circle", () => {
  expect(circles()).toEqual([]);
});

describe.each(ROOMS)("%s", (room) => {
  const own = sources.filter(({ name }) => roomOf(name) === room);

  it("has sources", () => {
    expect(own.length).toBeGreaterThan(5);
  });

  it(`imports only ${ARROWS[room].join(", ")}`, () => {
    const wrong = importsFrom(room).filter(([, module]) => {
      const target = roomOf(module);
      return target !== undefined && !ARROWS[room].includes(target);
    });
    expect(wrong).toEqual([]);
  });

  it(`has no file of more than ${MOST_LINES} lines, and nothing left for later or switched off`, () => {
    expect(own.filter(({ text }) => text.split("\n").length - 1 > MOST_LINES).map(({ name }) => name)).toEqual([]);
    expect(linesLike(own, /\b(TO[D]O|FIX[M]E|XX[X])\b|\.(only|skip)\(|\b[fx](it|describe)\(/)).toEqual([]);
  });
});

it("the runtime runs anywhere: nothing of Node, and only packages that run anywhere, too", () => {
  const foreign = importsFrom("runtime").filter(([, module]) => !module.startsWith("runtime/"));
  expect(foreign).toEqual([
    ["runtime/compute/instance.ts", "@assemblyscript/loader"],
    ["runtime/text/template.ts", "@huggingface/jinja"],
  ]);
});

it("the kernels import each other only", () => {
  expect(importsFrom("kernels").filter(([, module]) => !module.startsWith("kernels/"))).toEqual([]);
});

it("tools know the runtime by its public API", () => {
  const wrong = importsFrom("tools").filter(
    ([name, module]) => roomOf(module) === "runtime" && !PUBLIC.includes(module) && !WITH_ITS_OWN_CODE.has(name),
  );
  expect(wrong).toEqual([]);
});

it("the runtime and the kernels write nothing to the console", () => {
  const silent = sources.filter(({ name }) => roomOf(name) === "runtime" || roomOf(name) === "kernels");
  expect(linesLike(silent, /\bconsole\b|\bprocess\.(stdout|stderr)\b|\btrace\(/)).toEqual([]);
});

it("no file names a machine's folders or a package registry's host", () => {
  expect(all.length).toBeGreaterThan(100);
  expect(linesLike(all, /(^|[\s"'`(=:])\/(work|root|home|Users)\//)).toEqual([]);
  expect(linesLike(all, /\bregistr[y]\.[a-z]|artifactor[y]|\bnexu[s]\b|pypi\.org\/[s]imple/i)).toEqual([]);
});
