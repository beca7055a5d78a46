/** Models that are kept in the browser, as a page sees them. */

import type { LoadOptions } from "../../../runtime/api.ts";
import { PiPhiError } from "../../../runtime/errors.ts";
import { orderOf, provided, resolve, startedEngine, type WebLoadOptions } from "../engine.ts";
import { readEntry, removeEntry } from "./entry.ts";
import { inUse, storeFolder } from "./opfs.ts";
import { isComplete, recordName } from "./record.ts";

/** A model that is kept in the browser, or a part of one. */
export interface StoredModel {
  /** What `remove` takes; an address, or the name it is kept by, will do, too. */
  id: string;
  /** Without a query. */
  address: string;
  /** The name that it is kept by, where one was given. */
  keptAs?: string;
  /** As the model calls itself, and the type of its weights; absent until all of it is there. */
  name?: string;
  quantization?: string;
  /** Whether it can be loaded without the network. */
  complete: boolean;
  /** Bytes that have been downloaded, and that there are to download: 0 where a server does not tell. */
  loadedBytes: number;
  totalBytes: number;
  /** SHA-256 of its files, as hex, in their order; empty until all of it is there. */
  sha256: string[];
  /** Bytes that it takes. */
  bytes: number;
  /** When it was loaded last, ms since 1970. */
  usedMs: number;
}

export interface StoreUsage {
  /** Bytes of all models. */
  usedBytes: number;
  /** What this page may store in all, models and whatever else; undefined where the browser does not tell. */
  quotaBytes: number | undefined;
  /** Whether the browser keeps it when the device runs out of room. */
  persistent: boolean;
}

const RECORD = recordName("");

async function list(): Promise<StoredModel[]> {
  const folder = await storeFolder();
  if (!folder) return [];
  const names: string[] = [];
  for await (const name of folder.keys()) names.push(name);
  const models = names.filter((name) => name.endsWith(RECORD)).map((name) => name.slice(0, -RECORD.length));
  const found = await Promise.all(models.map((id) => describe(folder, id, names)));
  return found.filter((model) => model !== undefined).sort((a, b) => b.usedMs - a.usedMs);
}

async function describe(
  folder: FileSystemDirectoryHandle,
  id: string,
  names: readonly string[],
): Promise<StoredModel | undefined> {
  const record = await readEntry(folder, id);
  if (!record) return undefined;
  const sizes = await Promise.all(
    names.filter((name) => name.startsWith(`${id}.`)).map((name) => sizeOf(folder, name)),
  );
  const { model, parts, pack, usedMs } = record;
  const complete = isComplete(record);
  const sum = (of: (part: (typeof parts)[number]) => number) => parts.reduce((total, part) => total + of(part), 0);
  const ends = parts.map(({ end }) => end?.sum).filter((hash) => hash !== undefined);
  return {
    id,
    address: model.address,
    ...(model.as !== undefined && { keptAs: model.as }),
    ...(pack && { name: pack.name, quantization: pack.quantization }),
    complete,
    loadedBytes: sum(({ end, marks }) => (end ?? marks.at(-1) ?? { bytes: 0 }).bytes),
    totalBytes: parts.some(({ version }) => !version?.bytes) ? 0 : sum(({ version }) => version!.bytes),
    sha256: complete ? ends : [],
    bytes: sizes.reduce((total, bytes) => total + bytes, 0),
    usedMs,
  };
}

/** 0 for a file that has just been deleted. */
async function sizeOf(folder: FileSystemDirectoryHandle, name: string): Promise<number> {
  try {
    return (await (await folder.getFileHandle(name)).getFile()).size;
  } catch {
    return 0;
  }
}

async function remove(model: string | URL | StoredModel): Promise<boolean> {
  const text = typeof model === "object" && "id" in model ? model.id : `${model}`;
  const address = isUrl(text) ? resolve(text) : undefined;
  if (address) address.search = address.hash = "";
  const found = (await list()).filter(({ id, keptAs, address: its }) => {
    return id === text || keptAs === text || its === address?.href;
  });
  for (const { id } of found) await discard(id);
  return found.length > 0;
}

function isUrl(text: string): boolean {
  return URL.canParse(text, globalThis.document?.baseURI ?? location.href);
}

/** Deletes a model; throws E_BUSY where it is in use. */
export async function discard(id: string): Promise<void> {
  const folder = await storeFolder();
  if (!folder) return;
  try {
    await removeEntry(folder, id);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NoModificationAllowedError") throw inUse(id);
    if (!(error instanceof DOMException && error.name === "NotFoundError")) throw PiPhiError.from(error);
  }
}

async function usage(): Promise<StoreUsage> {
  const models = await list();
  const { storage } = navigator as { storage?: StorageManager };
  const [estimate, persistent] = await Promise.all([storage?.estimate?.(), storage?.persisted?.()]);
  return {
    usedBytes: models.reduce((sum, { bytes }) => sum + bytes, 0),
    quotaBytes: estimate?.quota,
    persistent: persistent === true,
  };
}

async function download(
  address: string | URL,
  { assets, ...options }: Pick<WebLoadOptions, "assets" | "store" | "sha256" | "dense" | keyof Progressing> = {},
): Promise<StoredModel> {
  if (options.store === false) {
    throw new PiPhiError("E_USAGE", "A model is downloaded to be kept. Leave `store` out, or give it a name.");
  }
  const order = orderOf(resolve(address), { store: true, ...options });
  const engine = await startedEngine(assets, options.signal);
  try {
    const { key } = await provided(engine, order, options);
    const model = (await list()).find(({ id }) => id === key);
    if (model) return model;
  } finally {
    engine.terminate();
  }
  throw new PiPhiError(
    "E_FILE_WRITE",
    "This browser keeps no files for this page. Serve it by https, outside a private window, or load the model without storing it.",
  );
}

type Progressing = Pick<LoadOptions, "onProgress" | "signal">;

/** Models that are kept in the browser. */
export const store = {
  /** All that is kept, what was used last first; also what was downloaded in part. */
  list,
  /**
   * Deletes a model by its id, its address or the name it is kept by; whether there was one.
   * @throws PiPhiError E_BUSY where a loaded model is read from it, here or in another tab
   */
  remove,
  /** How much room models take, and how much there is. */
  usage,
  /**
   * Downloads a model, or the rest of it, to load it later without the network.
   * @throws PiPhiError as `load` does
   */
  download,
};
