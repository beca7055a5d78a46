/** Where Wyoming listens: tcp://host:port, unix:///path or stdio://, as other Wyoming services write it. */

import { once } from "node:events";
import fs from "node:fs";
import net, { type AddressInfo } from "node:net";
import { Duplex } from "node:stream";
import { PiPhiError } from "../../../runtime/errors.ts";
import { pause } from "../pause.ts";
import { Connection, type Service } from "./connection.ts";

export type Address = { kind: "tcp"; host: string; port: number } | { kind: "unix"; path: string } | { kind: "stdio" };

/** Throws E_USAGE. */
export function parseAddress(uri: string): Address {
  if (uri === "stdio://") return { kind: "stdio" };
  const unix = /^unix:\/\/(.+)$/.exec(uri);
  if (unix) return { kind: "unix", path: unix[1] };
  const tcp = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})$/.exec(uri);
  const port = Number(tcp?.[3]);
  if (tcp && port < 65536) return { kind: "tcp", host: tcp[1] ?? tcp[2], port };
  const message = `"${uri.slice(0, 100)}" is no Wyoming address. Give tcp://127.0.0.1:10400, unix:///path/to/socket or stdio://.`;
  throw new PiPhiError("E_USAGE", message);
}

export function addressText(address: Address): string {
  if (address.kind === "stdio") return "stdio://";
  if (address.kind === "unix") return `unix://${address.path}`;
  return `tcp://${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** A Wyoming service that listens. */
export interface Listening {
  /** With the port that the system chose, where 0 was asked for. */
  readonly address: Address;
  /** Resolves when there is nobody left to serve: only with stdio://. */
  readonly ended: Promise<void>;
  /** Takes no new clients, answers what was asked, and lets go of all after so many milliseconds. */
  close(grace: number): Promise<void>;
}

function cannotListen(address: Address, { code, message }: NodeJS.ErrnoException): PiPhiError {
  const where = addressText(address);
  if (code === "EADDRINUSE") {
    return new PiPhiError("E_USAGE", `${where} is in use. Stop what listens there, or give another --wyoming-port.`);
  }
  return new PiPhiError("E_USAGE", `Nobody can listen at ${where} (${message}). Give another address.`);
}

/** A socket's file that nobody listens at is left over from a process that was killed. */
async function removeLeftover(path: string): Promise<void> {
  if (!fs.existsSync(path)) return;
  if (!fs.lstatSync(path).isSocket()) {
    throw new PiPhiError("E_USAGE", `${path} is there already, and no socket. Give another path.`, { path });
  }
  const probe = net.connect(path);
  const alive = await once(probe, "connect").then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ECONNREFUSED",
  );
  probe.destroy();
  if (!alive) fs.rmSync(path, { force: true });
}

/** The connections of a server. */
class Clients {
  readonly #all = new Set<Connection>();

  constructor(
    readonly service: Service,
    readonly most: number,
  ) {}

  add(stream: Duplex): Connection {
    if (this.#all.size >= this.most) this.#makeRoom();
    const connection = new Connection(stream, this.service);
    this.#all.add(connection);
    stream.on("close", () => this.#all.delete(connection));
    return connection;
  }

  /** Lets one go that asks nothing now, the longest silent first; the oldest where all do. */
  #makeRoom(): void {
    const idle = [...this.#all].filter((one) => !one.busy);
    const [first, ...others] = idle.length > 0 ? idle : [...this.#all];
    others.reduce((oldest, one) => (one.used < oldest.used ? one : oldest), first).close();
  }

  async close(grace: number): Promise<void> {
    const drained = new AbortController();
    const late = pause(grace, drained.signal);
    await Promise.race([Promise.all([...this.#all].map((one) => one.drained())), late]);
    drained.abort();
    for (const one of this.#all) one.close();
  }
}

/** The process's own streams are the one client. */
function serveStdio(service: Service): Listening {
  const clients = new Clients(service, 1);
  const stream = Duplex.from({ readable: process.stdin, writable: process.stdout });
  const ended = new Promise<void>((resolve) => stream.on("close", resolve));
  clients.add(stream);
  return { address: { kind: "stdio" }, ended, close: (grace) => clients.close(grace) };
}

/**
 * @param most connections: with one more, the one that was silent longest is let go
 * @throws PiPhiError E_USAGE where it cannot listen there
 */
export async function listenWyoming(address: Address, service: Service, most: number): Promise<Listening> {
  if (address.kind === "stdio") return serveStdio(service);
  if (address.kind === "unix") await removeLeftover(address.path);
  const clients = new Clients(service, most);
  // A client may close its half and wait for the answer.
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
    clients.add(socket);
  });
  server.listen(
    address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port, backlog: 511 },
  );
  try {
    await once(server, "listening");
  } catch (error) {
    throw cannotListen(address, error as NodeJS.ErrnoException);
  }
  // Where there are no file descriptors left, a client waits, and the others go on.
  server.on("error", () => undefined);
  const port = address.kind === "tcp" ? (server.address() as AddressInfo).port : 0;
  const close = async (grace: number) => {
    const closed = once(server, "close");
    server.close();
    await clients.close(grace);
    await closed;
  };
  let closing: Promise<void> | undefined;
  return {
    address: address.kind === "tcp" ? { ...address, port } : address,
    ended: new Promise(() => undefined),
    close: (grace) => (closing ??= close(grace)),
  };
}
