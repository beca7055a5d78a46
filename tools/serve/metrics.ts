/** Figures for Prometheus. */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { GenerateResult } from "../../devices/node/index.ts";
import type { Backend } from "./backend.ts";

/** From an answer in a few milliseconds to one of a streamed model. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export class Metrics {
  readonly figures = new Registry();
  readonly requests: Counter<"door" | "route" | "status">;
  readonly seconds: Histogram<"door" | "route">;
  readonly commands: Counter<"door" | "outcome">;
  readonly #tokens: Counter<"kind">;
  readonly #firstToken: Histogram;
  readonly #queue: Histogram;

  constructor(backend: Backend) {
    const registers = [this.figures];
    const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
      new Counter({ name: `piphi_${name}`, help, labelNames, registers });
    const histogram = <T extends string>(name: string, help: string, labelNames: T[] = []) =>
      new Histogram({ name: `piphi_${name}`, help, labelNames, buckets: SECONDS, registers });
    this.requests = counter("requests_total", "Requests, by how they ended", ["door", "route", "status"]);
    this.seconds = histogram("request_seconds", "From a request to the end of its answer", ["door", "route"]);
    this.commands = counter("sentences_total", "Sentences said to the house, by what became of them", [
      "door",
      "outcome",
    ]);
    this.#tokens = counter("tokens_total", "Tokens read, reused from caches, and written", ["kind"]);
    this.#firstToken = histogram("first_token_seconds", "From a request's turn to its first token");
    this.#queue = histogram("queue_seconds", "From a request to its turn");
    this.#gauges(backend, registers);
  }

  /** What is asked for only when somebody looks. */
  #gauges({ models }: Backend, registers: Registry[]): void {
    const memory = { name: "piphi_resident_bytes", help: "Resident memory of the process", registers };
    new Gauge({ ...memory, collect: gauge(() => process.memoryUsage.rss()) });
    const started = { name: "piphi_start_time_seconds", help: "When the process started, since 1970", registers };
    new Gauge({ ...started, collect: gauge(() => performance.timeOrigin / 1000) });
    const status = { name: "piphi_engine", help: "What an engine is busy with", registers };
    new Gauge({
      ...status,
      labelNames: ["model", "what"],
      async collect() {
        for (const { id, loaded } of models) {
          const known = await loaded?.status().catch(() => undefined);
          for (const [what, value] of Object.entries(known ?? {})) this.set({ model: id, what }, value);
        }
      },
    });
  }

  /** Counts an answer. */
  answered({ usage, timings }: Pick<GenerateResult, "usage" | "timings">): void {
    this.#tokens.inc({ kind: "read" }, usage.promptTokens - usage.cachedTokens);
    this.#tokens.inc({ kind: "reused" }, usage.cachedTokens);
    this.#tokens.inc({ kind: "written" }, usage.generatedTokens);
    this.#firstToken.observe(timings.firstTokenMs / 1000);
    this.#queue.observe(usage.queueMs / 1000);
  }
}

const gauge = (value: () => number) =>
  function (this: Gauge) {
    this.set(value());
  };
