/** The file of `--config`. */

import { load, YAMLException } from "js-yaml";
import { usageError } from "../options.ts";
import { readTextFile } from "../text-input.ts";

/** Its document; throws E_USAGE with the line where it is no YAML, E_NOT_FOUND, E_FILE_READ. */
export function readConfig(name: string): { document: unknown; name: string } {
  try {
    return { document: load(readTextFile(name, "--config")), name };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    throw usageError(
      `${name} is no YAML: ${error.message.split("\n")[0]}. Write one setting on a line, such as "port: 11435".`,
    );
  }
}
