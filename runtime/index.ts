/** The public face of the library, which every device exports beside its own `load`. */

export * from "./api.ts";
export { type ErrorCode, type ErrorDetails, PiPhiError } from "./errors.ts";
export { LEAST_ROLLING_CONTEXT } from "./memory/window.ts";
