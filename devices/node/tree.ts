/** What Linux tells in /proc, /sys and /dev: read from its root, or in tests from a folder that looks like one. */

import fs from "node:fs";
import path from "node:path";

export class Tree {
  constructor(private readonly root = "/") {}

  /** The text of a file, without what surrounds it; undefined where it is not there or may not be read. */
  read(file: string): string | undefined {
    try {
      return fs.readFileSync(path.join(this.root, file), "utf8").replaceAll("\0", "").trim();
    } catch {
      return undefined;
    }
  }

  /** The number in a file, or undefined. */
  number(file: string): number | undefined {
    const text = this.read(file);
    const value = text ? Number(text) : Number.NaN;
    return Number.isFinite(value) ? value : undefined;
  }

  /** Names in a folder, sorted as numbers count; none where it is not there. */
  list(folder: string): string[] {
    try {
      const names = fs.readdirSync(path.join(this.root, folder));
      return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    } catch {
      return [];
    }
  }

  /** Where a symbolic link points, or undefined. */
  link(file: string): string | undefined {
    try {
      return fs.readlinkSync(path.join(this.root, file));
    } catch {
      return undefined;
    }
  }
}

/** This machine's. */
export const HOST_TREE = new Tree();
