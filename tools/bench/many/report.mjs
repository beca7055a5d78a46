/** Many conversations beside what one alone takes: the figures as ratios, with what they should be. */

/** The middle of some numbers; the mean of both middles. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Milliseconds between neighbours of what came at these times. */
export function gaps(times) {
  return times.slice(1).map((time, i) => time - times[i]);
}

/**
 * Each goal: what was measured, and what it should be at least or at most. `runs` are times in ms:
 *   alone       {tokens, ms} of one answer; together: the same of each of several at once, and the time of all
 *   steps       times between tokens of an answer alone, and while a prompt is read; prompt: that prompt, alone and so
 *   turn        {firstMs, stepMs, newMs}: a second turn, a decode step, and what reading its new tokens takes alone
 *   restart     {warmMs, prefillMs}: the prompt from disk, and read
 *   shared      {conversations, prefix, computed}: tokens of prompts that were computed, of all that begin alike
 */
export function goalsOf({ alone, together, steps, prompt, turn, restart, shared }) {
  const rate = ({ tokens, ms }) => tokens / ms;
  const rates = together.answers.map(rate);
  const mean = rates.reduce((sum, one) => sum + one, 0) / rates.length;
  const tokens = together.answers.reduce((sum, answer) => sum + answer.tokens, 0);
  return [
    {
      name: `${together.answers.length} answers at once: tokens of one`,
      value: tokens / together.ms / rate(alone),
      least: 2.2,
    },
    { name: "the slowest of them: of their mean", value: Math.min(...rates) / mean, least: 0.8 },
    {
      name: `a token while ${prompt.tokens} tokens of a prompt are read: of one alone`,
      value: median(steps.beside) / median(steps.alone),
      most: 2.5,
    },
    { name: "that prompt: of the time it takes alone", value: prompt.besideMs / prompt.aloneMs, most: 1.25 },
    {
      name: `a second turn after ${turn.history} tokens: of a step and its new tokens`,
      value: turn.firstMs / (turn.stepMs + turn.newMs),
      most: 1.3,
    },
    { name: "a prompt from disk after a restart: of reading it", value: restart.warmMs / restart.prefillMs, most: 0.1 },
    {
      name: `${shared.conversations} conversations with ${shared.prefix} tokens in common: times they were read`,
      value: shared.computed / shared.prefix,
      most: 1.1,
    },
  ];
}

export const isMet = ({ value, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }) =>
  value >= least && value <= most;

/** A line for each goal. */
export function formatGoals(goals) {
  const width = Math.max(...goals.map(({ name }) => name.length));
  const bound = ({ least, most }) => (least === undefined ? `at most ${most}` : `at least ${least}`);
  return goals
    .map((goal) => {
      const verdict = isMet(goal) ? "" : "   missed";
      return `${goal.name.padEnd(width)}  ${goal.value.toFixed(2).padStart(6)}   ${bound(goal)}${verdict}`;
    })
    .join("\n");
}
