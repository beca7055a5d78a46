/**
 * What is known of files that were read through, so that they need not be read again until they change: which packs are sound,
 * and which digest a model has. A line each in the store's checked.txt: a stamp, a tab, and the digest, none for a pack.
 */

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { openFile } from "./files.ts";
import { storeFolder } from "./paths.ts";
import { makeFolders } from "./writing.ts";

/** The header of Phi-2's file has 2.2 MB. */
const HEAD_BYTES = 4 << 20;
const SAMPLES = 256;
const SAMPLE_BYTES = 4096;

/**
 * Tells files apart without reading them: no file takes the place of another, and none is written to, without a new one. JSON,
 * so that whatever a path has in it, a stamp is one line.
 */
function stampOf(files: readonly string[]): string {
  return JSON.stringify(
    files.map((file) => {
      const { dev, ino, size, mtimeMs, ctimeMs } = fs.statSync(file);
      return [fs.realpathSync(file), dev, ino, size, Math.trunc(mtimeMs), Math.trunc(ctimeMs)];
    }),
  );
}

/** SHA-256 over the sizes of a model's files, their beginnings, and samples of the rest. Throws what reading throws. */
export function digestOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(HEAD_BYTES);
  for (const file of files) {
    const source = openFile(file);
    try {
      const take = (offset: number, bytes: number) => {
        const part = buffer.subarray(0, Math.min(bytes, source.size - offset));
        source.read(offset, part);
        hash.update(part);
      };
      hash.update(`${source.size}\n`);
      take(0, HEAD_BYTES);
      const last = source.size - SAMPLE_BYTES;
      for (let i = 0; i < SAMPLES && last > HEAD_BYTES; i++) {
        take(Math.floor(HEAD_BYTES + ((last - HEAD_BYTES) * i) / (SAMPLES - 1)), SAMPLE_BYTES);
      }
    } finally {
      source.close();
    }
  }
  return hash.digest("hex");
}

/** The digest of a model's files; they are read only where they are not known, or have changed. */
export function knownDigestOf(files: readonly string[]): string {
  const stamp = stampOf(files);
  const known = knownStamps().get(stamp);
  if (known) return known;
  const digest = digestOf(files);
  remember(stamp, digest);
  return digest;
}

/** Lets `check` read a pack that is not known to be sound; what it throws is thrown. */
export async function checkOnce(pack: string, check: () => Promise<void>): Promise<void> {
  if (knownStamps().has(stampOf([pack]))) return;
  await check();
  rememberSound(pack);
}

export function rememberSound(pack: string): void {
  remember(stampOf([pack]), "");
}

/** Stamps with what is known of them, from the text of the list. Lines that are something else do no harm. */
export function readChecked(text: string): Map<string, string> {
  return new Map(
    text.split("\n").map((line): [string, string] => {
      const [stamp, digest = ""] = line.split("\t");
      return [stamp, digest];
    }),
  );
}

const listPath = () => path.join(storeFolder(), "checked.txt");

function knownStamps(): Map<string, string> {
  try {
    return readChecked(fs.readFileSync(listPath(), "utf8"));
  } catch {
    return new Map(); // none yet
  }
}

/** A store that cannot be written costs a check each time, no more. */
function remember(stamp: string, digest: string): void {
  try {
    makeFolders(storeFolder());
    fs.appendFileSync(listPath(), `${stamp}\t${digest}\n`);
  } catch {
    // Read-only.
  }
}
