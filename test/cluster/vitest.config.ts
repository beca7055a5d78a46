/** `npm run check:cluster`: three nodes behind HAProxy, with the checked-in configuration. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/cluster/**/*.check.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ["default", "./test/count-reporter.ts"],
    maxWorkers: 1,
  },
});
