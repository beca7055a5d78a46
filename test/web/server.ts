/** A web server on this machine: PiPhi's built files, a page that imports them, models, and answers as servers fail. */

import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const TYPES: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm" };

const PAGE = `<!doctype html><title>piphi</title>
<script type="module">globalThis.piphi = await import("/dist/devices/web/index.js");</script>`;

/** What a page needs to be cross-origin isolated, and so to share memory with workers. */
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** The library without its worker beside it. */
export const LONELY = "/lonely/index.js";

export interface TestServer {
  /** Without a slash at the end. */
  origin: string;
  close(): void;
}

/** @param models by path; besides them, /page.gguf is HTML, /broken.gguf breaks off, /endless.gguf never ends */
export async function startServer(isolated: boolean, models: ReadonlyMap<string, Uint8Array>): Promise<TestServer> {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (isolated) for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    const model = models.get(pathname);
    if (model) response.writeHead(200, { "Content-Length": model.length }).end(model);
    else if (pathname === "/" || pathname === "/page.gguf") response.setHeader("Content-Type", "text/html").end(PAGE);
    else if (pathname === "/broken.gguf") sendSome(response, () => response.destroy());
    else if (pathname === "/endless.gguf") sendSome(response, () => {});
    else if (pathname === "/locked.gguf") response.writeHead(403).end();
    else if (pathname === LONELY) await sendFile(response, "devices/web/index.js");
    else if (pathname.startsWith("/dist/")) await sendFile(response, pathname.slice("/dist/".length));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/** The first 64 KiB of what is announced as a megabyte. */
function sendSome(response: http.ServerResponse, then: () => void): void {
  const some = new Uint8Array(1 << 16);
  some.set(new TextEncoder().encode("GGUF"));
  response.writeHead(200, { "Content-Length": 1 << 20 }).write(some, then);
}

async function sendFile(response: http.ServerResponse, name: string): Promise<void> {
  const file = path.join(DIST, name);
  const body = file.startsWith(DIST) ? await readFile(file).catch(() => undefined) : undefined;
  if (!body) response.writeHead(404).end();
  else response.setHeader("Content-Type", TYPES[path.extname(file)] ?? "application/octet-stream").end(body);
}
