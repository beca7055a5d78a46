/**
 * The one error class of PiPhi. `code` is stable and safe to branch on; `details` holds the numbers; the message
 * ends with the remedy, so that what a user reads is also what a user can do.
 */

export type ErrorCode =
  | "E_USAGE" // an option or argument is unknown or out of range
  | "E_NOT_FOUND" // the model file does not exist
  | "E_FILE_READ" // the operating system refused or failed a read
  | "E_FILE_WRITE" // the operating system refused or failed a write
  | "E_NOT_GGUF" // the file is no GGUF
  | "E_FILE_TRUNCATED" // the file ends before what its header promises
  | "E_FILE_CORRUPT" // lengths, counts or offsets in the file contradict each other
  | "E_PACK_VERSION" // a pack file of another version of PiPhi
  | "E_PACK_CHANGED" // the pack file was changed while it is in use
  | "E_NOT_SESSION" // the file is no saved session
  | "E_SESSION_VERSION" // a session saved by another version of PiPhi
  | "E_SESSION_MODEL" // a session of another model
  | "E_SESSION_KV" // a session with another type of key/value cache
  | "E_DISK_FULL" // there is not enough room on the disk
  | "E_GGUF_VERSION" // a GGUF version this reader does not know
  | "E_ARCHITECTURE" // a model of another family
  | "E_TENSOR_TYPE" // an unknown or unsupported block type
  | "E_TENSOR_MISSING" // a tensor of the architecture is absent
  | "E_TENSOR_SHAPE" // a tensor has another shape than the config states
  | "E_TENSOR_VALUES" // NaN or infinity in the weights
  | "E_CONFIG" // model hyperparameters that make no sense or that no kernel handles
  | "E_VOCABULARY" // the tokenizer's data is absent, cyclic or inconsistent
  | "E_MODEL_TOO_LARGE" // weights, cache and scratch exceed 4 GiB
  | "E_MEMORY" // not enough memory on this machine
  | "E_CONTEXT" // the asked context exceeds the model's
  | "E_PROMPT_TOO_LONG" // the prompt does not fit into the context
  | "E_PROMPT_EMPTY" // there is nothing to continue
  | "E_TEMPLATE" // the prompt template is broken, or refuses the conversation
  | "E_SHAPE" // no answer can be held to the schema, expression, grammar or choices
  | "E_NUMERIC" // the computation produced NaN
  | "E_HOUSE" // the description of a house is wrong
  | "E_HOME_ASSISTANT" // Home Assistant cannot be reached, or failed
  | "E_TOKEN" // Home Assistant refused the access token
  | "E_CANCELLED" // the caller's AbortSignal fired
  | "E_CLOSED" // the model was closed
  | "E_BUSY" // more requests wait than the queue holds
  | "E_ENGINE" // WebAssembly could not be compiled or failed its self-test
  | "E_KERNEL"; // a kernel's own check failed (a bug in PiPhi or a damaged memory)

export type ErrorDetails = Record<string, string | number | boolean | null | readonly (string | number)[]>;

export class PiPhiError extends Error {
  override readonly name = "PiPhiError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
  ) {
    super(message);
  }

  /** The JSON form of the command line and of messages between threads. */
  toJSON(): SerializedError {
    return { code: this.code, message: this.message, details: this.details };
  }

  static fromJSON(error: SerializedError): PiPhiError {
    return new PiPhiError(error.code, error.message, error.details);
  }

  /** Any thrown value as a PiPhiError; what is not one already is reported as an engine failure. */
  static from(error: unknown): PiPhiError {
    if (error instanceof PiPhiError) return error;
    const message = error instanceof Error ? error.message : String(error);
    const details: ErrorDetails = error instanceof Error && error.stack ? { stack: error.stack } : {};
    return new PiPhiError("E_ENGINE", message, details);
  }
}

/** Throws E_ENGINE unless `holds`: a check at the borders between rooms, whose failure is a bug. */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new PiPhiError("E_ENGINE", `PiPhi broke a rule of its own: ${what}. Please report this as a bug.`);
}

export interface SerializedError {
  code: ErrorCode;
  message: string;
  details: ErrorDetails;
}
