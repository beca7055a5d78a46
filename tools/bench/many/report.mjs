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

const rate = ({ tokens, ms }) => tokens / ms;

/** `alone`: {tokens, ms} of one answer; `together`: the same of each of several at once, and the ms of all. */
export function goalsTogether({ alone, together: { answers, ms } }) {
  const rates = answers.map(rate);
  const mean = rates.reduce((sum, one) => sum + one, 0) / rates.length;
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
  return [
    { name: `${answers.length} answers at once: tokens of one`, value: tokens / ms / rate(alone), least: 2.2 },
    { name: "the slowest of them: of their mean", value: Math.min(...rates) / mean, least: 0.8 },
  ];
}

/** `steps`: ms between tokens of an answer alone, and while a prompt is read; `prompt`: ms of that prompt, alone and so. */
export function goalsBeside({ steps, prompt: { tokens, aloneMs, besideMs } }) {
  const token = `a token while ${tokens} tokens of a prompt are read: of one alone`;
  return [
    { name: token, value: median(steps.beside) / median(steps.alone), most: 2.5 },
    { name: "that prompt: of the time it takes alone", value: besideMs / aloneMs, most: 1.25 },
  ];
}

/** The ms of a second turn's first token, of a decode step, and of reading the turn's new tokens alone. */
export function goalOfTurn({ history, firstMs, stepMs, newMs }) {
  const name = `a second turn after ${history} tokens: of a step and its new tokens`;
  return [{ name, value: firstMs / (stepMs + newMs), most: 1.3 }];
}

/** The ms that a prompt takes from disk, and to be read. */
export function goalOfRestart({ warmMs, prefillMs }) {
  return [{ name: "a prompt from disk after a restart: of reading it", value: warmMs / prefillMs, most: 0.1 }];
}

/** `computed`: of the prompts that begin with the same `prefix` tokens, how many of those were computed. */
export function goalOfShared({ conversations, prefix, computed }) {
  const name = `${conversations} conversations with ${prefix} tokens in common: times they were read`;
  return [{ name, value: computed / prefix, most: 1.1 }];
}

export const isMet = ({ value, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }) =>
  value >= least && value <= most;

const NAME_WIDTH = 68;

/** A line for each goal. */
export function formatGoals(goals) {
  const bound = ({ least, most }) => {
    if (least !== undefined) return `at least ${least}`;
    return most === undefined ? "" : `at most ${most}`;
  };
  return goals
    .map((goal) => {
      const verdict = isMet(goal) ? "" : "   missed";
      return `${goal.name.padEnd(NAME_WIDTH)}  ${goal.value.toFixed(2).padStart(6)}   ${bound(goal)}${verdict}`;
    })
    .join("\n");
}
