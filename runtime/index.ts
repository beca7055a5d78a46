/** The public face of the library, which every device exports beside its own `load`. */

export * from "./api.ts";
export { LEAST_ROLLING_CONTEXT } from "./cache/window.ts";
export { type ErrorCode, type ErrorDetails, PiPhiError } from "./errors.ts";
