import os from "node:os";
import path from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", "./test/count-reporter.ts"],
    // Packs that tests make do not belong into the user's store.
    env: { PIPHI_HOME: path.join(os.tmpdir(), "piphi-test-store") },
    // Engines start threads of their own.
    maxWorkers: 2,
  },
});
