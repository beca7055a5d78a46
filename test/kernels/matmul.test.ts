import { describe, expect, it } from "vitest";
import { checkAll, expectSameFloats, SEEDS, type Subject, subjects } from "../checkasm.ts";
import { random } from "./blocks.ts";
import {
  checkMatmul,
  checkQuantize,
  KINDS,
  type MatmulCase,
  matmulFills,
  matmulShapes,
  poisoned,
  product,
  quantizeCases,
} from "./matmul.ts";

const all = subjects();
const isFast = ({ name }: Subject): boolean => name !== "debug";

describe.each(all)("matmul, $name", (subject) => {
  it.each(KINDS)("%s equals its reference bit for bit in every shape", (kind) => {
    const shapes = matmulShapes(kind).filter(({ k }) => isFast(subject) || k <= 64);
    for (const seed of SEEDS) checkAll(subject, seed, shapes, checkMatmul);
  });

  it.each(KINDS)("%s equals its reference bit for bit at the extremes", (kind) => {
    for (const seed of SEEDS) checkAll(subject, seed, matmulFills(kind), checkMatmul);
  });

  it.each(["q4", "q8"] as const)("the quantizer for %s equals its reference bit for bit", (to) => {
    for (const seed of SEEDS) checkAll(subject, seed, quantizeCases(to), checkQuantize);
  });

  it.each(KINDS)("%s gives a batch the bits it gives each token alone", (kind) => {
    checkAll(
      subject,
      SEEDS[0],
      matmulShapes(kind).filter(({ k }) => k <= 320),
      (_, kase) => {
        const [together, alone] = [true, false].map((mode) => product(subject, kase, random(7), mode));
        expectSameFloats(together, alone, "token");
      },
    );
  });

  it.each(KINDS)("%s passes NaN and infinity on, for their token only", (kind) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const rows = poisoned(subject, kind, value, random(SEEDS[0]));
      for (const [t, row] of rows.entries()) {
        expect(row.filter(Number.isFinite).length, `${value}, token ${t}`).toBe(t === 1 || t === 4 ? 0 : 16);
      }
    }
  });
});

it.each(KINDS)("all builds and forms give the same bits, %s", (kind) => {
  const cases = [...matmulShapes(kind).filter(({ k }) => k <= 320), ...matmulFills(kind)];
  const [first, ...others] = all;
  for (const subject of others) {
    checkAll(subject, SEEDS[0], cases, (_, kase: MatmulCase) => {
      const [actual, expected] = [subject, first].map((each) => product(each, kase, random(11), true));
      expectSameFloats(actual, expected, "token");
    });
  }
});
