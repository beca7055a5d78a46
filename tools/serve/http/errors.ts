/** Errors as clients of OpenAI and of Ollama expect them. */

import { PiPhiError } from "../../../runtime/errors.ts";

/** What is wrong with a request, in the words of OpenAI's API. */
export class HttpError extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 499 | 500 | 503,
    /** Stable, such as "model_not_found". */
    readonly code: string,
    message: string,
    /** The field that is wrong. */
    readonly param: string | null = null,
  ) {
    super(message);
  }

  /** OpenAI's word for the kind of error. */
  get type(): string {
    if (this.status === 401) return "authentication_error";
    if (this.status === 403) return "permission_error";
    return this.status < 500 ? "invalid_request_error" : "server_error";
  }
}

type Status = HttpError["status"];
/** The library's errors that are the client's fault, or will pass. */
const KNOWN: Readonly<Record<string, readonly [Status, string, string?]>> = {
  E_BUSY: [503, "server_busy"],
  E_CLOSED: [503, "model_unloaded"],
  E_CANCELLED: [499, "cancelled"],
  E_PROMPT_TOO_LONG: [400, "context_length_exceeded", "messages"],
  E_PROMPT_EMPTY: [400, "empty_prompt", "messages"],
  E_SHAPE: [400, "invalid_schema", "response_format"],
  E_TEMPLATE: [400, "invalid_conversation", "messages"],
  E_USAGE: [400, "invalid_value"],
};

/** Any error as one that can be sent; what is not known to be harmless is not told. */
export function httpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const { code } = error as PiPhiError;
  if (error instanceof PiPhiError && Object.hasOwn(KNOWN, code)) {
    const [status, name, param] = KNOWN[code];
    return new HttpError(status, name, error.message, param ?? null);
  }
  const message = error instanceof PiPhiError ? error.message : "The server failed. Its log says why.";
  return new HttpError(500, error instanceof PiPhiError ? code.toLowerCase() : "internal_error", message);
}

export const openaiError = ({ message, type, code, param }: HttpError) => ({ error: { message, type, code, param } });
export const ollamaError = ({ message }: HttpError) => ({ error: message });
