/** Who may come in: checked before a request's body is looked at. */

import { createHash, timingSafeEqual } from "node:crypto";
import os from "node:os";
import type { MiddlewareHandler } from "hono";
import type { Settings } from "../settings.ts";
import { HttpError } from "./errors.ts";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** "[::1]:11435" and "Localhost." as "[::1]" and "localhost". */
const hostname = (host: string) =>
  host
    .toLowerCase()
    .replace(/:\d{1,5}$/, "")
    .replace(/\.$/, "");

/** This machine's own addresses, as they stand in a URL. */
function ownAddresses(): string[] {
  const all = Object.values(os.networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.map(({ address, family }) => (family === "IPv6" ? `[${address.toLowerCase()}]` : address));
}

/**
 * A page that a browser shows can make names of its own lead here (DNS rebinding): only names that are known are answered.
 * Where others may connect, the machine's own addresses and name are known, too.
 */
export function hostGuard({ host, "allow-host": allowed = [] }: Settings): MiddlewareHandler {
  const open = host !== "127.0.0.1" && host !== "::1" && host !== "localhost";
  const own = open ? [os.hostname().toLowerCase(), `${os.hostname().toLowerCase()}.local`] : [];
  const known = new Set([...LOOPBACK, hostname(host), `[${host.toLowerCase()}]`, ...own, ...allowed.map(hostname)]);
  return async (c, next) => {
    const name = hostname(c.req.header("host") ?? "");
    // Addresses come and go, with networks.
    const welcome = name !== "" && (known.has(name) || (open && ownAddresses().includes(name)));
    if (!welcome) {
      const shown = JSON.stringify(name.slice(0, 100));
      throw new HttpError(403, "host_not_allowed", `This server is not known as ${shown}. Start it with --allow-host.`);
    }
    await next();
  };
}

/** Pages of other origins must be allowed, or they could use a server that only this machine reaches. */
export function originGuard({ "allow-origin": allowed = [] }: Settings): MiddlewareHandler {
  return async (c, next) => {
    const origin = c.req.header("origin");
    const own = origin === `http://${c.req.header("host")}` || origin === `https://${c.req.header("host")}`;
    if (origin === undefined || own) return next();
    if (!allowed.includes(origin)) {
      const shown = JSON.stringify(origin.slice(0, 100));
      throw new HttpError(403, "origin_not_allowed", `Pages of ${shown} may not call. Start it with --allow-origin.`);
    }
    c.header("Access-Control-Allow-Origin", origin);
    c.header("Vary", "Origin");
    if (c.req.method !== "OPTIONS") return next();
    c.header("Access-Control-Allow-Methods", "GET, POST, DELETE, HEAD");
    c.header("Access-Control-Allow-Headers", c.req.header("access-control-request-headers") ?? "");
    c.header("Access-Control-Max-Age", "600");
    return c.body(null, 204);
  };
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Compares in a time that tells nothing about the key: hashes of one length, and all keys. */
export function keyGuard(keys: readonly string[]): MiddlewareHandler {
  const known = keys.map(digest);
  return async (c, next) => {
    if (known.length === 0) return next();
    const given = digest(
      /^Bearer\s+(.*)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? c.req.header("x-api-key") ?? "",
    );
    if (known.map((key) => timingSafeEqual(key, given)).includes(true)) return next();
    throw new HttpError(
      401,
      "invalid_api_key",
      "The API key is missing or wrong. Send it as Authorization: Bearer KEY.",
    );
  };
}
