/** HTTP: listens, keeps slow and idle clients from holding what others need, and drains. */

import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { PiPhiError } from "../../../runtime/errors.ts";
import type { Door, Serving } from "../door.ts";
import { createApp } from "./app.ts";

/** A request's head must be there within this, and all of it within that (ms): a slow loris gets no further. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const KEEP_ALIVE_MS = 30_000;
const LONGEST_HEADERS_BYTES = 16_384;

export async function httpDoor(serving: Serving): Promise<Door> {
  const { host, port, "max-connections": most } = serving.settings;
  const serverOptions = {
    maxHeaderSize: LONGEST_HEADERS_BYTES,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 2000,
    noDelay: true,
  };
  const server = createAdaptorServer({ fetch: createApp(serving).fetch, serverOptions }) as Server;
  server.maxConnections = most;
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw cannotListen(host, port, error as NodeJS.ErrnoException);
  }
  const { port: bound } = server.address() as AddressInfo;
  return {
    name: "HTTP",
    addresses: [`http://${host.includes(":") ? `[${host}]` : host}:${bound}`],
    async close(graceMs) {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

function cannotListen(host: string, port: number, { code, message }: NodeJS.ErrnoException): PiPhiError {
  if (code === "EADDRINUSE") {
    const remedy = "Stop what listens there (another piphi serve?), or give another --port.";
    return new PiPhiError("E_USAGE", `Port ${port} of ${host} is in use. ${remedy}`, { host, port });
  }
  return new PiPhiError("E_USAGE", `Nobody can listen at ${host}:${port} (${message}). Give another --host or --port.`);
}
