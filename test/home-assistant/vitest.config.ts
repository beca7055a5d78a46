/** `npm run check:home-assistant`, by run.sh, which installs Home Assistant first. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/home-assistant/**/*.check.ts"],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    reporters: ["default", "./test/count-reporter.ts"],
    maxWorkers: 1,
  },
});
