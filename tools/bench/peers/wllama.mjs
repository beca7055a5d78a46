/**
 * wllama (llama.cpp in WebAssembly) in headless Chromium, cross-origin isolated, on the CPU: node wllama.mjs JSON,
 * with the fields that `settings` names. Prints one JSON document, as llama.mjs does.
 */

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launchChromium } from "./chromium.mjs";

const settings = JSON.parse(process.argv[2]);
const { folder, model, chromium: executablePath, ...measured } = settings;

const PAGE = fileURLToPath(new URL("wllama.html", import.meta.url));
const CONTENT_TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** Serves the page at / and the packages of the peers' folder. */
function serve(request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  const inPackages = pathname.startsWith("/node_modules/");
  const file = pathname === "/" ? PAGE : path.join(folder, path.normalize(pathname));
  if (!(pathname === "/" || (inPackages && fs.existsSync(file)))) {
    response.writeHead(404).end();
    return;
  }
  const type = CONTENT_TYPES[path.extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { "Content-Type": type, ...ISOLATION });
  fs.createReadStream(file).pipe(response);
}

/** Peak resident bytes of the browser's largest process, which is the page's; null where there is no /proc. */
async function peakBytes(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const peaks = processInfo.map(({ id }) => {
    const status = `/proc/${id}/status`;
    if (!fs.existsSync(status)) return 0;
    return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(status, "utf8"))?.[1] ?? 0);
  });
  return Math.max(...peaks) || null;
}

const server = http.createServer(serve);
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const browser = await launchChromium(executablePath);
try {
  const page = await browser.newPage();
  page.on("console", (message) => message.type() === "error" && console.error(message.text().slice(0, 300)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.setInputFiles("#model", model);
  const result = await page.evaluate((options) => window.measure(options), measured);
  console.log(JSON.stringify({ ...result, peakBytes: await peakBytes(browser) }));
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
