import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PromptLookup } from "../../runtime/text/lookup.ts";

describe("prompt lookup", () => {
  test("continues as the text did after the longest end that occurred before", () => {
    const lookup = new PromptLookup([1, 2, 3, 4, 5, 9, 3, 7, 1, 2, 3]);
    expect(lookup.draft(4)).toEqual([4, 5, 9, 3]);
    lookup.push(4);
    expect(lookup.draft(2)).toEqual([5, 9]);
  });

  test("takes the latest of several occurrences, and shorter ends where no longer one occurred", () => {
    expect(new PromptLookup([1, 2, 8, 1, 2, 9, 1, 2]).draft(1)).toEqual([9]);
    expect(new PromptLookup([5, 6, 1, 7, 6]).draft(2)).toEqual([1, 7]);
  });

  test("has nothing to say about what is new", () => {
    expect(new PromptLookup([]).draft(5)).toEqual([]);
    expect(new PromptLookup([1, 2, 3]).draft(5)).toEqual([]);
    expect(new PromptLookup([1, 2, 1, 2]).draft(0)).toEqual([]);
  });

  test("drafts are a piece of the text that follows an end of the text", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 60 }), fc.nat(10), (ids, most) => {
        const draft = new PromptLookup(ids).draft(most);
        expect(draft.length).toBeLessThanOrEqual(most);
        if (draft.length === 0) return;
        const found = ids.some((_, at) => {
          return at > 0 && ids[at - 1] === ids[ids.length - 1] && draft.every((id, i) => id === ids[at + i]);
        });
        expect(found).toBe(true);
      }),
    );
  });
});
