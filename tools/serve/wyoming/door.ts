/** Wyoming as a door of the server: at one or several addresses, announced where the network can reach them. */

import { PiPhiError } from "../../../runtime/errors.ts";
import type { Door, Serving } from "../door.ts";
import { assistantOf } from "./assistant.ts";
import { CONNECTION_LIMITS, type Service } from "./connection.ts";
import { History } from "./history.ts";
import { infoOf } from "./info.ts";
import { type Address, addressText, type Listening, listenWyoming, parseAddress } from "./listen.ts";
import { announce, type EndAnnouncement } from "./mdns.ts";

/** Where the settings want it; throws E_USAGE. */
export function addressesOf({ settings }: Pick<Serving, "settings">): Address[] {
  const { wyoming: uris, host, "wyoming-port": port } = settings;
  if (uris === undefined) return [{ kind: "tcp", host, port }];
  return uris.filter((uri) => uri !== "none").map(parseAddress);
}

/** What answers at every address. */
function serviceOf(serving: Serving): Service {
  const { backend, settings, log, metrics, version } = serving;
  const info = infoOf({ version, conversation: backend.talk?.id });
  return {
    assistant: assistantOf({
      home: backend.knowsHouse ? () => backend.home() : undefined,
      talk: backend.talk && (() => backend.talk!.phi()),
      seconds: settings.timeout,
      onAnswer: (result) => metrics.answered(result),
    }),
    history: new History(),
    info: () => info,
    limits: CONNECTION_LIMITS,
    onTurn({ event, outcome, ms, said, answered }) {
      metrics.requests.inc({ door: "wyoming", route: event, status: outcome });
      metrics.seconds.observe({ door: "wyoming", route: event }, ms / 1000);
      if (outcome !== "gone")
        metrics.commands.inc({ door: "wyoming", outcome: outcome === "intent" ? "command" : "none" });
      log.info({ door: "wyoming", event, outcome, ms: Math.round(ms), ...log.said({ said, answered }) }, "turn");
    },
  };
}

/** A service that nobody is told of still serves. */
async function tell(address: Address, { settings, log }: Serving): Promise<EndAnnouncement | undefined> {
  if (address.kind !== "tcp" || settings["no-mdns"]) return undefined;
  try {
    return await announce(address.host, address.port);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.warn({ door: "wyoming", why }, "Wyoming is not announced by mDNS. Tell Home Assistant its address.");
    return undefined;
  }
}

/** Throws E_USAGE where it cannot listen. */
export async function wyomingDoor(serving: Serving): Promise<Door | undefined> {
  const addresses = addressesOf(serving);
  if (addresses.length === 0) return undefined;
  if (addresses.filter(({ kind }) => kind === "stdio").length > 1) {
    throw new PiPhiError("E_USAGE", "There is one standard input. Give --wyoming stdio:// once.");
  }
  const service = serviceOf(serving);
  const most = serving.settings["max-connections"];
  const listening: Listening[] = [];
  try {
    for (const address of addresses) listening.push(await listenWyoming(address, service, most));
  } catch (error) {
    await Promise.all(listening.map((one) => one.close(0)));
    throw error;
  }
  const told = listening.map(({ address }) => tell(address, serving));
  return {
    name: "Wyoming",
    addresses: listening.map(({ address }) => addressText(address)),
    // Whoever started it to speak over its streams alone has left.
    ended: Promise.all(listening.map(({ ended }) => ended)).then(() => undefined),
    async close(graceMs) {
      const ends = Promise.all(told.map(async (one) => (await one)?.()));
      await Promise.all([ends, ...listening.map((one) => one.close(graceMs))]);
    },
  };
}
