/** `npm run check:faults`: what needs root, mounts, control groups and minutes. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/heavy/**/*.check.ts"],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    reporters: ["verbose"],
    maxWorkers: 1,
  },
});
