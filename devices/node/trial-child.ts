/** What a trial runs in a process of its own: an answer of the embedded model, as `run` gives it. */

import { connect } from "../../runtime/client.ts";
import { startThread } from "./device.ts";
import { type FlagSet, setEngineFlags } from "./engine-flags.ts";
import { EMBEDDED_MODEL } from "./paths.ts";

setEngineFlags(process.argv[2] as FlagSet);
const phi = await connect(startThread("engine", true), EMBEDDED_MODEL, { threads: 1, contextLength: 128 });
// A prompt of a batch and then some, and tokens one by one: every operation of both.
await phi.generate("Instruct: turn on the kitchen lights\nOutput:", { maxTokens: 4 });
await phi.close();
