/** Brings a model from the network to memory that workers can read: its file, or all files of a split one. */

import type { Progress } from "../../runtime/api.ts";
import { type Files, keep } from "./files.ts";
import { contentLength, type Remote, refusal } from "./remote.ts";
import { type Receiver, transfer } from "./store/transfer.ts";

/** A file is kept in parts of this size: what comes is copied there once, and no buffer needs to grow. */
const PART_BYTES = 32 << 20;
/** A server that does not say how large a file is within this time is not waited for. */
const ANSWER_MS = 3000;

/** Downloads files, the first and then the others; throws what a transfer throws, and E_MEMORY. */
export async function download(remotes: readonly Remote[], onProgress: (progress: Progress) => void): Promise<Files> {
  const allBytes = remotes.length > 1 ? await sizesOf(remotes) : 0;
  const files: Files = new Map();
  let before = 0;
  for (const remote of remotes) {
    const receiver = new MemoryReceiver();
    await transfer(remote, receiver, {
      cached: true,
      onBytes: (fileBytes) => {
        const totalBytes = allBytes || (remotes.length > 1 ? 0 : fileBytes);
        onProgress({ phase: "download", loadedBytes: before + receiver.position, totalBytes });
      },
    });
    files.set(remote.name, receiver.parts());
    before += receiver.position;
  }
  return files;
}

/** The sum of the files' sizes, 0 where a server does not tell; throws E_NOT_FOUND, before the first is downloaded. */
export async function sizesOf(remotes: readonly Remote[]): Promise<number> {
  const sizes = await Promise.all(
    remotes.map(async ({ url, name }) => {
      const signal = AbortSignal.timeout(ANSWER_MS);
      const response = await fetch(url, { method: "HEAD", signal }).catch(() => undefined); // the download will say why
      const { status = 0 } = response ?? {};
      if (status === 404 || status === 410) throw refusal(name, status);
      return response?.ok ? contentLength(response) : 0;
    }),
  );
  return sizes.includes(0) ? 0 : sizes.reduce((sum, bytes) => sum + bytes, 0);
}

class MemoryReceiver implements Receiver {
  position = 0;
  private kept: ReturnType<typeof keep>[] = [];
  private chunks: Uint8Array[] = [];
  private chunkBytes = 0;

  take(chunk: Uint8Array): void {
    this.position += chunk.length;
    this.chunks.push(chunk);
    this.chunkBytes += chunk.length;
    if (this.chunkBytes >= PART_BYTES) this.close();
  }

  restart(): void {
    this.position = this.chunkBytes = 0;
    this.kept = [];
    this.chunks = [];
  }

  parts(): ReturnType<typeof keep>[] {
    this.close();
    return this.kept;
  }

  private close(): void {
    this.kept.push(keep(this.chunks));
    this.chunks = [];
    this.chunkBytes = 0;
  }
}
