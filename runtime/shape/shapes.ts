/**
 * The shapes that answers of one model are held to, by what callers gave: compiled at the first request, then remembered with
 * what answers have found out about them.
 */

import type { ShapeOptions } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import type { Constraint } from "../text/constraint.ts";
import { parseGrammar } from "./gbnf.ts";
import { Shape } from "./held.ts";
import { shapeError } from "./network.ts";
import { either, type Rules, words } from "./part.ts";
import { parseRegex } from "./regex.ts";
import { parseSchema } from "./schema.ts";
import type { Schema } from "./schema-keywords.ts";
import { type Spelling, Vocabulary } from "./vocabulary.ts";

type Kind = keyof ShapeOptions;

/** Shapes that are remembered. */
const MOST_SHAPES = 32;
/** Of a schema, grammar or list of choices; a home's intents with 500 names take 30 KB. */
const MOST_CHARACTERS = 1_000_000;
const MOST_REGEX_CHARACTERS = 10_000;
/** Of a schema's objects and lists in one another. */
const MOST_DEPTH = 500;
const KINDS: readonly Kind[] = ["schema", "regex", "grammar", "choices"];

export class Shapes {
  private vocabulary: Vocabulary | undefined;
  /** The last used at the end. */
  private readonly known = new Map<string, Shape>();

  constructor(private readonly spelling: Spelling) {}

  /** What holds an answer to the shape that is asked for, if one is. Throws E_USAGE and E_SHAPE. */
  constraint(options: ShapeOptions): Constraint | undefined {
    const kind = kindOf(options);
    if (!kind) return undefined;
    const source = sourceOf(kind, options[kind]);
    const key = `${kind} ${source}`;
    this.vocabulary ??= new Vocabulary(this.spelling);
    const shape = this.known.get(key) ?? compile(kind, source, this.vocabulary);
    this.known.delete(key);
    this.known.set(key, shape);
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MOST_SHAPES) break;
      this.known.delete(oldest);
    }
    return shape.constraint();
  }
}

function kindOf(options: ShapeOptions): Kind | undefined {
  const [first, second] = KINDS.filter((kind) => options[kind] !== undefined);
  if (second === undefined) return first;
  throw new PiPhiError("E_USAGE", `An answer has one shape, but both ${first} and ${second} are given. Leave one out.`);
}

/** What is given as one text. */
function sourceOf(kind: Kind, given: unknown): string {
  if (kind === "choices") {
    if (!Array.isArray(given) || given.length === 0)
      throw shapeError("The choices must be a list of at least one text. Give some.");
    const wrong = Array.from(given, (one) => typeof one === "string" && one !== "").indexOf(false);
    if (wrong >= 0) throw shapeError(`Choice ${wrong + 1} is no text, or empty. Leave it out.`, { at: `/${wrong}` });
  } else if (kind === "schema") {
    const isSchema =
      typeof given === "boolean" || (typeof given === "object" && given !== null && !Array.isArray(given));
    if (!isSchema) throw shapeError("The schema must be an object: a JSON Schema. Give one.", { at: "" });
  } else if (typeof given !== "string") throw shapeError(`The ${kind} must be a text, not ${typeof given}. Give one.`);
  const source = typeof given === "string" ? given : textOf(given);
  const most = kind === "regex" ? MOST_REGEX_CHARACTERS : MOST_CHARACTERS;
  if (source.length >= most) {
    throw shapeError(`The ${kind} has ${source.length} characters; fewer than ${most} are possible. Make it smaller.`, {
      characters: source.length,
      most,
    });
  }
  return source;
}

function textOf(given: unknown): string {
  try {
    return JSON.stringify(given);
  } catch {
    throw shapeError("The schema contains itself, or is nested too deeply to be JSON. Use $ref for what recurs.");
  }
}

function compile(kind: Kind, source: string, vocabulary: Vocabulary): Shape {
  if (kind === "schema" && depthOf(source) > MOST_DEPTH) throw tooDeep(kind);
  try {
    return new Shape(rulesOf(kind, source), vocabulary);
  } catch (error) {
    // The engine's stack ends first where thousands of references lead from one to the next.
    throw error instanceof RangeError ? tooDeep(kind) : error;
  }
}

function tooDeep(kind: Kind): PiPhiError {
  return shapeError(`The ${kind} is nested too deeply. Make it flatter.`, { depth: MOST_DEPTH });
}

/** Brackets in brackets, outside of texts. */
function depthOf(json: string): number {
  let depth = 0;
  let most = 0;
  for (const [bracket] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (bracket === "{" || bracket === "[") most = Math.max(most, ++depth);
    else if (bracket === "}" || bracket === "]") depth--;
  }
  return most;
}

function rulesOf(kind: Kind, source: string): Rules {
  if (kind === "schema") return parseSchema(JSON.parse(source) as Schema);
  if (kind === "grammar") return parseGrammar(source);
  const answer = kind === "regex" ? parseRegex(source) : either(words(JSON.parse(source) as string[]));
  return { root: "answer", rules: new Map([["answer", answer]]) };
}
