/** Wyoming as a door of the server. */

import type { Backend } from "../backend.ts";
import type { Door } from "../door.ts";
import type { Log } from "../log.ts";
import { assistantOf } from "./assistant.ts";
import { CONNECTION_LIMITS } from "./connection.ts";
import { History } from "./history.ts";
import { infoOf } from "./info.ts";
import { type Address, addressText, type Listening, listenWyoming } from "./listen.ts";
import { announce, type EndAnnouncement } from "./mdns.ts";

export interface WyomingOptions {
  address: Address;
  /** Tell the network of it by mDNS. */
  announce: boolean;
  /** Version of PiPhi. */
  version: string;
  /** Name of the model that converses. */
  model?: string;
}

export class WyomingDoor implements Door {
  readonly name = "wyoming";
  #listening: Listening | undefined;
  #announced: Promise<EndAnnouncement | undefined> | undefined;
  #end = () => {};
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(
    readonly options: WyomingOptions,
    readonly backend: Backend,
    readonly log: Log,
  ) {}

  async listen(): Promise<string> {
    const { address, version, model } = this.options;
    const { backend } = this;
    const info = infoOf({ version, conversation: model });
    this.#listening = await listenWyoming(address, {
      assistant: assistantOf({
        home: backend.knowsHouse ? () => backend.home() : undefined,
        talk: backend.converses ? () => backend.talk() : undefined,
      }),
      history: new History(),
      info: () => info,
      limits: CONNECTION_LIMITS,
      onTurn: (outcome, ms) => this.log("info", "turn", { door: this.name, outcome, ms: Math.round(ms) }),
    });
    void this.#listening.ended.then(this.#end);
    if (this.options.announce) this.#announced = this.#announce(this.#listening.address);
    return addressText(this.#listening.address);
  }

  /** A service that nobody is told of still serves. */
  async #announce(address: Address): Promise<EndAnnouncement | undefined> {
    if (address.kind !== "tcp") return undefined;
    try {
      return await announce(address.host, address.port);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.log("warning", "The service is not announced by mDNS. Tell Home Assistant its address.", { why });
      return undefined;
    }
  }

  async close(grace: number): Promise<void> {
    const end = await this.#announced;
    await Promise.all([end?.(), this.#listening?.close(grace)]);
  }
}
