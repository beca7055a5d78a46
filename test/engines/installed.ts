/** The engines that people have, from npm: installed once, into a folder that git ignores. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** What npm calls each engine, and the command that it brings. */
const PACKAGES = [
  ["node@20", "node"],
  ["node@22", "node"],
  ["node@24", "node"],
  ["node@26", "node"],
  ["bun@1", "bun"],
  ["deno@2", "deno"],
] as const;

const FOLDER = fileURLToPath(new URL("../../.engines/", import.meta.url));
const INSTALL = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];

export interface Named {
  name: string;
  command: string[];
}

/** All engines of the list but the one that runs this, installed where they are not yet. Throws where npm cannot. */
export function installedEngines(): Named[] {
  const own = `node@${process.versions.node.split(".")[0]}`;
  return PACKAGES.filter(([name]) => name !== own).map(([name, command]) => {
    const folder = path.join(FOLDER, name);
    const program = path.join(folder, "node_modules", ".bin", command);
    if (!runs(program)) {
      mkdirSync(folder, { recursive: true });
      // A package of its own, or npm would install into the project above.
      writeFileSync(path.join(folder, "package.json"), '{ "private": true }\n');
      execFileSync("npm", [...INSTALL, name], { cwd: folder, stdio: "inherit" });
    }
    return { name, command: command === "deno" ? [program, "run", "-A"] : [program] };
  });
}

/** Whether an engine is there whole: an installation that was interrupted leaves files behind. */
function runs(program: string): boolean {
  if (!existsSync(program)) return false;
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
