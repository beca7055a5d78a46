import { describe, it } from "vitest";
import { checkAll, SEEDS, subjects } from "../checkasm.ts";
import { checkTurn, turnCases } from "./roll.ts";

describe.each(subjects().filter(({ form }) => form === "pairs"))("turning keys, $name", (subject) => {
  it.each([
    ["int8", false],
    ["f16", true],
  ])("%s: the first tile turns as stated, and nothing else changes", (_, half) => {
    for (const seed of SEEDS) checkAll(subject, seed, turnCases(half), checkTurn);
  });
});
