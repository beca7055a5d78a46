/** Ollama's API. */

import { Hono } from "hono";
import type { ServedModel } from "../../backend.ts";
import type { Serving } from "../../door.ts";
import { HttpError } from "../errors.ts";
import { type Env, modelNamed, readBody } from "../request.ts";
import { chat, generate } from "./answers.ts";
import { LINES } from "./options.ts";
import { modelBody } from "./schemas.ts";

/** A client looks at the version to know what it can ask for: this is the API of Ollama that is spoken here. */
const API_VERSION = "0.12.0";

const tagged = (id: string) => `${id}:latest`;
const sized = (count: number) => (count >= 1e9 ? `${(count / 1e9).toFixed(1)}B` : `${(count / 1e6).toFixed(1)}M`);

function details({ loaded }: ServedModel) {
  const { parameters, quantization } = loaded?.info ?? {};
  return {
    parent_model: "",
    format: "gguf",
    family: "phi2",
    families: ["phi2"],
    parameter_size: parameters === undefined ? "" : sized(parameters),
    quantization_level: quantization ?? "",
  };
}

/** Names its file as far as a client can tell models apart by it. */
const digestOf = ({ id, fileBytes, created }: ServedModel) =>
  Buffer.from(`${id} ${fileBytes} ${created}`).toString("hex").padEnd(64, "0").slice(0, 64);

const listed = (model: ServedModel) => ({
  name: tagged(model.id),
  model: tagged(model.id),
  modified_at: new Date(model.created * 1000).toISOString(),
  size: model.fileBytes,
  digest: digestOf(model),
  details: details(model),
});

async function shown(model: ServedModel) {
  const { info } = await model.phi();
  const { config } = info;
  return {
    modelfile: `FROM ${model.id}`,
    parameters: "",
    template: "",
    details: details(model),
    model_info: {
      "general.architecture": "phi2",
      "general.parameter_count": info.parameters,
      "phi2.context_length": info.contextLength,
      "phi2.embedding_length": config.hiddenSize,
      "phi2.block_count": config.layers,
      "phi2.attention.head_count": config.heads,
    },
    capabilities: ["completion", "tools"],
    modified_at: new Date(model.created * 1000).toISOString(),
  };
}

export function ollamaRoutes(serving: Serving): Hono<Env> {
  const { backend } = serving;
  const routes = new Hono<Env>();
  const nameOf = (body: { model: string } | { name: string }) => ("model" in body ? body.model : body.name);
  routes.get("/version", (c) => c.json({ version: API_VERSION }));
  routes.get("/tags", (c) => c.json({ models: backend.models.map(listed) }));
  routes.get("/ps", (c) => {
    const running = backend.models.filter(({ loaded }) => loaded !== undefined);
    const never = "9999-12-31T00:00:00Z";
    return c.json({
      models: running.map((model) => ({
        ...listed(model),
        size_vram: 0,
        expires_at: never,
        context_length: model.loaded!.info.contextLength,
      })),
    });
  });
  routes.post("/show", async (c) => c.json(await shown(modelNamed(serving, nameOf(await readBody(c, modelBody))))));
  routes.post("/chat", (c) => chat(serving, c));
  routes.post("/generate", (c) => generate(serving, c));
  // What is served was chosen when the server was started: there is nothing to fetch, and nothing to delete.
  routes.post("/pull", async (c) => {
    modelNamed(serving, nameOf(await readBody(c, modelBody)));
    return c.body(LINES.frame({ status: "success" }), 200, { "Content-Type": LINES.contentType });
  });
  routes.delete("/delete", async (c) => {
    modelNamed(serving, nameOf(await readBody(c, modelBody)));
    throw new HttpError(
      403,
      "not_allowed",
      "Models are not deleted by HTTP. Delete the file, and start the server anew.",
    );
  });
  for (const path of ["/embed", "/embeddings"]) {
    routes.post(path, () => {
      throw new HttpError(400, "not_supported", "This server makes no embeddings: its models answer texts.");
    });
  }
  return routes;
}
