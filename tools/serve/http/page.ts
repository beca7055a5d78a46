/** The page at `/`, and what it asks for beside the APIs. */

import { readFile } from "node:fs/promises";
import { type Context, Hono } from "hono";
import { distPath } from "../../../devices/node/paths.ts";
import type { Serving } from "../door.ts";
import { HttpError } from "./errors.ts";
import { idsBody, sentenceBody, textBody } from "./page-schemas.ts";
import { type Env, modelNamed, readBody, untilGone } from "./request.ts";

const FILES = { "": "text/html", "page.css": "text/css", "page.js": "text/javascript" } as const;
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'";

/** What the page shows about the server. */
async function stateOf({ backend, version }: Serving) {
  const home = backend.knowsHouse && backend.embedded.loaded ? await backend.home().catch(() => undefined) : undefined;
  const models = backend.models.map(async ({ id, loaded }) => {
    if (loaded === undefined) return { id, loaded: false };
    const { quantization, threads, kernel, contextLength } = loaded.info;
    return { id, loaded: true, status: await loaded.status(), info: { quantization, threads, kernel, contextLength } };
  });
  return {
    version,
    ready: backend.isReady,
    residentBytes: process.memoryUsage.rss(),
    models: await Promise.all(models),
    house: home ? { areas: home.house.areas.map(({ name }) => name), entities: home.house.entities.length } : null,
  };
}

async function understand(serving: Serving, c: Context<Env>): Promise<Response> {
  const { backend, metrics, log, settings } = serving;
  if (!backend.knowsHouse) {
    throw new HttpError(404, "no_house", "No house is known here. Start with --house FILE or --home-assistant URL.");
  }
  const { text, area } = await readBody(c, sentenceBody);
  const home = await backend.home();
  const signal = untilGone(c, settings.timeout);
  const understood = await home.understand(text, { area: area ?? undefined, explain: true, signal });
  metrics.commands.inc({ door: "http", outcome: understood.intents.length > 0 ? "command" : "none" });
  c.set("fields", log.said({ said: text }));
  return c.json(understood);
}

export function pageRoutes(serving: Serving): Hono<Env> {
  const routes = new Hono<Env>();
  for (const [name, type] of Object.entries(FILES)) {
    routes.get(`/${name}`, async (c) => {
      const content = await readFile(distPath(`tools/page/${name || "index.html"}`));
      const headers = { "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff" };
      return c.body(new Uint8Array(content), 200, { "Content-Type": `${type}; charset=utf-8`, ...headers });
    });
  }
  routes.get("/server", async (c) => c.json(await stateOf(serving)));
  routes.post("/understand", (c) => understand(serving, c));
  routes.post("/tokenize", async (c) => {
    const { text, model } = await readBody(c, textBody);
    return c.json(await (await modelNamed(serving, model ?? undefined).phi()).tokenize(text));
  });
  routes.post("/detokenize", async (c) => {
    const { ids, model } = await readBody(c, idsBody);
    return c.json({ text: await (await modelNamed(serving, model ?? undefined).phi()).detokenize(ids) });
  });
  return routes;
}
