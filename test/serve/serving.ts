/** A server in this process, on a port of its own, with the embedded model and a model of random weights. */

import { fileURLToPath } from "node:url";
import * as home from "../../devices/node/home/index.ts";
import * as api from "../../devices/node/index.ts";
import { Backend } from "../../tools/serve/backend.ts";
import type { Door, OpenDoor, Serving } from "../../tools/serve/door.ts";
import { openLog } from "../../tools/serve/log.ts";
import { Metrics } from "../../tools/serve/metrics.ts";
import { type Settings, settingsOf } from "../../tools/serve/settings.ts";

const HOUSE = fileURLToPath(new URL("../../examples/house.yaml", import.meta.url));

export interface Served extends AsyncDisposable {
  url: string;
  port: number;
  serving: Serving;
  door: Door;
  /** Lines of the log, parsed. */
  logged: Record<string, unknown>[];
}

export interface ServeOptions {
  settings?: Partial<Settings>;
  /** A model beside the embedded one. */
  model?: string;
  /** Whether it knows examples/house.yaml. */
  house?: boolean;
  keys?: string[];
  load?: api.NodeLoadOptions;
  /** Answers before the models are there. */
  unready?: boolean;
}

export async function serve(open: OpenDoor, options: ServeOptions = {}): Promise<Served> {
  const { model, keys = [], load = {} } = options;
  const settings = {
    ...settingsOf({}, {}),
    port: 0,
    "wyoming-port": 0,
    "log-level": "debug" as const,
    ...options.settings,
  };
  const openHome = options.house
    ? async (_: unknown, phi: api.Phi) => home.openHome({ house: home.readHouseFile(HOUSE), phi })
    : undefined;
  const backend = new Backend({ model, load, openHome, api, home: async () => home });
  const logged: Record<string, unknown>[] = [];
  const stderr = { write: (line: string) => logged.push(JSON.parse(line)) } as unknown as NodeJS.WritableStream;
  const log = openLog(settings, stderr);
  const serving: Serving = { backend, settings, keys, log, metrics: new Metrics(backend), version: "0.0.0" };
  const door = (await open(serving))!;
  if (!options.unready) await backend.ready();
  return {
    url: door.addresses[0],
    port: Number(new URL(door.addresses[0]).port),
    serving,
    door,
    logged,
    async [Symbol.asyncDispose]() {
      await door.close(0);
      await backend.close();
    },
  };
}
