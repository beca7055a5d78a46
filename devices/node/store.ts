/** The local store: packs of the model files that were used. */

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type { Progress } from "../../runtime/api.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { openModel } from "../../runtime/weights/model.ts";
import { originOf } from "../../runtime/weights/pack.ts";
import type { DensePrecision } from "../../runtime/weights/tiles.ts";
import { openFile } from "./files.ts";
import { checkPack, packFile } from "./packing.ts";
import { storeFolder } from "./paths.ts";

/** Where the store keeps the pack of a model file: one for each path and precision. */
export function packPath(model: string, dense: DensePrecision): string {
  const real = fs.realpathSync(model);
  const key = createHash("sha256").update(`${real}\n${dense}`).digest("hex").slice(0, 12);
  return path.join(storeFolder(), "packs", `${path.basename(real).replace(/\.gguf$/i, "")}-${key}.pack.gguf`);
}

/** Smaller files are loaded in no time: packs of them would only take room. */
export const SMALLEST_BYTES = 64 << 20;

export interface StoreOptions {
  dense: DensePrecision;
  /** Whether a pack may be made; else a file that is none is used as it is. Default: true. */
  make?: boolean;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/**
 * What to load for a model file: the file itself if it is a pack, which is compared with its checksums when it is met first;
 * or the store's pack of it, made now if it is not there or if the file has changed since. Throws what packing throws.
 */
export async function packFor(model: string, options: StoreOptions): Promise<string> {
  const { dense, make = true, onProgress, signal } = options;
  const source = openModel(openFile, model, dense);
  const { fileBytes, weights } = source;
  source.close();
  const report = (phase: "pack" | "check") => (loadedBytes: number, totalBytes: number) => {
    onProgress?.({ phase, loadedBytes, totalBytes });
  };
  if (weights.pack) {
    await checkOnce(model, () => checkPack(model, { onProgress: report("check"), signal }));
    return model;
  }
  if (!make || fileBytes < SMALLEST_BYTES) return model;
  const pack = packPath(model, dense);
  if (isCurrent(pack, model, fileBytes) && (await isSound(pack, report("check"), signal))) return pack;
  makeFolder(path.dirname(pack));
  await packFile(model, pack, { dense, onProgress: report("pack"), signal });
  remember(pack);
  return pack;
}

/** Whether a pack is there, can be read, and was made of the file as it is now. */
function isCurrent(pack: string, model: string, fileBytes: number): boolean {
  if (!fs.existsSync(pack)) return false;
  try {
    const opened = openModel(openFile, pack, "int8");
    opened.close();
    const { bytes, modifiedMs } = originOf(opened.metadata);
    return bytes === fileBytes && modifiedMs === fs.statSync(model).mtimeMs;
  } catch (error) {
    if (error instanceof PiPhiError && error.code !== "E_FILE_READ") return false; // of another version, or damaged
    throw error;
  }
}

/** Whether a pack of the store is as it was written; it is read again only if it changed since, as in a store that was copied. */
async function isSound(
  pack: string,
  onProgress: (bytes: number, totalBytes: number) => void,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    await checkOnce(pack, () => checkPack(pack, { onProgress, signal }));
    return true;
  } catch (error) {
    if (error instanceof PiPhiError && error.code === "E_FILE_CORRUPT") return false;
    throw error;
  }
}

function makeFolder(folder: string): void {
  try {
    fs.mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new PiPhiError(
      "E_FILE_WRITE",
      `The store ${folder} cannot be made (${(error as Error).message}). Set PIPHI_HOME to a folder that may be written, or use --no-pack.`,
      { folder },
    );
  }
}

/** What identifies a file that was checked: reading it all again takes seconds, and nothing changed since. */
function stampOf(file: string): string {
  const { dev, ino, size, mtimeMs } = fs.statSync(file);
  return [fs.realpathSync(file), dev, ino, size, mtimeMs].join(" ");
}

const checkedList = () => path.join(storeFolder(), "checked.txt");

async function checkOnce(pack: string, check: () => Promise<void>): Promise<void> {
  const stamp = stampOf(pack);
  try {
    if (fs.readFileSync(checkedList(), "utf8").split("\n").includes(stamp)) return;
  } catch {
    // The first.
  }
  await check();
  remember(pack);
}

/** Notes that a pack is sound. A store that cannot be written costs a check each time, no more. */
function remember(pack: string): void {
  try {
    fs.mkdirSync(storeFolder(), { recursive: true });
    fs.appendFileSync(checkedList(), `${stampOf(pack)}\n`);
  } catch {
    // Read-only.
  }
}
