/**
 * Announces the service by mDNS as `_wyoming._tcp`, so that Home Assistant finds it without an address. By ciao, which follows
 * networks as they come and go (a board's Wi-Fi is up long after the service), and gives way where a name is taken.
 */

import os from "node:os";

/** Stops announcing, and says goodbye, so that it is forgotten at once. */
export type EndAnnouncement = () => Promise<void>;

/** Nobody else can reach these. */
const isLoopback = (host: string) => host === "localhost" || host === "::1" || host.startsWith("127.");
const isAny = (host: string) => host === "0.0.0.0" || host === "::";

/** A label of the DNS, and no longer than what clients show: 63 bytes. */
export function serviceName(hostname: string): string {
  let name = `PiPhi on ${hostname.split(".")[0]}`;
  while (Buffer.byteLength(name) > 63) name = name.slice(0, -1);
  return name;
}

/**
 * @param host where the service listens: of loopback, nothing is announced
 * @throws where ciao is not installed, or no network takes the announcement
 */
export async function announce(
  host: string,
  port: number,
  hostname = os.hostname(),
): Promise<EndAnnouncement | undefined> {
  if (isLoopback(host)) return undefined;
  const { getResponder } = await import("@homebridge/ciao");
  const responder = getResponder();
  const restrictedAddresses = isAny(host) ? undefined : [host];
  const service = responder.createService({ name: serviceName(hostname), type: "wyoming", port, restrictedAddresses });
  await service.advertise();
  return async () => {
    await service.end();
    await responder.shutdown();
  };
}
