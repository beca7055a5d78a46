/** What the APIs share about a request: its body, its model, and that it ends when nobody waits for it any more. */

import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import * as v from "valibot";
import type { ServedModel } from "../backend.ts";
import type { Serving } from "../door.ts";
import { HttpError } from "./errors.ts";

export interface Env {
  Bindings: HttpBindings;
  /** Fields for the log. */
  Variables: { fields: Record<string, unknown> };
}

/** Depth of a body's JSON: more than any message, less than what overflows a stack. */
const DEEPEST = 100;

function refuseDepth(value: unknown, depth = 0): void {
  if (typeof value !== "object" || value === null) return;
  if (depth >= DEEPEST)
    throw new HttpError(400, "invalid_json", `The body is nested deeper than ${DEEPEST}. Flatten it.`);
  for (const one of Object.values(value)) refuseDepth(one, depth + 1);
}

/** The body as the schema has it; unknown fields are left out, as the official servers do. Throws 400 with the field. */
export async function readBody<const Schema extends v.GenericSchema>(
  c: Context<Env>,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  let document: unknown;
  try {
    document = JSON.parse(await c.req.text());
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, "invalid_json", "The body is no JSON. Send a JSON object.");
  }
  refuseDepth(document);
  const { success, issues, output } = v.safeParse(schema, document, { abortPipeEarly: true });
  if (success) return output;
  const [issue] = issues;
  const param = v.getDotPath(issue);
  const what = param === null ? "The body" : `"${param}"`;
  throw new HttpError(400, "invalid_value", `${what} is wrong: ${issue.message.slice(0, 300)}.`, param);
}

/** The model of that name; without a name the first. "name:latest" is Ollama's way to say "name". Throws 404. */
export function modelNamed({ backend, settings }: Pick<Serving, "backend" | "settings">, name?: string): ServedModel {
  const { models } = backend;
  if (name === undefined || name === "") return models[0];
  const bare = name.replace(/:latest$/, "").toLowerCase();
  const found = models.find(({ id }) => id.toLowerCase() === bare) ?? (settings["any-model"] ? models[0] : undefined);
  if (found) return found;
  const known = models.map(({ id }) => id).join(", ");
  const message = `The model ${JSON.stringify(name.slice(0, 100))} does not exist. There are: ${known}.`;
  throw new HttpError(404, "model_not_found", message, "model");
}

/** Fires when the client leaves before its answer is complete, and when the time for an answer is up. */
export function untilGone(c: Context<Env>, seconds: number): AbortSignal {
  const gone = new AbortController();
  const { outgoing } = c.env;
  // Not AbortSignal.timeout: its timers would keep every request for as long as an answer may take.
  const timer = setTimeout(() => gone.abort(), seconds * 1000);
  outgoing.once("close", () => {
    clearTimeout(timer);
    if (!outgoing.writableFinished) gone.abort();
  });
  return gone.signal;
}
