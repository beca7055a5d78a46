/** How it goes: health, readiness, figures. */

import { Hono } from "hono";
import type { Serving } from "../door.ts";
import type { Env } from "./request.ts";

export function operationRoutes(serving: Serving): Hono<Env> {
  const { backend, metrics, version } = serving;
  const routes = new Hono<Env>();
  routes.get("/health", (c) => c.json({ status: "ok", version }));
  routes.get("/ready", (c) => {
    const models = backend.models.map(({ id, loaded }) => ({ id, loaded: loaded !== undefined }));
    return c.json({ ready: backend.isReady, models }, backend.isReady ? 200 : 503);
  });
  routes.get("/openapi.json", async (c) => {
    // Few ask for it, and making it takes a library.
    const { openapiDocument } = await import("./openapi.ts");
    return c.json(openapiDocument(serving));
  });
  routes.get("/metrics", async (c) => {
    return c.body(await metrics.figures.metrics(), 200, { "Content-Type": metrics.figures.contentType });
  });
  return routes;
}
