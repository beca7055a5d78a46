/** The messages between a caller's thread (client.ts) and the engine's (service.ts). */

import type {
  ChatMessage,
  Delta,
  GenerateAllResult,
  GenerateResult,
  MemoryUse,
  ModelInfo,
  Progress,
  Score,
  Status,
  Tokenization,
} from "./api.ts";
import type { EngineLoadOptions } from "./engine/assembly.ts";
import type { SessionTicket } from "./engine/sessions.ts";
import type { EngineGenerateOptions } from "./engine/writer.ts";
import type { SerializedError } from "./errors.ts";

/** What can be asked of an engine, and what comes back. */
export interface Methods {
  generate: {
    ask: { prompt: string | readonly number[]; options: EngineGenerateOptions; session?: number };
    answer: GenerateResult;
  };
  chat: {
    ask: { messages: readonly ChatMessage[]; options: EngineGenerateOptions; session?: number };
    answer: GenerateResult;
  };
  generateAll: {
    ask: { prompts: readonly (string | readonly number[])[]; options: EngineGenerateOptions };
    answer: GenerateAllResult;
  };
  score: { ask: { input: string | readonly number[]; top: number }; answer: Score };
  openSession: { ask: { prefix: string }; answer: SessionTicket };
  restoreSession: { ask: { from: string | Uint8Array }; answer: SessionTicket };
  saveSession: { ask: { session: number; path: string; note: string }; answer: number };
  exportSession: { ask: { session: number; note: string }; answer: Uint8Array };
  sessionTokens: { ask: { session: number }; answer: number[] };
  closeSession: { ask: { session: number }; answer: undefined };
  tokenize: { ask: { text: string }; answer: Tokenization };
  detokenize: { ask: { ids: readonly number[] }; answer: string };
  bandwidth: { ask: Record<string, never>; answer: number };
  memory: { ask: Record<string, never>; answer: MemoryUse };
  status: { ask: Record<string, never>; answer: Status };
}
export type Method = keyof Methods;

/** Requests are numbered from 1; many can be under way. */
export type Request = {
  [M in Method]: { type: "request"; id: number; method: M; ask: Methods[M]["ask"] };
}[Method];

export type ToEngine =
  | { type: "load"; model: string; options: EngineLoadOptions }
  | Request
  | { type: "cancel"; id: number }
  | { type: "close" };

export type FromEngine =
  | { type: "progress"; progress: Progress }
  /** `signals` are there where memory is shared: what concerns a pass that runs then reaches the team within an operation. */
  | { type: "ready"; info: ModelInfo; signals?: ArrayBufferLike }
  | { type: "delta"; id: number; delta: Delta }
  | { type: "result"; id: number; value: unknown }
  /** Without `id`: loading or closing failed, or the engine's thread. */
  | { type: "error"; id?: number; error: SerializedError }
  | { type: "closed" };
