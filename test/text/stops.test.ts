import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopMatcher } from "../../runtime/text/stops.ts";

/** The definition: the smallest end of any match, then the smallest start. */
function reference(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const matches = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (matches.length === 0) continue;
    return { text: text.slice(0, end - Math.max(...matches.map((stop) => stop.length))), stopped: true };
  }
  return { text, stopped: false };
}

function run(pushes: readonly string[], stops: readonly string[]) {
  const matcher = new StopMatcher(stops);
  const results = pushes.map((push) => matcher.push(push));
  const stopped = results.at(-1)?.stopped ?? false;
  return { text: results.map(({ text }) => text).join("") + matcher.flush(), stopped };
}

describe("StopMatcher", () => {
  it("finds a stop text across pushes and keeps it out of the answer", () => {
    const matcher = new StopMatcher(["\nInstruct:", "\nAlice:"]);
    expect(matcher.push("Yes.\nIn")).toEqual({ text: "Yes.", stopped: false });
    expect(matcher.push("deed\n")).toEqual({ text: "\nIndeed", stopped: false });
    expect(matcher.push("Al")).toEqual({ text: "", stopped: false });
    expect(matcher.push("ice: hi")).toEqual({ text: "", stopped: true });
    expect(matcher.push("more")).toEqual({ text: "", stopped: true });
    expect(matcher.flush()).toBe("");
  });

  it("gives back at the end what it held", () => {
    const matcher = new StopMatcher(["END"]);
    expect(matcher.push("the EN")).toEqual({ text: "the ", stopped: false });
    expect(matcher.flush()).toBe("EN");
  });

  it("holds back nothing without stop texts", () => {
    expect(new StopMatcher([]).push("text")).toEqual({ text: "text", stopped: false });
  });

  it("falls back to the right prefix of a stop text that repeats itself", () => {
    expect(run(["aab", "aaa", "bab"], ["aabab"])).toEqual({ text: "aaba", stopped: true });
  });

  it("lets the match that is complete first win, then the longest", () => {
    expect(run(["abcd"], ["abcd", "bc"])).toEqual({ text: "a", stopped: true });
    expect(run(["xabc"], ["c", "abc", "bc"])).toEqual({ text: "x", stopped: true });
  });

  it("refuses an empty stop text", () => {
    expect(() => new StopMatcher(["a", ""])).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });

  it("agrees with the definition however the text is cut", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 6 });
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "\n"), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(text), fc.array(stop, { maxLength: 4 }), (pushes, stops) => {
        expect(run(pushes, stops)).toEqual(reference(pushes.join(""), stops));
      }),
      { numRuns: 1000 },
    );
  });

  it("never emits a text that an unfinished stop text could still claim", () => {
    const matcher = new StopMatcher(["aaab"]);
    expect([..."aaaaa"].map((unit) => matcher.push(unit).text)).toEqual(["", "", "", "a", "a"]);
    expect(matcher.push("b")).toEqual({ text: "", stopped: true });
  });

  it("takes linear time", () => {
    const matcher = new StopMatcher([`${"a".repeat(5000)}b`]);
    const start = performance.now();
    matcher.push("a".repeat(500_000));
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
