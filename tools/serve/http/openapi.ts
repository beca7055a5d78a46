/** The OpenAPI document, made of the schemas that requests are checked by. */

import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import type { Serving } from "../door.ts";
import * as ollama from "./ollama/schemas.ts";
import * as openai from "./openai/schemas.ts";
import { idsBody, sentenceBody, textBody } from "./page-schemas.ts";

type Document = Record<string, unknown>;

const ERROR_STATUS = {
  400: "The request is wrong",
  401: "The key is missing or wrong",
  403: "This host, this page or this deed is not allowed",
  404: "There is no such model or house",
  405: "This method is not of this address",
  413: "The body is too long",
  500: "The server failed",
  503: "Too many requests wait already, or the model is not loaded",
};

const object: Document = { type: "object" };
const openaiError: Document = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["message", "type", "code", "param"],
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        code: { type: "string" },
        param: { type: ["string", "null"] },
      },
    },
  },
};
const ollamaError: Document = { type: "object", required: ["error"], properties: { error: { type: "string" } } };

const content = (schema: Document, types: readonly string[] = ["application/json"]) =>
  Object.fromEntries(types.map((type) => [type, { schema }]));

interface Operation {
  summary: string;
  body?: GenericSchema;
  /** What comes beside application/json. */
  streams?: string;
  type?: string;
  parameters?: Document[];
}

/** One operation of a path: the errors are those of its API. */
function operation(path: string, { summary, body, streams, type, parameters }: Operation): Document {
  const error = path.startsWith("/api/") ? ollamaError : openaiError;
  const errors = Object.entries(ERROR_STATUS).map(([status, description]) => {
    return [status, { description, content: content(error) }] as const;
  });
  const types = type ? [type] : ["application/json", ...(streams ? [streams] : [])];
  const good = { description: "The answer", content: content(type || streams ? {} : object, types) };
  const requestBody = body && {
    required: true,
    content: content(toJsonSchema(body, { errorMode: "ignore", typeMode: "input" }) as Document),
  };
  return { summary, parameters, requestBody, responses: { 200: good, ...Object.fromEntries(errors) } };
}

const EVENTS = "text/event-stream";
const LINES = "application/x-ndjson";
const id = { name: "id", in: "path", required: true, schema: { type: "string" } };

const PATHS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  "/v1/models": { get: { summary: "The models" } },
  "/v1/models/{id}": { get: { summary: "One model", parameters: [id] } },
  "/v1/chat/completions": { post: { summary: "Answers a conversation", body: openai.chatBody, streams: EVENTS } },
  "/v1/completions": { post: { summary: "Continues texts", body: openai.completionBody, streams: EVENTS } },
  "/v1/responses": { post: { summary: "Answers a conversation", body: openai.responseBody, streams: EVENTS } },
  "/api/version": { get: { summary: "The version of Ollama's API that is spoken" } },
  "/api/tags": { get: { summary: "The models" } },
  "/api/ps": { get: { summary: "The models that are loaded" } },
  "/api/show": { post: { summary: "One model", body: ollama.modelBody } },
  "/api/chat": { post: { summary: "Answers a conversation", body: ollama.chatBody, streams: LINES } },
  "/api/generate": { post: { summary: "Answers or continues a text", body: ollama.generateBody, streams: LINES } },
  "/api/pull": { post: { summary: "Finds the model there already", body: ollama.modelBody, streams: LINES } },
  "/api/delete": { delete: { summary: "Refuses", body: ollama.modelBody } },
  "/understand": { post: { summary: "What a sentence means in the house", body: sentenceBody } },
  "/tokenize": { post: { summary: "The tokens of a text", body: textBody } },
  "/detokenize": { post: { summary: "The text of tokens", body: idsBody } },
  "/server": { get: { summary: "What the server is busy with" } },
  "/health": { get: { summary: "Whether the server lives" } },
  "/ready": { get: { summary: "Whether the models are loaded" } },
  "/metrics": { get: { summary: "Figures for Prometheus", type: "text/plain" } },
};

export function openapiDocument({ version, keys }: Pick<Serving, "version" | "keys">): Document {
  const paths = Object.entries(PATHS).map(([path, operations]) => {
    const all = Object.entries(operations).map(([method, one]) => [method, operation(path, one)] as const);
    return [path, Object.fromEntries(all)] as const;
  });
  return {
    openapi: "3.1.0",
    info: {
      title: "PiPhi",
      version,
      summary: "The HTTP of OpenAI and of Ollama, on a small device",
      license: { name: "MIT" },
    },
    paths: Object.fromEntries(paths),
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    ...(keys.length > 0 && { security: [{ key: [] }] }),
  };
}
