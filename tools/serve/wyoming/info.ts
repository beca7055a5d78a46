/** What is told to `describe`: the programs that Home Assistant lists, and what they can do. */

import type { EventData } from "./framing.ts";

const ATTRIBUTION = { name: "PiPhi", url: "https://www.npmjs.com/package/piphi" };

export interface Described {
  /** Version of PiPhi. */
  version: string;
  /** Name of the model that converses; absent where there is only the one that understands commands. */
  conversation?: string;
}

/** Home Assistant takes the first program that is installed, and looks at `intent` before `handle`. */
export function infoOf({ version, conversation }: Described): EventData {
  const model = (name: string, description: string) => ({
    name,
    description,
    attribution: ATTRIBUTION,
    installed: true,
    version,
    languages: ["en"],
  });
  const home = model("piphi-home", "Understands home commands, offline");
  const talk = conversation === undefined ? [] : [model(conversation, "Converses, offline")];
  const program = {
    name: "piphi",
    description: "Home commands and conversation on small devices, offline",
    attribution: ATTRIBUTION,
    installed: true,
    version,
    models: [home, ...talk],
  };
  return {
    asr: [],
    tts: [],
    wake: [],
    intent: [program],
    handle: [{ ...program, supports_handled_streaming: true, supports_home_control: true }],
  };
}
