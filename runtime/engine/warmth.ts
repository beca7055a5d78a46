/** Texts that are read before anybody asks, and what is kept of those that were read, on disk and from run to run. */

import type { LoadOptions, Progress } from "../api.ts";
import type { Pool } from "../cache/pool.ts";
import type { SessionTarget } from "../cache/session-file.ts";
import { DiskShelf } from "../cache/shelf.ts";
import type { KeptFiles } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { parseBytes } from "../options.ts";
import type { Language } from "./language.ts";
import { Reading } from "./reading.ts";
import type { Schedule } from "./schedule.ts";

export type WarmthOptions = Pick<LoadOptions, "warm" | "diskCache">;

/** Disk for what `warm` names, where the caller does not say. */
const WARM_DISK_BYTES = 2 ** 30;
/** After so long without a request, what was read since is written to disk. */
const REST_MS = 2000;

/** The ids of the beginnings that are to be read; throws E_USAGE, E_PROMPT_EMPTY or E_PROMPT_TOO_LONG with the index. */
export function warmIds({ warm = [] }: WarmthOptions, language: Language, contextLength: number): number[][] {
  if (!Array.isArray(warm)) throw new PiPhiError("E_USAGE", `warm must be an array of prompts, not ${typeof warm}.`);
  return warm.map((prompt, index) => {
    const ids = isConversation(prompt) ? language.beginningOf(prompt) : language.idsOf(prompt);
    if (ids.length === 0) {
      throw new PiPhiError("E_PROMPT_EMPTY", `Warm prompt ${index} is empty. Leave it out.`, { index });
    }
    if (ids.length <= contextLength) return ids;
    throw new PiPhiError(
      "E_PROMPT_TOO_LONG",
      `Warm prompt ${index} has ${ids.length} tokens, but the context holds only ${contextLength}. Shorten it, or load the model with a longer context.`,
      { index, promptTokens: ids.length, contextLength },
    );
  });
}

type WarmPrompt = NonNullable<LoadOptions["warm"]>[number];

function isConversation(prompt: WarmPrompt): prompt is Exclude<WarmPrompt, string | readonly number[]> {
  return Array.isArray(prompt) && typeof prompt[0] === "object";
}

export interface WarmthMeans {
  files: KeptFiles | undefined;
  pool: Pool;
  schedule: Schedule;
  vocabSize: number;
  /** What caches on disk are compared with. */
  target(): Promise<SessionTarget>;
}

export class Warmth {
  private readonly mostBytes: number;
  /** Whether all that is read is kept on disk, and not only what was asked for. */
  readonly keepsAll: boolean;
  private shelf: DiskShelf | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Throws E_USAGE. */
  constructor(
    private readonly means: WarmthMeans,
    private readonly ids: readonly number[][],
    { diskCache }: WarmthOptions,
  ) {
    const asked = diskCache === undefined || diskCache === 0 ? diskCache : parseBytes(diskCache, "diskCache");
    this.keepsAll = (asked ?? 0) > 0;
    this.mostBytes = means.files ? (asked ?? (ids.length > 0 ? WARM_DISK_BYTES : 0)) : 0;
  }

  /** Looks what is on disk, and reads the beginnings that are not. */
  async begin(onProgress: (progress: Progress) => void): Promise<void> {
    const { files, pool, schedule, vocabSize, target } = this.means;
    if (files && this.mostBytes > 0) this.shelf = new DiskShelf(files, await target(), vocabSize, this.mostBytes);
    pool.shelf = this.shelf;
    const totalBytes = this.ids.reduce((sum, { length }) => sum + length, 0);
    let loadedBytes = 0;
    for (const ids of this.ids) {
      const report = (left: number) =>
        onProgress({ phase: "warm", loadedBytes: loadedBytes + ids.length - left, totalBytes });
      const store = async (saved: Parameters<DiskShelf["put"]>[0]) => this.shelf?.put(saved);
      await schedule.run(0, new Reading({ ids, exact: true, whole: true }, store, report));
      loadedBytes += ids.length;
    }
  }

  /** There is nothing to do now. */
  rest(): void {
    this.wake();
    if (!this.keepsAll) return;
    this.timer = setTimeout(() => void this.means.schedule.between(0, () => this.keep()), REST_MS);
  }

  /** There is something to do. */
  wake(): void {
    clearTimeout(this.timer);
  }

  /** Writes what was read and is not on disk; no pass runs. */
  async keep(): Promise<void> {
    if (!this.keepsAll) return;
    for (const saved of this.means.pool.finished()) await this.shelf?.put(saved);
  }
}
