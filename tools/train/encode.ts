/**
 * Sentences in houses (generate.py) as the model will read them, by the code that reads them at run time:
 *
 *   node encode.ts HOUSES.jsonl PLAIN.jsonl TOKENIZER.json OUT.bin
 *
 * Writes 16-bit numbers: for each example the length of its prompt, that of its answer with the end, then both.
 */

import { once } from "node:events";
import { createReadStream, createWriteStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { type Command, encodeAnswer, isText, type SlotValue } from "../../runtime/home/answer.ts";
import { idOf } from "../../runtime/home/mentions.ts";
import { wordsOf } from "../../runtime/home/normalize.ts";
import { promptOf, type Reading, read, wordIds } from "../../runtime/home/reading.ts";
import { END_ID, tokenId } from "../../runtime/home/tokens.ts";
import type { House } from "../../runtime/home/types.ts";
import { createTokenizer } from "../../runtime/text/tokenizer.ts";

interface Gold {
  id?: string;
  value?: string;
  number?: number;
  word?: string | null;
  minus?: boolean;
  text?: string;
}
interface Sentence {
  text: string;
  area: string | null;
  commands: { intent: string; slots: Record<string, Gold> }[];
}

/** Longer examples are left out: the model's context. */
const MOST_TOKENS = 190;
const dropped: Record<string, number> = {};

class Unusable extends Error {}

/** Points at what a slot means; throws Unusable where the runtime would not find it. */
class Pointer {
  private readonly usedNames = new Set<number>();
  private readonly usedNumbers = new Set<number>();

  constructor(private readonly reading: Reading) {}

  slot(intent: string, slot: string, gold: Gold): [string, SlotValue] {
    if (slot === "dim") return ["brightness", { kind: "choice", value: "dim" }];
    if (gold.id !== undefined) return [slot, this.name(slot, gold.id)];
    if (isText(intent, slot)) return [slot, this.stretch(gold.text ?? "")];
    if (gold.number !== undefined) return [slot, this.number(gold)];
    return [slot, { kind: "choice", value: gold.value! }];
  }

  private name(slot: string, id: string): SlotValue {
    const wanted = slot === "area" ? [`area ${id}`] : slot === "floor" ? [`floor ${id}`] : [id, `area ${id}`];
    const fits = this.reading.mentions.flatMap(({ candidates }, i) =>
      candidates.some((candidate) => wanted.includes(idOf(candidate))) ? [i] : [],
    );
    if (fits.length === 0) throw new Unusable(`no ${slot}`);
    const index = fits.find((i) => !this.usedNames.has(i)) ?? fits[0];
    this.usedNames.add(index);
    return { kind: "name", index };
  }

  private number({ number, word, minus = false }: Gold): SlotValue {
    const { words, numbers } = this.reading;
    const fits = numbers.flatMap((at, i) => (words[at].value === Math.abs(number!) ? [i] : []));
    if (fits.length > 0) {
      const index = fits.find((i) => !this.usedNumbers.has(i)) ?? fits[0];
      this.usedNumbers.add(index);
      return { kind: "number", index, minus };
    }
    if (word !== undefined && number === 100) return { kind: "choice", value: "max" };
    if (word !== undefined && number === 1) return { kind: "choice", value: "min" };
    if (word !== undefined && tokenId(`<v:${number}>`) !== undefined) return { kind: "choice", value: `${number}` };
    throw new Unusable("no number");
  }

  private stretch(text: string): SlotValue {
    const wanted = wordsOf(text).map((word) => word.text);
    const { words } = this.reading;
    for (let from = 0; wanted.length > 0 && from + wanted.length <= words.length; from++) {
      if (wanted.every((word, i) => words[from + i].text === word))
        return { kind: "text", from, to: from + wanted.length };
    }
    throw new Unusable("no stretch");
  }
}

function commandsOf(reading: Reading, { commands }: Sentence): Command[] {
  const pointer = new Pointer(reading);
  return commands.map(({ intent, slots }) => ({
    intent,
    slots: new Map(Object.entries(slots).map(([slot, gold]) => pointer.slot(intent, slot, gold))),
  }));
}

const [houses, plain, tokenizerFile, out] = process.argv.slice(2);
const { model } = JSON.parse(readFileSync(tokenizerFile, "utf8"));
const tokens = Object.keys(model.vocab).sort((a, b) => model.vocab[a] - model.vocab[b]);
const merges = model.merges.map((merge: string | string[]) => (Array.isArray(merge) ? merge.join(" ") : merge));
const types = tokens.map((token) => (token === "<|endoftext|>" ? 3 : 1));
const tokenizer = createTokenizer({
  model: "gpt2",
  tokens,
  types,
  merges,
  bosId: END_ID,
  eosId: END_ID,
  eotId: undefined,
  addBos: false,
});
const known = new Map<string, number[]>();
const encode = (text: string) => {
  let ids = known.get(text);
  if (!ids) {
    ids = tokenizer.encode(text);
    if (known.size < 200_000) known.set(text, ids);
  }
  return ids;
};

const file = createWriteStream(out);
let examples = 0;
let tokensTotal = 0;
async function write(prompt: readonly number[], answer: readonly number[]): Promise<void> {
  if (prompt.length + answer.length > MOST_TOKENS) {
    dropped.long = (dropped.long ?? 0) + 1;
    return;
  }
  examples++;
  tokensTotal += prompt.length + answer.length;
  const values = Uint16Array.from([prompt.length, answer.length, ...prompt, ...answer]);
  if (!file.write(Buffer.from(values.buffer))) await once(file, "drain");
}

for await (const line of createInterface({ input: createReadStream(houses) })) {
  const { house, sentences } = JSON.parse(line) as { house: House; sentences: Sentence[] };
  for (const sentence of sentences) {
    const reading = read(sentence.text, house, sentence.area !== null);
    const pieces = wordIds(reading, encode);
    try {
      const answer = encodeAnswer(commandsOf(reading, sentence), pieces);
      if (!answer) throw new Unusable(`no token: ${JSON.stringify(sentence.commands).slice(0, 120)}`);
      await write(promptOf(reading, pieces), [...answer, END_ID]);
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      dropped[error.message] = (dropped[error.message] ?? 0) + 1;
    }
  }
}
const inHouses = examples;
if (plain !== "-") {
  for await (const line of createInterface({ input: createReadStream(plain) })) {
    const { text, intent } = JSON.parse(line) as { text: string; intent: string };
    await write(tokenizer.encode(`Instruct: ${text}\nOutput:`), [...tokenizer.encode(` ${intent}`), END_ID]);
  }
}
file.end();
console.log(
  `${inHouses} in houses, ${examples - inHouses} without; ${(tokensTotal / examples).toFixed(1)} tokens each; left out:`,
  dropped,
);
