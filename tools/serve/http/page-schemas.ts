/** What PiPhi's own routes take. */

import * as v from "valibot";
import { object } from "./schema.ts";

export const sentenceBody = object({
  text: v.pipe(v.string(), v.maxLength(10_000)),
  /** An area, or a satellite's id. */
  area: v.nullish(v.string()),
});

export const textBody = object({ text: v.string(), model: v.nullish(v.string()) });

const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31));
export const idsBody = object({ ids: v.pipe(v.array(id), v.maxLength(1_000_000)), model: v.nullish(v.string()) });
