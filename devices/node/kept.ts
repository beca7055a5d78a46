/** The store's folder for caches of texts that were read: runtime/cache/shelf.ts says what is in them. */

import fs from "node:fs";
import path from "node:path";
import type { KeptFiles } from "../../runtime/device.ts";
import { openFile } from "./files.ts";
import { storeFolder } from "./paths.ts";
import { removeLeftovers, writeAtomically } from "./writing.ts";

const SUFFIX = ".piphi";

export function keptFiles(): KeptFiles {
  const folder = path.join(storeFolder(), "prefixes");
  const at = (name: string) => path.join(folder, name);
  return {
    list() {
      const names = attempt(() => fs.readdirSync(folder)) ?? [];
      return names
        .filter((name) => name.endsWith(SUFFIX))
        .flatMap((name) => {
          const found = attempt(() => fs.statSync(at(name)));
          return found ? [{ name, bytes: found.size, usedMs: found.mtimeMs }] : [];
        });
    },
    open: (name) => openFile(at(name)),
    create(name, write) {
      attempt(() => fs.mkdirSync(folder, { recursive: true }));
      removeLeftovers(at(name));
      return writeAtomically(at(name), write);
    },
    used: (name) => void attempt(() => fs.utimesSync(at(name), new Date(), new Date())),
    remove: (name) => void attempt(() => fs.rmSync(at(name), { force: true })),
  };
}

/** What a folder that is not there, or belongs to another, does not give is not there. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
