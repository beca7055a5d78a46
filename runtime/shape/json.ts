/**
 * How JSON is written in answers: on one line, at most one blank after a colon or a comma, and one before it all, since
 * models begin their answers with one.
 */

import { mapCharacters } from "./chars.ts";
import { either, optional, type Part, range, repeat, rule, sequence, set, text } from "./part.ts";
import { ANY, intersection, type Points, pointsOf, pointsOfText, union, without } from "./points.ts";

export const BLANK = optional(text(" "));
/** The rule of any value. */
export const ANY_VALUE = "any value";

const CONTROLS = pointsOf([[0, 0x1f]]);
const MARKED = pointsOfText('"\\');
const RAW = without(ANY, union(CONTROLS, MARKED));
const SHORT: Record<string, string> = { "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t" };
const DIGIT = range("0", "9");
const HEX = either(DIGIT, range("a", "f"), range("A", "F"));

/** Digits that a number keeps in JavaScript, and an exponent that leaves it finite. */
const MOST_DIGITS = 15;

/** A character of a string: as it is, or escaped where it must be, in one way. */
function written(points: Points): Part {
  const escapes: Part[] = [];
  for (const [first, last] of intersection(points, union(CONTROLS, MARKED))) {
    for (let point = first; point <= last; point++)
      escapes.push(text(JSON.stringify(String.fromCodePoint(point)).slice(1, -1)));
  }
  return either(set(intersection(points, RAW)), ...escapes);
}

/** Any character of a string, in all the ways that JSON has but for halves of pairs. */
export const CHARACTER: Part = either(
  set(RAW),
  sequence(
    text("\\"),
    either(
      set(pointsOfText(`"\\/${Object.values(SHORT).join("")}`)),
      sequence(
        text("u"),
        either(
          sequence(either(DIGIT, range("a", "c"), range("A", "C"), set(pointsOfText("eEfF"))), HEX, HEX, HEX),
          sequence(set(pointsOfText("dD")), range("0", "7"), HEX, HEX),
        ),
      ),
    ),
  ),
);

export const ANY_STRING = string(repeat(CHARACTER, 0));

/** A string of such characters, as JSON writes them. */
export function string(characters: Part): Part {
  return sequence(text('"'), characters, text('"'));
}

/** A string whose text, without escapes, is such a part; it must not call rules. */
export function stringOf(part: Part): Part {
  return string(mapCharacters(part, cached(written)));
}

/** Sets recur in a pattern; each is written once. */
function cached(write: (points: Points) => Part): (points: Points) => Part {
  const known = new Map<Points, Part>();
  return (points) => {
    let part = known.get(points);
    if (!part) known.set(points, (part = write(points)));
    return part;
  };
}

const NONZERO = range("1", "9");
export const ANY_INTEGER = sequence(
  either(text("0"), sequence(optional(text("-")), NONZERO, repeat(DIGIT, 0, MOST_DIGITS - 1))),
);
export const ANY_NUMBER = sequence(
  optional(text("-")),
  either(text("0"), sequence(NONZERO, repeat(DIGIT, 0, MOST_DIGITS - 1))),
  optional(sequence(text("."), repeat(DIGIT, 1, MOST_DIGITS))),
  optional(sequence(set(pointsOfText("eE")), optional(set(pointsOfText("+-"))), DIGIT, optional(DIGIT))),
);
export const BOOLEAN = either(text("true"), text("false"));
export const NULL = text("null");

/** Values with a comma between them: none, or as many as `least` to `most`. */
export function list(open: string, item: Part, close: string, least = 0, most = Infinity): Part {
  if (most === 0) return text(open + close);
  const rest = repeat(sequence(text(","), BLANK, item), Math.max(0, least - 1), most - 1);
  const some = sequence(text(open), item, rest, text(close));
  return least > 0 ? some : either(text(open + close), some);
}

export function member(key: Part, value: Part): Part {
  return sequence(key, text(":"), BLANK, value);
}

export const ANY_OBJECT = list("{", member(ANY_STRING, rule(ANY_VALUE)), "}");
export const ANY_ARRAY = list("[", rule(ANY_VALUE), "]");
/** What the rule of any value says. */
export const ANY_VALUE_PART = either(ANY_STRING, ANY_NUMBER, BOOLEAN, NULL, ANY_OBJECT, ANY_ARRAY);
