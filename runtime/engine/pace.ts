/**
 * How many rows of prompts a pass takes while answers run: as many as let it last about twice as long as a pass without any.
 * Learned from the passes themselves, since it depends on the machine: where weights are streamed, rows cost almost nothing;
 * on two fast cores, a dozen rows take as long as the weights. What it decides changes when a token comes, never which.
 */

/** Times a pass without prompts, as which passes with prompts may last. */
const PATIENCE = 2.2;
/** The kernels multiply four tokens at a time: fewer rows waste what they could have. */
const STEP_ROWS = 4;
const FIRST_ROWS = 16;
/** Weight of the newest pass. */
const NEWEST = 0.3;

export class Pace {
  /** A pass without rows of prompts, and what each such row adds; ms. */
  private bareMs: number | undefined;
  private rowMs: number | undefined;

  constructor(private readonly mostRows: number) {}

  /** Rows of prompts for a pass in which answers run, too. */
  get rows(): number {
    const { bareMs, rowMs, mostRows } = this;
    if (bareMs === undefined || rowMs === undefined) return Math.min(FIRST_ROWS, mostRows);
    const fitting = ((PATIENCE - 1) * bareMs) / Math.max(rowMs, 1e-6);
    return Math.min(mostRows, Math.max(STEP_ROWS, Math.floor(fitting / STEP_ROWS) * STEP_ROWS));
  }

  /** A pass in which answers ran has ended; it had so many rows of prompts. */
  note(promptRows: number, ms: number): void {
    if (promptRows === 0) this.bareMs = mix(this.bareMs, ms);
    else if (this.bareMs !== undefined) this.rowMs = mix(this.rowMs, Math.max(0, ms - this.bareMs) / promptRows);
  }
}

function mix(before: number | undefined, now: number): number {
  return before === undefined ? now : before + NEWEST * (now - before);
}
