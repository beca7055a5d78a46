/** `npm run check:openapi`: schemathesis asks the server all that its OpenAPI document allows, and more. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/openapi/**/*.check.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ["default", "./test/count-reporter.ts"],
    maxWorkers: 1,
  },
});
