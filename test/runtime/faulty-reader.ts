/**
 * The reader of streamed weights on a thread of its own, with a disk that fails when it is told to; for faults.test.ts, which
 * imports the words' names from here.
 */

import { parentPort, workerData } from "node:worker_threads";
import { openAhead } from "../../devices/node/direct.ts";
import { readError } from "../../devices/node/files.ts";
import type { Device } from "../../runtime/device.ts";
import { type ReaderTask, serveReader } from "../../runtime/residence/reader.ts";

/** i32 words shared with the test: how many reads shall fail, after how many more that succeed. */
export const FAILURES = 0;
export const BEFORE = 1;

const words = new Int32Array(workerData as SharedArrayBuffer);

function openFaulty(name: string) {
  const source = openAhead(name);
  return {
    async read(offset: number, into: Uint8Array) {
      const failing = Atomics.load(words, FAILURES) > 0 && Atomics.sub(words, BEFORE, 1) <= 0;
      if (!failing) return source.read(offset, into);
      Atomics.sub(words, FAILURES, 1);
      into.fill(255); // what a failed read leaves is anything
      throw readError(name, offset, Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" }));
    },
    close: () => source.close(),
  };
}

parentPort?.once("message", (task: ReaderTask) => {
  const device = { openAhead: openFaulty } as unknown as Device;
  void serveReader(device, task, (message) => parentPort!.postMessage(message));
});
