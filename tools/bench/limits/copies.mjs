/**
 * What guessing from the context saves where an answer copies or edits its prompt: passes over the weights.
 *
 * The text is this repository's licence. Whether a model copies depends on the model and the prompt; these are made to
 * copy (copier.mjs), so that what is measured is the guessing alone: how often the engine is right about a text that
 * repeats words as English does, and how it recovers after each word that was changed.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { writeCopier } from "./copier.mjs";
import { runOurs } from "./measure.mjs";

const TEXT = new URL("../../../LICENSE", import.meta.url);
const DRAFTS = 7;

/** What is exchanged for what, in both directions. */
const EDITS = [
  { name: "copied", pairs: [] },
  { name: "a word replaced", pairs: [[" Software", " Program"]] },
  {
    name: "many words replaced",
    pairs: [
      [" Software", " Program"],
      [" the", " this"],
      [" any", " each"],
      [" or", " nor"],
      [" to", " towards"],
    ],
  },
];

/** The prompt and what a copy of it says, as ids. */
export function expectedCopy(ids, pairs) {
  const exchanged = new Map(pairs.flatMap(([from, to]) => [[from, to], [to, from]])); // biome-ignore format: pairs
  return ids.map((id) => exchanged.get(id) ?? id);
}

/** Measures each edit; throws where an answer is not the edited prompt, or differs with guesses. */
export async function measureCopies(node, folder) {
  const { encode } = createRequire(import.meta.url)("gpt-3-encoder");
  const prompt = encode(readFileSync(TEXT, "utf8"));
  const results = [];
  for (const { name, pairs } of EDITS) {
    const ids = pairs.map((pair) => pair.map((word) => encode(word)[0]));
    const expected = expectedCopy(prompt, ids);
    const model = await writeCopier(folder, `copier-${results.length}`, prompt.length, ids);
    const settings = { model, prompt, generateTokens: prompt.length };
    const plain = await runOurs(node, settings);
    const guessed = await runOurs(node, { ...settings, drafts: DRAFTS });
    for (const { tokens } of [plain, guessed]) {
      const wrong = expected.findIndex((id, i) => id !== tokens[i]);
      if (wrong >= 0) throw new Error(`"${name}": token ${wrong} is ${tokens[wrong]} instead of ${expected[wrong]}`);
    }
    const { passes, proposed, accepted } = guessed.rounds[0].drafts;
    const edited = expected.filter((id, i) => id !== prompt[i]).length;
    // The prompt's pass gives the first token, and is counted with and without guesses.
    results.push({ name, tokens: prompt.length, edited, plainPasses: prompt.length, passes, proposed, accepted });
  }
  return results;
}
