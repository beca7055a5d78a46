/** A web server on this machine: PiPhi's built files, a page that imports them, models, and answers as servers fail. */

import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const TYPES: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm" };

const PAGE = `<!doctype html><title>piphi</title>
<script type="module">globalThis.piphi = await import("/dist/devices/web/index.js");</script>`;

/** What a page needs to be cross-origin isolated, and so to share memory with workers. */
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const CHUNK_BYTES = 1 << 16;

/** The library without its worker beside it. */
export const LONELY = "/lonely/index.js";

/** The package, on a browser that names more cores than it has. */
export const BOASTFUL = "/boastful/";

/** Whether it has answered. */
export type Handle = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  pathname: string,
) => boolean | Promise<boolean>;

export interface TestServer {
  /** Without a slash at the end. */
  origin: string;
  /** Bytes of models that left the server, by path. */
  sent: Map<string, number>;
  close(): void;
}

/**
 * @param models by path; with ?whole the server knows no ranges, with ?unsized it does not tell the file's size.
 * @param handle answers first, where it wants to
 * Besides them, /page.gguf is HTML, /broken.gguf breaks off, /endless.gguf never ends, /short.gguf ends too early.
 */
export async function startServer(
  isolated: boolean,
  models: ReadonlyMap<string, Uint8Array>,
  handle: Handle = () => false,
): Promise<TestServer> {
  const sent = new Map<string, number>();
  const server = http.createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    if (isolated) for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    // As a CDN does.
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
    // Of a page; its workers have the policy of their own answer.
    const policy =
      searchParams.get("csp") ?? new URL(request.headers.referer ?? "http://localhost").searchParams.get("csp");
    if (policy) response.setHeader("Content-Security-Policy", policy);
    const model = models.get(pathname);
    if (await handle(request, response, pathname)) return;
    if (model) {
      const range = searchParams.has("whole") ? undefined : request.headers.range;
      const count = (bytes: number) => sent.set(pathname, (sent.get(pathname) ?? 0) + bytes);
      await sendModel(response, model, range, !searchParams.has("unsized"), count);
    } else if (pathname === "/" || pathname === "/page.gguf") response.setHeader("Content-Type", "text/html").end(PAGE);
    else if (pathname === "/broken.gguf") sendSome(response, () => response.destroy());
    else if (pathname === "/endless.gguf") sendSome(response, () => {});
    else if (pathname === "/short.gguf") sendShort(response);
    else if (pathname === "/locked.gguf") response.writeHead(403).end();
    else if (pathname === LONELY) await sendFile(response, "devices/web/index.js");
    else if (pathname === `${BOASTFUL}devices/web/worker.js`) sendBoast(response);
    else if (pathname.startsWith(BOASTFUL)) await sendFile(response, pathname.slice(BOASTFUL.length));
    else if (pathname.startsWith("/dist/")) await sendFile(response, pathname.slice("/dist/".length));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent, close };
}

/** A model, or of a range from its beginning what it has; as fast as the network takes it. */
async function sendModel(
  response: http.ServerResponse,
  model: Uint8Array,
  range: string | undefined,
  sized: boolean,
  count: (bytes: number) => void,
): Promise<void> {
  const asked = Number(/^bytes=0-(\d+)$/.exec(range ?? "")?.[1] ?? model.length - 1) + 1;
  const body = model.subarray(0, asked);
  if (sized) response.setHeader("Content-Length", body.length);
  if (sized && range) response.setHeader("Content-Range", `bytes 0-${body.length - 1}/${model.length}`);
  response.writeHead(range ? 206 : 200);
  const chunks = function* () {
    for (let at = 0; at < body.length; at += CHUNK_BYTES) {
      const chunk = body.subarray(at, at + CHUNK_BYTES);
      count(chunk.length);
      yield chunk;
    }
  };
  await pipeline(Readable.from(chunks(), { highWaterMark: 1 }), response).catch(() => {}); // the browser had enough
}

/** The worker, told of four cores. */
function sendBoast(response: http.ServerResponse): void {
  const script = `import "data:text/javascript,Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 })";
import "/dist/devices/web/worker.js";`;
  response.setHeader("Content-Type", TYPES[".js"]).end(script);
}

/** A range that stops before what was asked for and what the file is said to have. */
function sendShort(response: http.ServerResponse): void {
  const some = new Uint8Array(CHUNK_BYTES);
  some.set(new TextEncoder().encode("GGUF"));
  response.writeHead(206, { "Content-Range": `bytes 0-${some.length - 1}/${1 << 30}` }).end(some);
}

/** The first 64 KiB of what is announced as a megabyte. */
function sendSome(response: http.ServerResponse, then: () => void): void {
  const some = new Uint8Array(CHUNK_BYTES);
  some.set(new TextEncoder().encode("GGUF"));
  response.writeHead(200, { "Content-Length": 1 << 20 }).write(some, then);
}

async function sendFile(response: http.ServerResponse, name: string): Promise<void> {
  const file = path.join(DIST, name);
  const body = file.startsWith(DIST) ? await readFile(file).catch(() => undefined) : undefined;
  if (!body) response.writeHead(404).end();
  else response.setHeader("Content-Type", TYPES[path.extname(file)] ?? "application/octet-stream").end(body);
}
