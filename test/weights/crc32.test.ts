import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32 } from "../../runtime/weights/crc32.ts";

/** The definition: bit by bit. */
function bitwise(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}

test("the standard's check value", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
});

test("bytes at once, or one part after the other", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 99 }), fc.nat(99), (bytes, at) => {
      expect(crc32(bytes)).toBe(bitwise(bytes));
      expect(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at)))).toBe(bitwise(bytes));
    }),
  );
});
