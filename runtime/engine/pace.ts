/**
 * How many rows of prompts a pass takes while answers run. Two passes of three are short, so that the time between an
 * answer's tokens stays about twice its usual at most; the third is long, so that the prompt is not read much slower than
 * alone: the kernels take many rows together at a third less each. Learned from the passes themselves, since it depends on
 * the machine: where weights are streamed, rows cost almost nothing; on two fast cores, a dozen rows take as long as the
 * weights. What it decides changes when a token comes, never which.
 */

/** Times a pass without prompts, as which short and long passes may last. */
const SHORT = 2.2;
const LONG = 12;
/** A long pass is not noticed as a pause; ms. */
const LONGEST_MS = 1000;
/** Every third pass is long. */
const ROUND = 3;
/** The kernels multiply four tokens at a time: fewer rows waste what they could have. */
const STEP_ROWS = 4;
const FIRST_ROWS = 16;
/** Weight of the newest pass. */
const NEWEST = 0.3;

export class Pace {
  /** A pass without rows of prompts, and what each such row adds; ms. */
  private bareMs: number | undefined;
  private rowMs: number | undefined;
  /** Passes with rows of prompts so far. */
  private passes = 0;

  constructor(private readonly mostRows: number) {}

  /** Rows of prompts for a pass in which answers run, too, with so many rows of theirs; at least one. */
  rows(answerRows: number): number {
    const { bareMs, rowMs, mostRows } = this;
    const fitting = bareMs === undefined || rowMs === undefined ? FIRST_ROWS : (this.budget(bareMs) - bareMs) / rowMs;
    const together = answerRows + Math.max(STEP_ROWS, Math.min(fitting, mostRows));
    return Math.min(mostRows, Math.floor(together / STEP_ROWS) * STEP_ROWS - answerRows);
  }

  /** How long the next pass may last; ms. */
  private budget(bareMs: number): number {
    const short = SHORT * bareMs;
    const isLong = this.passes % ROUND === ROUND - 1;
    return isLong ? Math.max(short, Math.min(LONG * bareMs, LONGEST_MS)) : short;
  }

  /** A pass in which answers ran has ended; it had so many rows of prompts. */
  note(promptRows: number, ms: number): void {
    if (promptRows > 0) this.passes++;
    if (promptRows === 0) this.bareMs = mix(this.bareMs, ms);
    else if (this.bareMs !== undefined) this.rowMs = mix(this.rowMs, Math.max(0, ms - this.bareMs) / promptRows);
  }
}

function mix(before: number | undefined, now: number): number {
  return before === undefined ? now : before + NEWEST * (now - before);
}
