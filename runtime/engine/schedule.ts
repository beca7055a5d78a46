/**
 * The engine's schedule: it runs passes over the weights at its own pace and takes requests between them.
 *
 *   1  messages come in: new requests, cancels
 *   2  who waits longest gets a sequence as soon as one is free
 *   3  a pass: the next token of every answer that runs, then guesses, then pieces of prompts, as far as there is room
 *   4  each gets its logits; who has ended gives its sequence back
 *
 * Rows that want logits go last, so that one number says which those are. All bits are those that each request gets alone.
 */

import { type Pool, sharedStart, WORTH_TOKENS } from "../cache/pool.ts";
import type { Row, Sequence } from "../cache/sequence.ts";
import { type Signals, STOP_ALL } from "../compute/team.ts";
import { PiPhiError } from "../errors.ts";
import { Pace } from "./pace.ts";
import { type Compute, logitsRows, runPass } from "./pass.ts";
import type { Pass, Rows, Work } from "./work.ts";

/** What a schedule stands on. */
export interface ScheduleMeans {
  compute: Compute;
  pool: Pool;
  signals: Signals;
  /** Lets the caller's messages in, where there are any. */
  mail(): Promise<void>;
  /** Before a request begins; throws where the weights cannot be used any more. */
  prepare(): void;
  /** The team was stopped for a request. */
  stopped(request: number): void;
  /** Starts the leading thread's profile anew, or ends it; returns the one so far. */
  profile(on: boolean): Record<string, number>;
}

/** A request's work that waits for a sequence, or has one. */
interface Entry {
  request: number;
  work: Work;
  resolve(): void;
  reject(error: unknown): void;
}
type Running = Entry & { sequence: Sequence };

/** One work's part of a pass. */
interface Share {
  entry: Running;
  asked: Rows;
}

/** So many tokens that are soon read for another are worth to wait for. */
const WORTH_WAITING = 8;

export class Schedule {
  private waiting: Entry[] = [];
  private running: Running[] = [];
  /** What needs the engine for itself, between passes. */
  private readonly errands: { request: number; run(): Promise<void> }[] = [];
  /** The request that has the engine for itself now, and whether it was cancelled. */
  private current: { request: number; cancelled: boolean } | undefined;
  private readonly pace: Pace;
  private going = false;
  /** Whether a pass is being computed; what was cancelled meanwhile. */
  private passing = false;
  private readonly late: { request: number; error: PiPhiError }[] = [];
  private passes = 0;
  private rested: () => void = () => {};

  constructor(private readonly means: ScheduleMeans) {
    this.pace = new Pace(means.compute.layout.batchTokens);
  }

