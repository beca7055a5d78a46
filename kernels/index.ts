/** All kernels; the names exported here are the WebAssembly ABI that `runtime/compute/kernels.ts` types. */
export * from "./attention";
export { attention_cache_bytes } from "./cache";
export * from "./gelu";
export * from "./hadamard";
export * from "./layernorm";
export * from "./matmul_f32";
export * from "./matmul_q4";
export * from "./matmul_q8";
export * from "./probe";
export * from "./quantize";
export * from "./retile";
export * from "./roll";
export * from "./team";
