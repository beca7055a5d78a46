/** PiPhi for browsers without the embedded model: `import { load } from "piphi/web/core"`. Bundlers then leave its 6 MB out. */

import { connect } from "../../runtime/client.ts";
import { type Estimate, type Phi, PiPhiError } from "../../runtime/index.ts";
import { orderOf, provided, resolve, startedEngine, type WebLoadOptions } from "./engine.ts";
import { estimateHeads, localHeads, remoteHeads, storedHeads } from "./estimate.ts";
import { type Files, keep } from "./files.ts";
import { remotesOf } from "./remote.ts";
import { storeFolder } from "./store/opfs.ts";
import { discard } from "./store/page.ts";
import { keyOfRequest, SMALLEST_BYTES } from "./store/record.ts";

export * from "../../runtime/index.ts";
export type { WebLoadOptions } from "./engine.ts";
export { type StoredModel, type StoreUsage, store } from "./store/page.ts";

/** An address, relative to the page; or a file's content; or all parts of a split model. */
export type ModelSource = string | URL | Blob | ArrayBuffer | readonly File[];

const UNNAMED = "model.gguf";

/**
 * Loads a model on an engine in a worker of its own; on cross-origin isolated pages, with a team of workers.
 * An address of one part of a split model (`…-00001-of-00003.gguf`) stands for all parts beside it.
 * @param model a GGUF file
 * @throws PiPhiError for files, options and browsers that cannot work
 */
export async function load(model: ModelSource, options: WebLoadOptions = {}): Promise<Phi> {
  const { assets, store: kept, sha256, ...rest } = options;
  const order = isAddress(model) ? orderOf(resolve(model), options) : undefined;
  for (let healed = false; ; healed = true) {
    // Before the model is downloaded: what an engine lacks, or a page forbids, is known in a moment.
    const engine = await startedEngine(assets, rest.signal);
    let key: string | undefined;
    try {
      let name: string;
      if (order) ({ name, key } = await provided(engine, order, rest));
      else {
        const files = localFiles(model as LocalSource);
        engine.give(files);
        [name] = files.keys();
      }
      return await connect(engine, name, rest);
    } catch (error) {
      engine.terminate();
      if (key === undefined || healed || !isDamage(error)) throw error;
      await discard(key);
    }
  }
}

/** What a stored file that was sound has become: it comes again. */
const DAMAGE = new Set(["E_FILE_CORRUPT", "E_FILE_TRUNCATED", "E_TENSOR_VALUES", "E_NOT_GGUF", "E_FILE_READ"]);

function isDamage(error: unknown): boolean {
  return error instanceof PiPhiError && DAMAGE.has(error.code);
}

/**
 * What loading would take, from the header alone: of an address, the first megabytes are downloaded. Throws only for
 * files that cannot be loaded at all.
 */
export async function estimate(model: ModelSource, given: WebLoadOptions = {}): Promise<Estimate> {
  const { assets: _assets, store: kept, sha256: _sum, ...options } = given;
  if (!isAddress(model)) return estimateHeads(localHeads(givenFiles(model)), options, { storable: false });
  const { url: address, ...request } = orderOf(resolve(model), given).model;
  const url = new URL(address);
  const storable = kept !== false && (await storeFolder()) !== undefined;
  const stored = storable ? await storedHeads(remotesOf(url)[0].name, await keyOfRequest(request, url)) : undefined;
  const packedFromBytes = !storable ? undefined : kept === undefined ? SMALLEST_BYTES : 0;
  return estimateHeads(stored ?? remoteHeads(url, options.signal), options, { storable, packedFromBytes });
}

type LocalSource = Exclude<ModelSource, string | URL>;

function localFiles(model: LocalSource): Files {
  // A worker takes buffers over: it gets a copy, and the caller keeps the original.
  const part = (file: Blob | ArrayBuffer) => (file instanceof ArrayBuffer ? keep([new Uint8Array(file)]) : file);
  return new Map(Array.from(givenFiles(model), ([name, file]) => [name, [part(file)]]));
}

function isAddress(model: ModelSource): model is string | URL {
  return typeof model === "string" || model instanceof URL;
}

/** By name, what the caller has at hand; throws E_USAGE. */
function givenFiles(model: LocalSource): Map<string, Blob | ArrayBuffer> {
  if (model instanceof File) return new Map([[model.name, model]]);
  if (model instanceof Blob || model instanceof ArrayBuffer) return new Map([[UNNAMED, model]]);
  const files = new Map<string, File>();
  const parts: readonly unknown[] = Array.isArray(model) ? model : [];
  for (const part of parts) if (part instanceof File) files.set(part.name, part);
  if (files.size > 0 && files.size === parts.length) return files;
  throw new PiPhiError(
    "E_USAGE",
    "The model must be an address, a File, a Blob, an ArrayBuffer, or an array of Files with different names. Pass one of these.",
  );
}
