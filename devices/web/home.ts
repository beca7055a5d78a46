/** Home commands in browsers: `import { readHouse } from "piphi/home"`. */

import { PiPhiError } from "../../runtime/errors.ts";
import type { Socket } from "../../runtime/home/assistant/connection.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import type { House } from "../../runtime/home/types.ts";
import { understand as understandSentence } from "../../runtime/home/understand.ts";
import { homeDoors } from "../home/open.ts";
import { EMBEDDED_MODEL, load } from "./index.ts";

export * from "../home/index.ts";

/**
 * A house from an object, or from its JSON. A page that keeps YAML parses it with a library of its choice and passes the
 * object: most have none, and none should carry one.
 * @throws PiPhiError E_HOUSE
 */
export function readHouse(house: string | object): House {
  return houseFrom(typeof house === "string" ? parse(house) : house);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PiPhiError(
      "E_HOUSE",
      "In a browser a house is an object or JSON. Parse YAML first, and pass the object.",
    );
  }
}

export const { openHome, followHomeAssistant, understand, unload } = homeDoors({
  openSocket: (url) => new WebSocket(url) as unknown as Socket,
  readHouse,
  load: (signal) => load(EMBEDDED_MODEL, { signal }),
  read: understandSentence,
});
