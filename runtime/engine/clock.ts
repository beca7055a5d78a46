/** When an answer began, had its first token, and its last. */

import type { Timings } from "../api.ts";

export class Clock {
  private readonly start = performance.now();
  private first = 0;
  private last = 0;
  private computed = 0;

  constructor(private readonly loadMs: number) {}

  token(computedPromptTokens: number): void {
    this.last = performance.now();
    if (this.first !== 0) return;
    this.first = this.last;
    this.computed = computedPromptTokens;
  }

  timings(tokens: number): Timings {
    const prefillMs = Math.max(0, this.first - this.start);
    const decodeMs = Math.max(0, this.last - this.first);
    const perSecond = (count: number, ms: number) => (ms > 0 && count > 0 ? (count * 1000) / ms : 0);
    return {
      loadMs: this.loadMs,
      firstTokenMs: prefillMs,
      prefillMs,
      prefillTokensPerSecond: perSecond(this.computed, prefillMs),
      decodeMs,
      decodeTokensPerSecond: perSecond(tokens - 1, decodeMs),
    };
  }
}
