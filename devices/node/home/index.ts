/** Home commands: `import { readHouse } from "piphi/home"`. */

import fs from "node:fs";
import { PiPhiError } from "../../../runtime/errors.ts";
import type { HouseDocument } from "../../../runtime/home/assistant/registries.ts";
import { checkHouse, type HouseCheck, houseFrom, type Source } from "../../../runtime/home/house.ts";
import type { House } from "../../../runtime/home/types.ts";
import { understand as understandSentence } from "../../../runtime/home/understand.ts";
import { homeDoors } from "../../home/open.ts";
import { openError } from "../files.ts";
import { EMBEDDED_MODEL, load } from "../index.ts";
import { openSocket } from "./socket.ts";
import { formatYaml, parseYaml } from "./yaml.ts";

export { describeFinding, type Finding, type HouseCheck, type Source } from "../../../runtime/home/house.ts";
export * from "../../home/index.ts";

/** Far more than a house needs. */
const LARGEST_BYTES = 64 * 2 ** 20;

/**
 * A house from the text of a house.yaml (or JSON), or from the object that such a text stands for; a house that was read
 * already stays as it is.
 * @throws PiPhiError E_HOUSE with the line of what is wrong
 */
export function readHouse(house: string | object, name = "house"): House {
  const parsed = typeof house === "string" ? parseYaml(house, name) : { document: house, source: undefined };
  return houseFrom(parsed.document, parsed.source);
}

/** The same of a file; throws E_NOT_FOUND and E_FILE_READ too. */
export function readHouseFile(path: string): House {
  return readHouse(textOf(path), path);
}

/** Everything that is wrong or surprising about a file; throws E_HOUSE only where it is no YAML. */
export function checkHouseFile(path: string): HouseCheck & { source: Source } {
  const { document, source } = parseYaml(textOf(path), path);
  return { ...checkHouse(document, source), source };
}

function textOf(path: string): string {
  try {
    const { size } = fs.statSync(path);
    if (size > LARGEST_BYTES) {
      const message = `${path} has ${size} bytes, more than a house needs. Give the file that describes the house.`;
      throw new PiPhiError("E_HOUSE", message, { path, bytes: size });
    }
    return fs.readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    if (error instanceof PiPhiError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new PiPhiError("E_NOT_FOUND", `There is no file ${path}. Check the path.`, { path });
    throw openError(path, error as NodeJS.ErrnoException);
  }
}

/** The text of a house.yaml. */
export function formatHouse(document: HouseDocument): string {
  return formatYaml(document);
}

/**
 * A long-lived access token, from a file.
 * @throws PiPhiError E_NOT_FOUND, E_FILE_READ; E_TOKEN where the file holds none
 */
export function readToken(path: string): string {
  const token = textOf(path).trim();
  if (token === "" || /\s/.test(token)) {
    const message = `${path} holds no access token. Put one there, and nothing else.`;
    throw new PiPhiError("E_TOKEN", message, { path });
  }
  return token;
}

export const { openHome, followHomeAssistant, understand, unload } = homeDoors({
  openSocket,
  readHouse,
  // A second thread would take 15 MB and save a few milliseconds of a sentence.
  load: (signal) => load(EMBEDDED_MODEL, { signal, threads: 1 }),
  read: understandSentence,
});
