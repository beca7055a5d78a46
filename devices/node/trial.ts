/** The process of engine-trial.ts: answers with the embedded model, as `piphi run` does, and ends with 0 where that went well. */

import { load } from "./index.ts";

const phi = await load();
const { generatedTokens } = await phi.chat([{ role: "user", content: "turn on the kitchen lights" }], {
  maxTokens: 12,
});
await phi.close();
process.exit(generatedTokens > 0 ? 0 : 1);
