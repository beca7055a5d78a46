/** What the doors of `piphi serve` lead to: models, which are loaded behind open doors, and the house. */

import { statSync } from "node:fs";
import path from "node:path";
import type { Home } from "../../devices/node/home/index.ts";
import type { ChatMessage, NodeLoadOptions, Phi } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Api, HomeApi } from "../context.ts";
import { housePrompt } from "./house-prompt.ts";
import { pause } from "./pause.ts";

/** The name of the embedded model. */
export const EMBEDDED_ID = "piphi-home";

/** A model under the name that clients call it by. */
export class ServedModel {
  /** Seconds since 1970 at which its file was written. */
  readonly created: number;
  readonly fileBytes: number;
  #loading: Promise<Phi> | undefined;
  #phi: Phi | undefined;
  #known = false;

  /**
   * @param embedded whether it is the one that understands home commands and nothing else
   * @param release lets go of what stands on the model, before it is unloaded
   */
  constructor(
    readonly id: string,
    file: string,
    readonly embedded: boolean,
    private readonly open: () => Promise<Phi>,
    private readonly release: () => Promise<void> = async () => {},
  ) {
    const { mtimeMs, size } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: 0, size: 0 };
    this.created = Math.floor(mtimeMs / 1000);
    this.fileBytes = size;
  }

  /** There where it is loaded. */
  get loaded(): Phi | undefined {
    return this.#phi;
  }

  /** Whether it has been loaded: one that was unloaded since is loaded again when it is asked. */
  get known(): boolean {
    return this.#known;
  }

  /** Loads it where it is not loaded yet. Rejects with what `load` throws, and tries again the next time. */
  phi(): Promise<Phi> {
    if (this.#loading) return this.#loading;
    const loading = this.open();
    this.#loading = loading;
    loading.then(
      (phi) => {
        if (this.#loading === loading) this.#phi = phi;
        this.#known = true;
      },
      () => {
        if (this.#loading === loading) this.#loading = undefined;
      },
    );
    return loading;
  }

  async unload(): Promise<void> {
    const loading = this.#loading;
    this.#loading = undefined;
    this.#phi = undefined;
    await this.release();
    const phi = await loading?.catch(() => undefined);
    await phi?.close();
  }
}

export interface BackendOptions {
  /** A model that converses, beside the embedded one. */
  model?: string;
  load: NodeLoadOptions;
  /** Opens the house with the embedded model; absent where nobody told of one. */
  openHome?: (api: HomeApi, phi: Phi) => Promise<Home>;
  api: Api;
  home: () => Promise<HomeApi>;
  /** Milliseconds between attempts to reach Home Assistant: the first, the longest. Default: 1 and 30 seconds. */
  retry?: readonly [number, number];
  /** Called when Home Assistant cannot be reached at first. */
  onUnreachable?: (error: PiPhiError) => void;
}

/** How long whoever asks waits for a house that cannot be reached yet (ms). */
const PATIENCE_MS = 3000;

/** What an embedded model needs of the load options: its context is short, and it is small. */
const EMBEDDED_OPTIONS = ["threads", "queue", "parallel"] as const;

export class Backend {
  /** The one that converses first. */
  readonly models: readonly ServedModel[];
  readonly embedded: ServedModel;
  /** The model that converses, where there is one. */
  readonly talk: ServedModel | undefined;
  #home: Promise<Home> | undefined;
  /** Why Home Assistant could not be reached the last time. */
  #unreachable: PiPhiError | undefined;
  readonly #stop = new AbortController();

  constructor(private readonly options: BackendOptions) {
    const { model, load, api } = options;
    const small = Object.fromEntries(EMBEDDED_OPTIONS.map((name) => [name, load[name]] as const));
    this.embedded = new ServedModel(
      EMBEDDED_ID,
      api.EMBEDDED_MODEL,
      true,
      () => api.load(undefined, small),
      () => this.#closeHome(),
    );
    if (model !== undefined) {
      const id = path.basename(model).replace(/(\.pack)?\.gguf$/i, "");
      // What every conversation in the house begins with is read before the first one.
      const house: ChatMessage[] = [{ role: "system", content: housePrompt(undefined, "") }];
      const warm = [...(load.warm ?? []), ...(this.knowsHouse ? [house] : [])];
      this.talk = new ServedModel(id, model, false, () => api.load(model, { ...load, warm }));
    }
    this.models = [...(this.talk ? [this.talk] : []), this.embedded];
  }

  /** Whether there is a house whose commands are understood. */
  get knowsHouse(): boolean {
    return this.options.openHome !== undefined;
  }

  /**
   * The house with the model that understands its commands. Only where `knowsHouse`. Rejects with E_HOME_ASSISTANT where that
   * cannot be reached yet, so that whoever asks hears why.
   */
  async home(): Promise<Home> {
    this.#home ??= this.#openHome().catch((error) => {
      this.#home = undefined;
      throw error;
    });
    for (;;) {
      const waited = new AbortController();
      const late = pause(PATIENCE_MS, waited.signal).then(() => undefined);
      const home = await Promise.race([this.#home, late]).finally(() => waited.abort());
      if (home !== undefined) return home;
      if (this.#unreachable !== undefined) throw this.#unreachable;
    }
  }

  /** Home Assistant may start later than this: it is tried again until it is there. */
  async #openHome(): Promise<Home> {
    const { home, openHome, retry: [shortest, longest] = [1000, 30_000], onUnreachable } = this.options;
    const [api, phi] = await Promise.all([home(), this.embedded.phi()]);
    for (let wait = shortest; ; wait = Math.min(longest, 2 * wait)) {
      try {
        const opened = await openHome!(api, phi);
        this.#unreachable = undefined;
        return opened;
      } catch (error) {
        if (!(error instanceof PiPhiError) || error.code !== "E_HOME_ASSISTANT") throw error;
        if (this.#unreachable === undefined) onUnreachable?.(error);
        this.#unreachable = error;
        await pause(wait, this.#stop.signal);
        if (this.#stop.signal.aborted) throw error;
      }
    }
  }

  /** The next one who asks opens it again. */
  async #closeHome(): Promise<void> {
    const home = this.#home;
    this.#home = undefined;
    const closed = home?.then(
      (opened) => opened.close(),
      () => undefined,
    );
    // Home Assistant may never come: that is not waited for.
    if (this.#unreachable === undefined || this.#stop.signal.aborted) await closed;
  }

  /** Loads all there is, and waits for Home Assistant; rejects with the first failure that no later attempt can mend. */
  async ready(): Promise<void> {
    const house = async () => {
      if (!this.knowsHouse) return;
      await this.home().catch((error) => {
        if (this.#home === undefined) throw error;
      });
      await this.#home;
    };
    await Promise.all([...this.models.map((model) => model.phi()), house()]);
  }

  /** Whether requests are answered without waiting for a load. */
  get isReady(): boolean {
    return this.models.every(({ known }) => known);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#closeHome();
    await Promise.all(this.models.map((model) => model.unload()));
  }
}
