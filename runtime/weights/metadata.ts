/** The key/value part of a GGUF file. */

import { damaged, quote } from "./faults.ts";

/** Arrays of 64-bit integers become f64 (exact up to 2^53), arrays of booleans u8. */
export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** 64-bit integers become numbers (exact up to 2^53). All elements of an array have one type. */
export type MetadataValue = number | boolean | string | NumberArray | readonly MetadataValue[];

/**
 * The getters throw E_FILE_CORRUPT, naming the key, for a value of another type; get… also for an absent key, where
 * optional… give undefined.
 */
export class Metadata extends Map<string, MetadataValue> {
  /** Where each key lies in the file, with its name, type and value: for writing it to another file as it is. */
  readonly places = new Map<string, { offset: number; bytes: number }>();

  constructor(readonly file: string) {
    super();
  }

  getString(key: string): string {
    return this.#present(key, this.optionalString(key));
  }

  getStringArray(key: string): readonly string[] {
    return this.#present(key, this.#typed(key, "an array of strings", isStringArray));
  }

  optionalString(key: string): string | undefined {
    return this.#typed(key, "a string", (value) => typeof value === "string");
  }

  /** Converters also write 0 and 1. */
  optionalBoolean(key: string): boolean | undefined {
    const value = this.get(key);
    if (value === 0 || value === 1) return value === 1;
    return this.#typed(key, "a boolean", (value) => typeof value === "boolean");
  }

  optionalNumber(key: string): number | undefined {
    return this.#typed(key, "a number", (value) => typeof value === "number");
  }

  /** A whole number that a double holds exactly. */
  optionalInteger(key: string): number | undefined {
    return this.#typed(key, "a whole number", (value): value is number => Number.isSafeInteger(value));
  }

  /** What says nothing about how to compute: a value of another type counts as absent. */
  stringHint(key: string): string | undefined {
    const value = this.get(key);
    return typeof value === "string" ? value : undefined;
  }

  numberHint(key: string): number | undefined {
    const value = this.get(key);
    return typeof value === "number" ? value : undefined;
  }

  optionalNumberArray(key: string): NumberArray | undefined {
    return this.#typed(key, "an array of numbers", (value) => ArrayBuffer.isView(value));
  }

  #present<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw damaged(this.file, `the key ${quote(key)} is missing`, { key });
    return value;
  }

  #typed<T extends MetadataValue>(
    key: string,
    expected: string,
    matches: (value: MetadataValue) => value is T,
  ): T | undefined {
    const value = this.get(key);
    if (value === undefined || matches(value)) return value;
    const found = describe(value);
    throw damaged(this.file, `the value of ${quote(key)} should be ${expected}, but is ${found}`, { key, found });
  }
}

/** The first element speaks for all: see MetadataValue. */
function isStringArray(value: MetadataValue): value is readonly string[] {
  return Array.isArray(value) && (value.length === 0 || typeof value[0] === "string");
}

function describe(value: MetadataValue): string {
  if (typeof value === "string") return quote(value);
  return typeof value === "object" ? `an array of ${value.length} elements` : String(value);
}
