/** The local store: packs of the model files that were used. */

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type { Progress } from "../../runtime/api.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { openModel } from "../../runtime/weights/model.ts";
import { originOf, type PackOrigin } from "../../runtime/weights/pack.ts";
import type { DensePrecision } from "../../runtime/weights/tiles.ts";
import { checkOnce, knownDigestOf, rememberSound } from "./checked.ts";
import { openFile } from "./files.ts";
import { checkPack, packFile } from "./packing.ts";
import { storeFolder } from "./paths.ts";
import { cutBytes, makeFolders } from "./writing.ts";

/** Of a model's name, in its pack's: what follows is unique, and the name of a file may have 255 bytes. */
const MOST_MODEL_NAME_BYTES = 200;

/** Where the store keeps the pack of a model file: one for each path and precision. */
export function packPath(model: string, dense: DensePrecision): string {
  const real = fs.realpathSync(model);
  const key = createHash("sha256").update(`${real}\n${dense}`).digest("hex").slice(0, 12);
  const name = cutBytes(path.basename(real).replace(/\.gguf$/i, ""), MOST_MODEL_NAME_BYTES);
  return path.join(storeFolder(), "packs", `${name}-${key}.pack.gguf`);
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
  const { fileBytes, weights, sources } = source;
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
  const files = sources.map(({ name }) => name);
  if (isCurrent(pack, model, fileBytes, files) && (await isSound(pack, report("check"), signal))) return pack;
  makeFolders(path.dirname(pack));
  await packFile(model, pack, { dense, onProgress: report("pack"), signal });
  rememberSound(pack);
  return pack;
}

/**
 * Whether a pack is there, can be read, and was made of the files as they are now: another model under the same name can have
 * the same size and time.
 */
function isCurrent(pack: string, model: string, fileBytes: number, files: readonly string[]): boolean {
  const origin = readOrigin(pack);
  if (origin === undefined || origin.bytes !== fileBytes) return false;
  if (Math.trunc(origin.modifiedMs) !== Math.trunc(fs.statSync(model).mtimeMs)) return false;
  return origin.digest === knownDigestOf(files);
}

/** Undefined where there is no pack, one of another version, a damaged one, or one that this user may not read. */
function readOrigin(pack: string): PackOrigin | undefined {
  if (!fs.existsSync(pack)) return undefined;
  try {
    const opened = openModel(openFile, pack, "int8");
    opened.close();
    return originOf(opened.metadata);
  } catch (error) {
    if (error instanceof PiPhiError) return undefined;
    throw error;
  }
}

/** What a pack of the store that is of no use any more gives: damaged, gone, or on a disk that fails. */
const UNSOUND = new Set(["E_FILE_CORRUPT", "E_FILE_TRUNCATED", "E_FILE_READ", "E_NOT_FOUND"]);

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
    if (error instanceof PiPhiError && UNSOUND.has(error.code)) return false;
    throw error;
  }
}
