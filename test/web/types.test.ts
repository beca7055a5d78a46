/** The package's types, checked as a program does that knows nothing of TypeScript's newest library. */

import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";
import { temporaryFile } from "../fixtures/temporary.ts";

test("piphi/web is typed for ES2022 and the DOM alone", () => {
  const types = fileURLToPath(new URL("../../dist/types/devices/web/index.d.ts", import.meta.url));
  const program = ts.createProgram(
    [
      temporaryFile(
        "page.ts",
        `import { load } from ${JSON.stringify(types.replace(/\.d\.ts$/, ".js"))};\nexport const phi = load("m.gguf", { assets: "/piphi/" });\n`,
      ),
    ],
    {
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      types: [],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
    },
  );
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  expect(messages).toEqual([]);
});
