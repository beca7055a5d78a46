/**
 * The checksum of a pack's tensors: SHA-256 over the SHA-256 of each 4 MiB. WebCrypto, which every engine has, hashes only
 * whole buffers; in pieces, several of them at once.
 */

export const HASHED_BYTES = 4 << 20;

export class TensorHash {
  private readonly buffer = new Uint8Array(HASHED_BYTES);
  private filled = 0;
  private readonly digests: Promise<ArrayBuffer>[] = [];

  /** Takes the next bytes of the tensor; they may be changed afterwards. */
  async push(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const count = Math.min(bytes.length - at, HASHED_BYTES - this.filled);
      this.buffer.set(bytes.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === HASHED_BYTES) await this.flush();
    }
  }

  /** As hex; after the last bytes. */
  async digest(): Promise<string> {
    if (this.filled > 0) await this.flush();
    const parts = await Promise.all(this.digests);
    const all = new Uint8Array(parts.length * 32);
    parts.forEach((part, i) => {
      all.set(new Uint8Array(part), i * 32);
    });
    const whole = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
    return Array.from(whole, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** digest() copies what it is given before it returns, so that the buffer can be filled anew at once. */
  private async flush(): Promise<void> {
    this.digests.push(crypto.subtle.digest("SHA-256", this.buffer.subarray(0, this.filled)));
    this.filled = 0;
    // The one before bounds how many copies wait.
    await this.digests[this.digests.length - 2];
  }
}
