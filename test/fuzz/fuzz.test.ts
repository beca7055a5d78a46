/** A short share of `npm run check:fuzz`, which reads 24,000 damaged files. */

import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";
import { READERS } from "./readers.ts";

const EXECUTIONS = 60;

test.each(READERS)("$name: damaged files give typed errors", async (reader) => {
  const { outcomes } = await fuzz(reader, 1, 0, EXECUTIONS * reader.share);
  // Damage is seen, and none of it is only the one kind that everything else hides behind.
  if (reader.name !== "checked") expect(Object.keys(outcomes).length).toBeGreaterThan(2);
});

test("an error that is not typed, a wrong one, is reported with how to do it again", async () => {
  const broken = {
    ...READERS[0],
    read: ([bytes]: readonly Uint8Array[]) => void (bytes[0] === 71 || bytes.at(-1)!.toFixed()),
  };
  const failing = { ...broken, read: () => Promise.reject(new RangeError("mine")) };
  await expect(fuzz(failing, 1, 0, 10)).rejects.toThrow("mine");
  let reads = 0;
  const later = { ...broken, read: () => (++reads > 8 ? Promise.reject(new RangeError("mine")) : Promise.resolve()) };
  await expect(fuzz(later, 7, 0, 100)).rejects.toThrow(/FUZZ_READER=header FUZZ_SEED=7 FUZZ_FROM=\d+ .*mine/);
});
