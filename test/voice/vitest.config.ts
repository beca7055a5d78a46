/** `npm run test:voice`: what a synthetic voice says, a recogniser hears, and the house understands. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/voice/**/*.check.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ["verbose", "./test/count-reporter.ts"],
    maxWorkers: 1,
  },
});
