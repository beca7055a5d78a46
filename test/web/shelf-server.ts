/** Models on a server that does what it is told: knows ranges or not, breaks off, changes the file, packs it up. */

import type http from "node:http";
import { gzipSync } from "node:zlib";
import type { Handle } from "./server.ts";

export interface Shelved {
  bytes: Uint8Array;
  etag?: string;
  /** Default: true. */
  ranges?: boolean;
  /** Whether it tells the size; default: true. */
  sized?: boolean;
  gzip?: boolean;
  /** Where the address leads instead. */
  redirect?: string;
  /** The connection breaks after so many bytes of an answer, as often as that; default: once. */
  cutAfter?: number;
  cuts?: number;
  /** After so many bytes nothing comes any more. */
  stallAfter?: number;
  /** Answers with this as often as that. */
  status?: number;
  refusals?: number;
  /** Whether other origins may read it, and whether they may see the headers that tell of ranges and versions; default: true. */
  cors?: boolean;
  exposed?: boolean;
}

export interface Asked {
  path: string;
  range?: string;
  ifRange?: string;
  status: number;
  /** Bytes of the body that were sent. */
  sent: number;
}

export class Shelf {
  readonly models = new Map<string, Shelved>();
  /** GET requests so far. */
  asked: Asked[] = [];

  readonly handle: Handle = (request, response, pathname) => {
    const model = this.models.get(pathname);
    if (!model) return false;
    const asked: Asked = { path: pathname, status: 200, sent: 0 };
    const { range, "if-range": ifRange } = request.headers as Record<string, string | undefined>;
    Object.assign(asked, range && { range }, ifRange && { ifRange });
    if (request.method === "GET") this.asked.push(asked);
    this.answer(model, request, response, asked);
    return true;
  };

  /** Breaks off what has stalled; the next request is refused. */
  refuse(path: string): void {
    const model = this.models.get(path)!;
    Object.assign(model, { status: 403, refusals: 1, stallAfter: undefined });
    for (const response of this.stalled.splice(0)) response.destroy();
  }

  private readonly stalled: http.ServerResponse[] = [];

  private answer(model: Shelved, request: http.IncomingMessage, response: http.ServerResponse, asked: Asked): void {
    const { range, ifRange } = asked;
    if (model.cors === false) response.removeHeader("Access-Control-Allow-Origin");
    if (model.exposed !== false) {
      response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag, Last-Modified, Accept-Ranges");
    }
    if (model.redirect) return void response.writeHead((asked.status = 302), { Location: model.redirect }).end();
    if (model.status && (model.refusals ?? 1) > 0) {
      model.refusals = (model.refusals ?? 1) - 1;
      return void response.writeHead((asked.status = model.status)).end();
    }
    if (model.etag) response.setHeader("ETag", model.etag);
    if (model.gzip) {
      const body = gzipSync(model.bytes);
      response.writeHead(200, { "Content-Encoding": "gzip", "Content-Length": body.length });
      return void response.end(request.method === "HEAD" ? undefined : body);
    }
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const known = model.ranges !== false && range !== undefined && (ifRange === undefined || ifRange === model.etag);
    if (known && from >= model.bytes.length) {
      return void response.writeHead((asked.status = 416), { "Content-Range": `bytes */${model.bytes.length}` }).end();
    }
    const body = known ? model.bytes.subarray(from) : model.bytes;
    if (known) response.setHeader("Content-Range", `bytes ${from}-${model.bytes.length - 1}/${model.bytes.length}`);
    if (model.sized !== false) response.setHeader("Content-Length", body.length);
    response.writeHead((asked.status = known ? 206 : 200));
    if (request.method === "HEAD") return void response.end();
    this.send(model, body, response, asked);
  }

  private send(model: Shelved, body: Uint8Array, response: http.ServerResponse, asked: Asked): void {
    const { cutAfter = body.length, cuts = 1, stallAfter = body.length } = model;
    const cut = cutAfter < body.length && cuts > 0;
    const some = body.subarray(0, cut ? cutAfter : stallAfter);
    asked.sent = some.length;
    if (cut) {
      model.cuts = cuts - 1;
      // A connection that ends takes along what the page has not read yet.
      response.write(some, () => setTimeout(() => response.destroy(), 200));
    } else if (some.length < body.length) {
      this.stalled.push(response);
      response.write(some);
    } else response.end(some);
  }
}
