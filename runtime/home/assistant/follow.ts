/** A house that is read from Home Assistant and follows its changes, also across restarts of Home Assistant. */

import { PiPhiError } from "../../errors.ts";
import { houseFrom } from "../house.ts";
import type { House } from "../types.ts";
import { type BusEvent, Connection, type OpenSocket } from "./connection.ts";
import { type EntityState, type HouseDocument, houseDocument, readRegistries } from "./registries.ts";

export interface FollowOptions {
  /** http(s) address of Home Assistant. */
  url: string;
  /** A long-lived access token. */
  token: string;
  signal?: AbortSignal;
  /** Called with the new house whenever it has changed. */
  onChange?: (house: House) => void;
  /** Called when the connection is lost, with why, and when it is back. */
  onConnection?: (connected: boolean, error?: PiPhiError) => void;
}

/** Milliseconds; tests make them short. */
export interface Delays {
  /** Changes come in bursts: the house is read this long after the first. */
  settle: number;
  /** The first wait before connecting anew; doubles up to `longest`. */
  retry: number;
  longest: number;
  ping: number;
}

const DELAYS: Delays = { settle: 300, retry: 1000, longest: 60_000, ping: 30_000 };

/** After a restart, Home Assistant answers long before it has all its entities: it tells when it has. */
const HOUSE_EVENTS = [
  "homeassistant_started",
  "area_registry_updated",
  "floor_registry_updated",
  "device_registry_updated",
  "entity_registry_updated",
  "core_config_updated",
];

/** A house that is kept up to date. */
export class LiveHouse {
  #house: House | undefined;
  #document = "";
  #states = new Map<string, EntityState>();
  #connection: Connection | undefined;
  #failure: PiPhiError | undefined;
  #reading: Promise<void> | undefined;
  #settling: ReturnType<typeof setTimeout> | undefined;
  readonly #stop = new AbortController();

  private constructor(
    readonly openSocket: OpenSocket,
    readonly options: FollowOptions,
    readonly delays: Delays,
  ) {}

  /**
   * Reads the house once, then follows it until `close`.
   * @throws PiPhiError E_HOME_ASSISTANT, E_TOKEN, E_USAGE, E_CANCELLED where the first reading fails; later failures only delay
   */
  static async open(openSocket: OpenSocket, options: FollowOptions, delays: Partial<Delays> = {}): Promise<LiveHouse> {
    const live = new LiveHouse(openSocket, options, { ...DELAYS, ...delays });
    await live.#connect(options.signal);
    void live.#keepConnected();
    return live;
  }

  /** The house as it was read last. */
  get house(): House {
    return this.#house!;
  }

  /** The house as house.yaml has it. */
  get document(): HouseDocument {
    return JSON.parse(this.#document) as HouseDocument;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** Why Home Assistant is not followed any more: the token was refused. */
  get failure(): PiPhiError | undefined {
    return this.#failure;
  }

  /** The state of an exposed entity. */
  state(entityId: string): EntityState | undefined {
    return this.#states.get(entityId);
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#settling);
    this.#connection?.close();
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const { url, token } = this.options;
    const connection = await Connection.open(this.openSocket, url, token, { signal, pingMs: this.delays.ping });
    const cancel = () => connection.close();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      // Subscribed first, so that nothing is missed between reading and following.
      await Promise.all([
        ...HOUSE_EVENTS.map((event) => connection.subscribe(event, () => this.#changed(connection))),
        connection.subscribe("state_changed", (event) => this.#stateChanged(connection, event)),
      ]);
      await this.#read(connection);
      this.#connection = connection;
    } catch (error) {
      connection.close();
      if (signal?.aborted) throw new PiPhiError("E_CANCELLED", "Cancelled while the house was read. Ask again.");
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  async #read(connection: Connection): Promise<void> {
    const registries = await readRegistries(connection);
    const document = houseDocument(registries);
    const { exposed_entities: exposed } = registries.exposed;
    this.#states = new Map(
      registries.states.filter((state) => exposed[state.entity_id]?.conversation).map((one) => [one.entity_id, one]),
    );
    const text = JSON.stringify(document);
    if (text === this.#document) return;
    this.#document = text;
    this.#house = houseFrom(document);
    this.options.onChange?.(this.#house);
  }

  /** Reads the house again soon; changes that come while it is read are read after it. */
  #changed(connection: Connection): void {
    this.#settling ??= setTimeout(async () => {
      await this.#reading;
      this.#settling = undefined;
      this.#reading = this.#read(connection).catch(() => undefined);
    }, this.delays.settle);
  }

  #stateChanged(connection: Connection, { data }: BusEvent): void {
    const { entity_id: id, new_state: state } = data as { entity_id: string; new_state: EntityState | null };
    const before = this.#states.get(id);
    if (before && state) this.#states.set(id, state);
    // An entity that is new, gone or called otherwise changes the house, if it is exposed.
    const name = state?.attributes.friendly_name;
    if (before ? before.attributes.friendly_name !== name : data.old_state === null) this.#changed(connection);
  }

  async #keepConnected(): Promise<void> {
    while (!this.#stop.signal.aborted && this.#connection !== undefined) {
      const error = await this.#connection.closed;
      this.#connection = undefined;
      if (this.#stop.signal.aborted) return;
      this.options.onConnection?.(false, error);
      await this.#reconnect();
    }
  }

  /** Tries again until it works, waiting ever longer, and not all clients of a house at the same moment. */
  async #reconnect(): Promise<void> {
    const { retry, longest } = this.delays;
    for (let wait = retry; !this.#stop.signal.aborted; wait = Math.min(longest, wait * 2)) {
      await pause(wait * (0.5 + Math.random() / 2), this.#stop.signal);
      try {
        await this.#connect(this.#stop.signal);
        this.options.onConnection?.(true);
        return;
      } catch (error) {
        if (this.#stop.signal.aborted || (error as PiPhiError).code !== "E_TOKEN") continue;
        // Asking again and again with a bad token gets an address banned.
        this.#failure = error as PiPhiError;
        this.options.onConnection?.(false, this.#failure);
        return;
      }
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
