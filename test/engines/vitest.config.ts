/** `npm run check:engines`: the built package on every engine in $PIPHI_ENGINES ("name=command" in lines), or on those that npm has. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/engines/**/*.check.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: ["default", "./test/count-reporter.ts"],
    maxWorkers: 1,
  },
});
