/** Visits to a page that keeps the model, in one Chromium: a first one that downloads it, and others that are measured. */

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launchPersistent } from "../peers/chromium.mjs";

const DIST = fileURLToPath(new URL("../../../dist/", import.meta.url));
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const PAGE =
  '<!doctype html><script type="module">globalThis.piphi = await import("/dist/devices/web/core.js");</script>';
const MODEL = "/model.gguf";

/** The package, the page and the model; the page is isolated while `state` says so. */
function serve(model, state) {
  return (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = pathname === MODEL ? model : path.join(DIST, path.normalize(pathname).replace(/^\/dist\//, "/"));
    if (state.isolated) for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    if (pathname === "/") response.setHeader("Content-Type", "text/html").end(PAGE);
    else if (!fs.existsSync(file)) response.writeHead(404).end();
    else {
      response.setHeader("Content-Type", TYPES[path.extname(file)] ?? "application/octet-stream");
      response.setHeader("Content-Length", fs.statSync(file).size);
      if (request.method === "HEAD") response.end();
      else fs.createReadStream(file).pipe(response);
    }
  };
}

/** Peak resident bytes of a browser's largest process; null where there is no /proc. */
function peakBytes(profile) {
  const peaks = fs.existsSync("/proc")
    ? fs.readdirSync("/proc").map((id) => {
        try {
          if (!fs.readFileSync(`/proc/${id}/cmdline`, "utf8").includes(profile)) return 0;
          return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0);
        } catch {
          return 0; // it has ended
        }
      })
    : [];
  return Math.max(0, ...peaks) || null;
}

/** Runs in the page. */
async function visit([model, options, { promptTokens, generateTokens, repeat }]) {
  const contextLength = Math.ceil((promptTokens + generateTokens) / 128) * 128;
  const start = performance.now();
  const phi = await globalThis.piphi.load(model, { store: true, parallel: 1, contextLength, ...options });
  const readyMs = performance.now() - start;
  const prefill = [];
  const decode = [];
  for (let round = 0; round <= repeat; round++) {
    // Another beginning each time, so that nothing is cached.
    const ids = Array.from({ length: promptTokens }, (_, i) => 1 + ((i * 31 + round * 17) % 200));
    const { timings } = await phi.generate(ids, {
      maxTokens: generateTokens,
      ignoreEos: true,
      temperature: 0,
      drafts: 0,
    });
    if (round === 0) continue; // warms up
    prefill.push(timings.prefillTokensPerSecond);
    decode.push(timings.decodeTokensPerSecond);
  }
  const { threads, sharing } = phi.info;
  const { mode, pinnedBytes, streamedBytesPerToken } = await phi.memory();
  await phi.close();
  return { threads, sharing, mode, pinnedBytes, streamedBytesPerToken, readyMs, prefill, decode };
}

export async function measureVisits({ model, chromium, profile, threads, ram, onRow, ...counts }) {
  const state = { isolated: true };
  const server = http.createServer(serve(model, state));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const address = `http://127.0.0.1:${server.address().port}/`;
  const inPage = async (work) => {
    const context = await launchPersistent(chromium, profile);
    try {
      const page = await context.newPage();
      await page.goto(address);
      await page.waitForFunction("globalThis.piphi");
      return await work(page);
    } finally {
      await context.close();
    }
  };
  const rows = [];
  try {
    onRow("first visit: the model is downloaded and packed");
    await inPage((page) => page.evaluate((url) => globalThis.piphi.store.download(url), MODEL));
    for (const [name, isolated, options] of [
      ["isolated", true, { threads }],
      [`isolated, ${ram}`, true, { threads, ram }],
      ["not isolated, one thread", false, { threads: 1 }],
      ["not isolated, shards", false, { threads }],
    ]) {
      onRow(name);
      state.isolated = isolated;
      rows.push(
        await inPage(async (page) => {
          const row = await page.evaluate(visit, [MODEL, options, counts]);
          return { page: name, ...row, peakBytes: peakBytes(profile) };
        }),
      );
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return rows;
}
