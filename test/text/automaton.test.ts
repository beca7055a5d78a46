/** Answers held to automata. */

import { expect, it } from "vitest";
import { AutomatonBuilder, automatonConstraint } from "../../runtime/text/automaton.ts";

/** 1 2 (3 2)* */
function loop() {
  const builder = new AutomatonBuilder();
  const [start, middle, end] = [builder.state(), builder.state(), builder.state(true)];
  builder.edge(start, 1, middle);
  builder.edge(middle, 2, end);
  builder.edge(end, 3, middle);
  return builder.build();
}

it("allows what its edges say, and the end where the answer may end", () => {
  const constraint = automatonConstraint(loop(), 64, new Set([40]));
  expect([...constraint.allowed()]).toEqual([0b10, 0]);
  expect(constraint.forced()).toEqual([1, 2]);
  constraint.push(1);
  constraint.push(2);
  expect([...constraint.allowed()]).toEqual([0b1000, 1 << 8]);
  expect(constraint.forced()).toEqual([]);
  expect(constraint.complete).toBe(false);
});

it("is complete where nothing may follow", () => {
  const builder = new AutomatonBuilder();
  builder.edge(builder.state(), 5, builder.state(true));
  const constraint = automatonConstraint(builder.build(), 8, new Set());
  constraint.push(5);
  expect(constraint.complete).toBe(true);
});

it("refuses tokens that are not allowed, and arrays that do not fit together", () => {
  expect(() => automatonConstraint(loop(), 64, new Set()).push(2)).toThrow(
    expect.objectContaining({ code: "E_ENGINE" }),
  );
  const automaton = loop();
  for (const wrong of [
    { targets: Uint32Array.of(1, 2, 9) },
    { ids: Uint32Array.of(1, 2, 64) },
    { accepting: Uint8Array.of(1) },
    { offsets: Uint32Array.of(0, 2, 1, 3) },
  ]) {
    expect(() => automatonConstraint({ ...automaton, ...wrong }, 64, new Set())).toThrow(
      expect.objectContaining({ code: "E_USAGE" }),
    );
  }
});
