/** Schemas of requests, where a list is no object: Valibot's own take one for the other. */

import * as v from "valibot";

function refusingLists<Schema extends v.GenericSchema>(schema: Schema): Schema {
  const run: Schema["~run"] = (dataset, config) => {
    return schema["~run"](Array.isArray(dataset.value) ? { value: undefined } : dataset, config);
  };
  return { ...schema, "~run": run };
}

export const object = <const Entries extends v.ObjectEntries>(entries: Entries) => refusingLists(v.object(entries));
export const record = refusingLists(v.record(v.string(), v.unknown()));
export const optional = <Schema extends v.GenericSchema>(schema: Schema) => v.nullish(schema);
export const range = (min: number, max: number) => v.pipe(v.number(), v.minValue(min), v.maxValue(max));
export const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
/** A text that is not empty. */
export const text = v.pipe(v.string(), v.minLength(1));
