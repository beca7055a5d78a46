/** OpenAI's API. */

import { Hono } from "hono";
import type { ServedModel } from "../../backend.ts";
import type { Serving } from "../../door.ts";
import { type Env, modelNamed } from "../request.ts";
import { chatCompletions } from "./chat.ts";
import { completions } from "./completions.ts";
import { responses } from "./responses.ts";

const shown = ({ id, created }: ServedModel) => ({ id, object: "model", created, owned_by: "piphi" });

export function openaiRoutes(serving: Serving): Hono<Env> {
  const routes = new Hono<Env>();
  routes.get("/models", (c) => c.json({ object: "list", data: serving.backend.models.map(shown) }));
  routes.get("/models/:id", (c) => c.json(shown(modelNamed(serving, c.req.param("id")))));
  routes.post("/chat/completions", (c) => chatCompletions(serving, c));
  routes.post("/completions", (c) => completions(serving, c));
  routes.post("/responses", (c) => responses(serving, c));
  return routes;
}