  /** Runs work for a request; resolves when it has ended. Rejects with E_CANCELLED where it was cancelled before it began. */
  run(request: number, work: Work): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ request, work, resolve, reject });
      this.go();
    });
  }

  /** Does something between passes; in it, `checkpoint` tells of a cancel. */
  between<T>(request: number, work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = () => this.alone(request, async () => resolve(await work())).catch(reject);
      this.errands.push({ request, run });
      this.go();
    });
  }

  /** Ends a request at the next pass; one that still waits is rejected with the error. */
  cancel(request: number, error: PiPhiError): void {
    const concerned = (one: { request: number }) => request === STOP_ALL || one.request === request;
    const gone = this.waiting.filter(concerned);
    this.waiting = this.waiting.filter((entry) => !concerned(entry));
    for (const entry of gone) entry.reject(error);
    if (this.current && concerned(this.current)) this.current.cancelled = true;
    // Shards let messages in while they compute: the rows of a pass stay who they are until it has ended.
    if (this.passing) this.late.push({ request, error });
    else for (const entry of this.running.filter(concerned)) this.attempt(entry, () => entry.work.cancel());
  }

  /** Throws E_CANCELLED if the request that has the engine for itself was cancelled. */
  readonly checkpoint = (): void => {
    const { signals } = this.means;
    const { request = 0, cancelled = false } = this.current ?? {};
    if (!cancelled && (request === 0 || signals.stopping !== request)) return;
    throw new PiPhiError("E_CANCELLED", "The request was cancelled. Send it again if you still need it.");
  };

  /** How many have a sequence, and how many wait for one. */
  get load(): { running: number; waiting: number } {
    return { running: this.running.length, waiting: this.waiting.length };
  }

  get idle(): boolean {
    return !this.going;
  }

  /** Resolves when there is nothing left to do. */
  async rest(): Promise<void> {
    if (this.idle) return;
    await new Promise<void>((resolve) => {
      this.rested = resolve;
    });
  }

  private go(): void {
    if (this.going) return;
    this.going = true;
    void this.loop();
  }

  private async loop(): Promise<void> {
    const { mail, signals } = this.means;
    try {
      do {
        await mail();
        if (signals.stopping > 0) this.means.stopped(signals.takeStop());
        for (const errand of this.errands.splice(0)) await errand.run();
        this.admit();
        await this.settle();
        if (this.running.length > 0) await this.pass();
        for (const { request, error } of this.late.splice(0)) this.cancel(request, error);
      } while (this.running.length + this.waiting.length + this.errands.length > 0);
    } catch (error) {
      this.giveUp(error);
    }
    this.going = false; // at once: who comes next starts it again
    this.rested();
  }

  /** Something is wrong with the schedule itself: nobody may wait for ever. */
  private giveUp(error: unknown): void {
    for (const entry of this.waiting.splice(0)) entry.reject(error);
    for (const entry of [...this.running]) this.fail(entry, error);
  }

  /** Gives sequences to those that wait, in their order. */
  private admit(): void {
    const { pool, prepare } = this.means;
    for (const entry of [...this.waiting]) {
      if (pool.free === 0) return;
      if (this.comesSoon(entry)) continue;
      let sequence: Sequence | undefined;
      try {
        prepare();
        sequence = pool.take(entry.work.ask);
        if (!sequence) continue; // a request of the same session runs
      } catch (error) {
        entry.reject(error);
      }
      this.waiting = this.waiting.filter((other) => other !== entry);
      if (!sequence) continue;
      const running = { ...entry, sequence };
      this.running.push(running);
      this.attempt(running, () => entry.work.begin(running.sequence));
    }
  }

  /** Whether one that runs is about to read what this one begins with, so that it can be copied then. */
  private comesSoon({ work: { ask } }: Entry): boolean {
    if (ask.anew) return false;
    const toCome = this.running.map(({ work, sequence }) => {
      const shared = Math.min(sharedStart(work.ask.ids, ask.ids), ask.ids.length - 1);
      return work.wanted > 1 && sequence.dropped === 0 && sequence.length < shared ? shared : 0;
    });
    const most = Math.max(0, ...toCome);
    return most >= WORTH_TOKENS && most >= this.means.pool.longest(ask.ids) + WORTH_WAITING;
  }

  /** Takes leave of those that have ended. */
  private async settle(): Promise<void> {
    for (const entry of this.running.filter(({ work }) => work.ended)) {
      const { request, work } = entry;
      try {
        if (work.finish) await this.alone(request, () => work.finish!());
        entry.resolve();
      } catch (error) {
        entry.reject(error);
      } finally {
        this.remove(entry);
      }
    }
  }

  private async pass(): Promise<void> {
    const { compute, signals, profile } = this.means;
    const shares = this.compose();
    if (shares.length === 0) return;
    const quiet: Row[] = [];
    const loud: Row[] = [];
    for (const { entry, asked } of shares) {
      const rows = entry.sequence.rows(asked.ids);
      const from = rows.length - asked.logits;
      quiet.push(...rows.slice(0, from));
      loud.push(...rows.slice(from));
    }
    const [{ entry: first }] = shares;
    const profiled = shares.some(({ entry }) => entry.work.profiled);
    if (profiled) profile(true);
    const start = performance.now();
    try {
      this.passing = true;
      signals.alone = shares.every(({ entry }) => entry.request === first.request) ? first.request : 0;
      if (!(await runPass(compute, [...quiet, ...loud], quiet.length))) return this.means.stopped(signals.takeStop());
    } catch (error) {
      for (const { entry } of shares) this.fail(entry, error);
      return;
    } finally {
      this.passing = false;
      signals.alone = 0;
    }
    const ms = performance.now() - start;
    const pass = { number: this.passes++, ms, ...(profiled && { profile: profile(false) }) };
    this.hand(shares, logitsRows(compute, loud.length), pass);
  }

  /** What everyone computes in the next pass. Each has at least one row, and room for its logits. */
  private compose(): Share[] {
    const { batchTokens, logitsRows: mostLogits } = this.means.compute.layout;
    const active = this.running.filter(({ work }) => !work.ended);
    const steps = active.filter(({ work }) => work.wanted === 1);
    const pieces = active.filter(({ work }) => work.wanted > 1).sort((a, b) => a.work.wanted - b.work.wanted);
    const shares: Share[] = [];
    let rows = batchTokens - active.length;
    let logits = mostLogits - active.length;
    const ask = (entry: Running, moreRows: number, moreLogits: number) => {
      const asked = entry.work.next(1 + moreRows, 1 + moreLogits);
      shares.push({ entry, asked });
      rows -= asked.ids.length - 1;
      logits -= Math.max(0, asked.logits - 1);
    };
    steps.forEach((entry, i) => {
      const more = Math.floor(Math.min(rows, logits) / (steps.length - i));
      ask(entry, more, more);
    });
    if (steps.length > 0) {
      const answerRows = shares.reduce((sum, { asked }) => sum + asked.ids.length, 0);
      rows = Math.max(0, Math.min(rows, this.pace.rows(answerRows) - pieces.length));
    }
    pieces.forEach((entry, i) => {
      ask(entry, Math.floor(rows / (pieces.length - i)), Math.floor(logits / (pieces.length - i)));
    });
    return shares;
  }

  /** Hands out what a pass computed. */
  private hand(shares: readonly Share[], logits: readonly Float32Array[], pass: Pass): void {
    const pieces = shares.filter(({ entry }) => entry.work.wanted > 1);
    const promptRows = pieces.reduce((sum, { asked }) => sum + asked.ids.length, 0);
    if (pieces.length < shares.length) this.pace.note(promptRows, pass.ms);
    let at = 0;
    for (const { entry, asked } of shares) {
      const own = logits.slice(at, at + asked.logits);
      at += asked.logits;
      entry.sequence.push(asked.ids);
      this.attempt(entry, () => entry.work.take(own, pass));
    }
  }

  /** Gives a request the engine for itself. */
  private async alone(request: number, work: () => Promise<void>): Promise<void> {
    const { signals } = this.means;
    this.current = { request, cancelled: false };
    signals.alone = request;
    try {
      await work();
    } finally {
      signals.alone = 0;
      this.current = undefined;
      if (signals.stopping === request) signals.takeStop();
    }
  }

  /** Does something for one that runs; what it throws is told to its caller, and to nobody else. */
  private attempt(entry: Running, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(entry, error);
    }
  }

  private fail(entry: Running, error: unknown): void {
    entry.reject(error);
    this.remove(entry);
  }

  private remove(entry: Running): void {
    if (!this.running.includes(entry)) return;
    this.running = this.running.filter((other) => other !== entry);
    this.means.pool.release(entry.sequence);
  }
}
