/**
 * What tells a model from all others: its configuration and the checksums of its tensors, as a pack has them. A model
 * that is loaded from its source has the same tensors in memory, and so the same identity.
 */

import { PiPhiError } from "../errors.ts";
import { type Model, tensorsOfPack } from "./model.ts";
import type { Span } from "./shape.ts";
import { HASHED_BYTES, TensorHash } from "./tensor-hash.ts";
import type { DensePrecision } from "./tiles.ts";

export class Identity {
  private readonly config: string;
  private readonly tensors: readonly { name: string; span: Span }[];
  /** By tensor, where the file states them. */
  private readonly checksums: ReadonlyMap<string, string> | undefined;
  private known: string | undefined;

  constructor({ config, weights, shape }: Model, dense: DensePrecision) {
    const { pack, manifest } = weights;
    const tensors = manifest ? tensorsOfPack(manifest, shape, dense) : pack.tensors;
    this.config = JSON.stringify(Object.entries(config).sort());
    this.tensors = tensors.map(({ name, span }) => ({ name, span }));
    this.checksums = pack?.checksums;
  }

  /**
   * As hex. Without a pack, the weights, which begin at `base`, are hashed at the first call (seconds for a gigabyte);
   * `checkpoint` may throw in between. Throws E_ENGINE where there is no WebCrypto.
   */
  async hash(buffer: ArrayBufferLike, base: number, checkpoint: () => void): Promise<string> {
    if (this.known) return this.known;
    if (!globalThis.crypto?.subtle) {
      throw new PiPhiError(
        "E_ENGINE",
        "Sessions are saved and restored in secure contexts only. Serve the page by https.",
      );
    }
    const lines = [this.config];
    for (const { name, span } of this.tensors) {
      const sum = this.checksums?.get(name) ?? (await hashSpan(buffer, base, span, checkpoint));
      lines.push(`${name}=${sum}`);
    }
    const all = new TensorHash();
    await all.push(new TextEncoder().encode(lines.join("\n")));
    this.known = await all.digest();
    return this.known;
  }
}

async function hashSpan(
  buffer: ArrayBufferLike,
  base: number,
  { offset, bytes }: Span,
  checkpoint: () => void,
): Promise<string> {
  const hash = new TensorHash();
  for (let at = 0; at < bytes; at += HASHED_BYTES) {
    checkpoint();
    await hash.push(new Uint8Array(buffer, base + offset + at, Math.min(HASHED_BYTES, bytes - at)));
  }
  return hash.digest();
}
