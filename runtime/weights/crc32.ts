/**
 * CRC-32 (ISO 3309, as in zip and PNG), synchronous. Four bytes a step by four tables, since a saved session may have
 * hundreds of megabytes.
 */

const ONE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
/** What a byte becomes when another zero byte follows it. */
const followed = (table: Uint32Array) => table.map((value) => ONE[value & 255] ^ (value >>> 8));
const TWO = followed(ONE);
const THREE = followed(TWO);
const FOUR = followed(THREE);

/** `before`: of the bytes before these. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const whole = bytes.length & ~3;
  let value = ~before;
  let i = 0;
  for (; i < whole; i += 4) {
    value ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    value = FOUR[value & 255] ^ THREE[(value >>> 8) & 255] ^ TWO[(value >>> 16) & 255] ^ ONE[value >>> 24];
  }
  for (; i < bytes.length; i++) value = ONE[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}
