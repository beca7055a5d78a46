/** From a sentence to intents: read it in the house, let the model answer within the shape of that reading, resolve. */

import type { Phi } from "../api.ts";
import { type Command, decodeAnswer } from "./answer.ts";
import { framed } from "./frames.ts";
import { mend } from "./mending.ts";
import { idOf } from "./mentions.ts";
import { promptOf, type Reading, read } from "./reading.ts";
import { resolve } from "./resolve.ts";
import { secondLook } from "./second-look.ts";
import { shapeOf } from "./shape.ts";
import { tokenOf } from "./tokens.ts";
import type { Area, Explanation, House, Intent, Understanding } from "./types.ts";

/** What understanding needs of the embedded model. */
export type HomeModel = Pick<Phi, "tokenize" | "generate">;

export interface UnderstandOptions {
  house: House;
  /** In which the sentence was heard. */
  area?: Area;
  /** The embedded model. */
  phi: HomeModel;
  /** Below this confidence the answer is "not a command". */
  threshold?: number;
  /** Also say how it was understood. */
  explain?: boolean;
  signal?: AbortSignal;
}

const MOST_CHARACTERS = 1000;
const MOST_TOKENS = 96;
/** Nobody says these: what holds them is no sentence. */
const CONTROLS = /[^\P{Cc}\s]/u;
/** See tools/home/README.md for how it was chosen. */
export const THRESHOLD = 0.55;

/** Understands one sentence. Throws what the model throws; E_CANCELLED where `signal` fires. */
export async function understand(text: string, options: UnderstandOptions): Promise<Understanding> {
  const start = performance.now();
  const { house, area: heard, explain } = options;
  const reading = read(text.slice(0, MOST_CHARACTERS), house, heard !== undefined);
  const finish = (intents: Intent[], confidence: number, more?: Explanation): Understanding => {
    const ms = performance.now() - start;
    return { text, intents, confidence, ms, ...(explain && { explanation: more ?? nothingRead(reading) }) };
  };
  if (reading.words.length === 0 || text.length > MOST_CHARACTERS || CONTROLS.test(text)) return finish([], 1);
  const plain = framed(reading, house);
  const plainly = plain && resolve(plain.commands, text, plain.reading, house, heard);
  if (plainly) return finish(plainly, 1, { ...nothingRead(reading), meant: plainly });
  const first = await ask(text, reading, options);
  const again = first.intents.length > 0 || first.meant.length > 0 ? undefined : secondLook(reading, house);
  const second = again && (await ask(text, again, options));
  const asked = second && second.intents.length > 0 ? second : first;
  if (!explain) return finish(asked.intents, asked.confidence);
  const { answer, meant, refused } = asked;
  return finish(asked.intents, asked.confidence, {
    ...nothingRead(asked.reading),
    answer,
    meant,
    ...(refused !== undefined && { refused }),
  });
}

interface Asked extends Pick<Explanation, "answer" | "meant" | "refused"> {
  intents: Intent[];
  confidence: number;
  reading: Reading;
}

/** What the model makes of a sentence as it was read. */
async function ask(text: string, reading: Reading, options: UnderstandOptions): Promise<Asked> {
  const { house, area: heard, phi: model, threshold = THRESHOLD, signal } = options;
  const pieces = await piecesOf(model, reading);
  const { tokens, probabilities } = await answerOf(model, reading, pieces, signal);
  const commands = decodeAnswer(tokens, pieces);
  const meant = commands && mend(commands, reading, house);
  const confidence = confidenceOf(probabilities, commands ?? [], meant ?? []);
  const resolved = meant && resolve(meant, text, reading, house, heard);
  const refused = !resolved
    ? "it cannot be carried out as it was said"
    : resolved.length > 0 && confidence < threshold
      ? `the confidence is below ${threshold}`
      : undefined;
  return {
    intents: refused === undefined ? resolved! : [],
    confidence,
    reading,
    answer: tokens.map((id, i) => ({
      token: tokenOf(id) ?? wordOf(id, pieces, reading),
      probability: probabilities[i],
    })),
    meant: resolved ?? [],
    refused,
  };
}

/** Of the commands that were kept, where those after the first were left out; else of all that was said. What was mended is no longer doubtful. */
function confidenceOf(probabilities: readonly number[], said: readonly Command[], kept: readonly Command[]): number {
  const product = (some: readonly number[]) => some.reduce((all, one) => all * one, 1);
  const [first] = kept;
  if (first && !first.tokens) return 1; // it needed no model
  const mended = new Set(
    said.flatMap(({ tokens, parts = [] }) => {
      const own = kept.find((other) => other.tokens?.[0] === tokens?.[0])?.parts;
      return [...parts].flatMap(([slot, [from, to]]) =>
        own === undefined || own.has(slot) ? [] : Array.from({ length: to - from }, (_, i) => from + i),
      );
    }),
  );
  const own = probabilities.map((one, i) => (mended.has(i) ? 1 : one));
  if (!first?.tokens || first.tokens[0] > 0 || kept.length === said.length) return product(own);
  return product(kept.flatMap(({ tokens }) => (tokens ? own.slice(...tokens) : [])));
}

/** The ids of each word: the words are tokenized together, in one message, and cut apart by their lengths. */
async function piecesOf(model: HomeModel, { words }: Reading): Promise<number[][]> {
  const { ids, pieces } = await model.tokenize(words.map(({ text }) => ` ${text}`).join(""));
  const out: number[][] = [];
  let at = 0;
  for (const { text } of words) {
    const own: number[] = [];
    for (let length = 0; length < text.length + 1 && at < ids.length; at++) {
      own.push(ids[at]);
      length += pieces[at].length;
    }
    out.push(own);
  }
  return out;
}

async function answerOf(
  model: HomeModel,
  reading: Reading,
  pieces: readonly (readonly number[])[],
  signal?: AbortSignal,
) {
  const automaton = shapeOf(reading, pieces);
  const generation = model.generate(promptOf(reading, pieces), {
    automaton,
    maxTokens: MOST_TOKENS,
    logprobs: 0,
    signal,
  });
  const tokens: number[] = [];
  const probabilities: number[] = [];
  for await (const delta of generation) {
    for (const { id, logprob = 0 } of delta.tokens) {
      tokens.push(id);
      probabilities.push(Math.exp(logprob));
    }
  }
  await generation;
  return { tokens, probabilities };
}

function nothingRead({ words, mentions }: Reading): Explanation {
  return {
    words: words.map(({ text }) => text),
    names: mentions.map(({ from, to, likeness, candidates }) => ({
      said: words
        .slice(from, to)
        .map(({ text }) => text)
        .join(" "),
      likeness,
      candidates: candidates.map(idOf),
    })),
    answer: [],
    meant: [],
  };
}

function wordOf(id: number, pieces: readonly (readonly number[])[], { words }: Reading): string {
  const at = pieces.findIndex((piece) => piece.includes(id));
  return at < 0 ? `${id}` : words[at].text;
}
