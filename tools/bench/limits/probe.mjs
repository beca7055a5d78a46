/**
 * How fast a file can be read in order, past the page cache: node probe.mjs FILE [MILLISECONDS]
 * Every way of reading gets its share of the time, and the fastest counts. Prints {bytesPerSecond, readBytes, depth, direct}.
 */

import fs from "node:fs";
import { promisify } from "node:util";

const [, , file, milliseconds = "6000"] = process.argv;
/** Bytes of one read, and reads under way at once. */
const WAYS = [
  { readBytes: 4 << 20, depth: 1 },
  { readBytes: 4 << 20, depth: 4 },
  { readBytes: 2 << 20, depth: 4 },
  { readBytes: 1 << 20, depth: 4 },
];
const read = promisify(fs.read);

function open() {
  try {
    const fd = fs.openSync(file, fs.constants.O_RDONLY | (fs.constants.O_DIRECT ?? 0));
    // Page-aligned, as direct reads need: a Buffer is not.
    fs.readSync(fd, new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer), 0, 4096, 0);
    return { fd, direct: true };
  } catch (error) {
    if (error.code !== "EINVAL") throw error;
    return { fd: fs.openSync(file, "r"), direct: false };
  }
}

/** Bytes a second, over at least one read. */
async function measure(fd, { readBytes, depth }, duration) {
  const buffer = new WebAssembly.Memory({ initial: (readBytes * depth) / 65536 }).buffer;
  const pieces = Math.floor(fs.fstatSync(fd).size / readBytes);
  if (pieces === 0) throw new Error(`${file} is smaller than ${readBytes} bytes`);
  let next = 0;
  let bytes = 0;
  const start = performance.now();
  const worker = async (_, i) => {
    const into = new Uint8Array(buffer, i * readBytes, readBytes);
    do {
      const { bytesRead } = await read(fd, into, 0, readBytes, (next++ % pieces) * readBytes);
      bytes += bytesRead;
    } while (performance.now() - start < duration);
  };
  await Promise.all(Array.from({ length: depth }, worker));
  return (bytes * 1000) / (performance.now() - start);
}

const { fd, direct } = open();
let best = { bytesPerSecond: 0 };
for (const way of WAYS) {
  const bytesPerSecond = await measure(fd, way, Number(milliseconds) / WAYS.length);
  if (bytesPerSecond > best.bytesPerSecond) best = { bytesPerSecond, ...way };
}
fs.closeSync(fd);
console.log(JSON.stringify({ ...best, direct }));
