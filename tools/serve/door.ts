/** What listens: each door speaks its own protocol, and all lead to the same models. */

import type { Backend } from "./backend.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Settings } from "./settings.ts";

export interface Serving {
  readonly backend: Backend;
  readonly settings: Settings;
  /** One of these must be sent; none: everybody may come. */
  readonly keys: readonly string[];
  readonly log: Log;
  readonly metrics: Metrics;
  /** PiPhi's version. */
  readonly version: string;
}

export interface Door {
  readonly name: string;
  /** Where clients find it, such as http://127.0.0.1:11435. */
  readonly addresses: readonly string[];
  /** Resolves when nobody can come any more: a client on standard input has left. */
  readonly ended?: Promise<void>;
  /** Takes nothing new, lets answers that run end, and cuts them off after so many milliseconds. */
  close(graceMs: number): Promise<void>;
}

/** Opens a door; undefined where the settings want none. Throws E_USAGE where it cannot listen. */
export type OpenDoor = (serving: Serving) => Promise<Door | undefined>;
