/** What all doors stand on: the house with its model, and a model that converses, opened in the background and retried. */

import type { Home, OpenHomeOptions } from "../../devices/node/home/index.ts";
import type { NodeLoadOptions, Phi } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Api, HomeApi } from "../context.ts";
import type { Log } from "./log.ts";

export interface BackendOptions {
  /** A house as its file says, or Home Assistant, which is followed; absent: home commands are not understood. */
  house?: Pick<OpenHomeOptions, "house" | "homeAssistant">;
  /** A model that converses; absent: only the embedded one answers. */
  model?: string;
  load: NodeLoadOptions;
  /** Milliseconds between attempts to reach Home Assistant: from, to. */
  retry?: [number, number];
}

interface Libraries {
  api(): Promise<Pick<Api, "load">>;
  home(): Promise<Pick<HomeApi, "openHome">>;
}

/** How long a sentence waits for a house that could not be reached yet. */
const PATIENCE_MS = 3000;

/** Fires after so many milliseconds, or at once when `signal` does. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

export class Backend {
  readonly #stop = new AbortController();
  #home: Promise<Home> | undefined;
  #talk: Promise<Phi> | undefined;
  /** Why the house could not be opened at the last attempt. */
  #failure: PiPhiError | undefined;

  constructor(
    readonly options: BackendOptions,
    readonly libraries: Libraries,
    readonly log: Log,
  ) {}

  get knowsHouse(): boolean {
    return this.options.house !== undefined;
  }

  get converses(): boolean {
    return this.options.model !== undefined;
  }

  /**
   * Opens everything. Home Assistant may start later than this, and is tried again until it is there.
   * @throws PiPhiError what no later attempt can mend: a model or a house that cannot be read, a token that is refused
   */
  async open(): Promise<void> {
    const start = performance.now();
    if (this.knowsHouse) this.#home = this.#openHome();
    if (this.converses) this.#talk = this.#load();
    await Promise.all([this.#home, this.#talk]);
    if (!this.#stop.signal.aborted) this.log("info", "ready", { ms: Math.round(performance.now() - start) });
  }

  async #load(): Promise<Phi> {
    const { load } = await this.libraries.api();
    return load(this.options.model, { ...this.options.load, signal: this.#stop.signal });
  }

  async #openHome(): Promise<Home> {
    const { signal } = this.#stop;
    const { house, retry: [shortest, longest] = [1000, 30_000] } = this.options;
    const { openHome } = await this.libraries.home();
    for (let wait = shortest; ; wait = Math.min(longest, 2 * wait)) {
      try {
        const home = await openHome({ ...house, signal });
        this.#failure = undefined;
        return home;
      } catch (error) {
        const failure = PiPhiError.from(error);
        if (failure.code !== "E_HOME_ASSISTANT" || signal.aborted) throw failure;
        if (this.#failure === undefined) this.log("warning", failure.message, { code: failure.code });
        this.#failure = failure;
        await pause(wait, signal);
      }
    }
  }

  /** The house; throws E_HOME_ASSISTANT where it cannot be reached yet, so that whoever asked hears why. */
  async home(): Promise<Home> {
    if (this.#failure === undefined) return this.#home!;
    const patience = new AbortController();
    const late = pause(PATIENCE_MS, patience.signal).then(() => {
      throw this.#failure ?? new PiPhiError("E_HOME_ASSISTANT", "Home Assistant was not there. Say it again.");
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([this.#home!, late]);
    } finally {
      patience.abort();
    }
  }

  /** The model that converses. */
  talk(): Promise<Phi> {
    return this.#talk!;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const opened = await Promise.allSettled([this.#home, this.#talk]);
    await Promise.all(opened.map((one) => (one.status === "fulfilled" ? one.value?.close() : undefined)));
  }
}
