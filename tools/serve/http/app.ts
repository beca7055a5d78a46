/** All of HTTP as one function from requests to responses: guards, then the routes of each API. */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { Serving } from "../door.ts";
import { HttpError, httpError, ollamaError, openaiError } from "./errors.ts";
import { hostGuard, keyGuard, originGuard } from "./guards.ts";
import { ollamaRoutes } from "./ollama/routes.ts";
import { openaiRoutes } from "./openai/routes.ts";
import { operationRoutes } from "./operations.ts";
import { pageRoutes } from "./page.ts";
import type { Env } from "./request.ts";

/** What anybody may ask who comes from a known host: nothing of it is anybody's. */
const OPEN_PATHS = new Set(["/health", "/ready", "/", "/page.css", "/page.js"]);

export function createApp(serving: Serving): Hono<Env> {
  const { settings, keys, metrics, log } = serving;
  const app = new Hono<Env>();
  const maxSize = Math.round(settings["max-body"] * 1e6);

  app.use(async (c, next) => {
    const started = performance.now();
    const { method } = c.req;
    await next();
    const route = c.req.routePath === "/*" ? "unknown" : c.req.routePath;
    const seconds = (performance.now() - started) / 1000;
    metrics.requests.inc({ door: "http", route, status: c.res.status });
    metrics.seconds.observe({ door: "http", route }, seconds);
    log.info({ method, route, status: c.res.status, ms: Math.round(seconds * 1000), ...c.get("fields") }, "request");
  });
  app.use(hostGuard(settings));
  app.use(originGuard(settings));
  const key = keyGuard(keys);
  app.use((c, next) => (OPEN_PATHS.has(c.req.path) ? next() : key(c, next)));
  const tooLarge = () => {
    throw new HttpError(
      413,
      "body_too_large",
      `The body has more than ${maxSize} bytes. Send less, or raise --max-body.`,
    );
  };
  app.use(bodyLimit({ maxSize, onError: tooLarge }));
  const onMethodNotAllowed = (c: Context, methods: string[]) => {
    c.header("Allow", methods.join(", "));
    const error = new HttpError(
      405,
      "method_not_allowed",
      `Only ${methods.join(" and ")} can be asked of this address.`,
    );
    return c.json(c.req.path.startsWith("/api/") ? ollamaError(error) : openaiError(error), 405);
  };
  app.use(methodNotAllowed({ app, onMethodNotAllowed }));

  app.route("/", pageRoutes(serving));
  app.route("/", operationRoutes(serving));
  app.route("/v1", openaiRoutes(serving));
  app.route("/api", ollamaRoutes(serving));

  app.notFound((c) => {
    const error = new HttpError(404, "unknown_url", `There is no ${c.req.method} ${c.req.path.slice(0, 200)} here.`);
    return c.json(c.req.path.startsWith("/api/") ? ollamaError(error) : openaiError(error), 404);
  });
  app.onError((error, c) => {
    const known = httpError(error);
    if (known.status === 500) log.error({ error: error.stack }, "a request failed");
    if (known.status === 503) c.header("Retry-After", "1");
    const body = c.req.path.startsWith("/api/") ? ollamaError(known) : openaiError(known);
    return c.json(body, known.status as 400);
  });
  return app;
}
