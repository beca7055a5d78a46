/** Where a command's house comes from. */

import { PiPhiError } from "../runtime/errors.ts";
import type { Context } from "./context.ts";
import { type OptionTable, text, usageError, type Values } from "./options.ts";

/** The token, where no file is named. */
const TOKEN_VARIABLE = "HOME_ASSISTANT_TOKEN";

export const ASSISTANT_FLAGS = {
  "home-assistant": text("URL", "address of Home Assistant, such as http://homeassistant.local:8123"),
  "token-file": text("FILE", `file with a long-lived access token; default: $${TOKEN_VARIABLE}`),
} satisfies OptionTable;

/** Address and token; throws E_USAGE, E_TOKEN. */
export async function assistantOf(values: Values<typeof ASSISTANT_FLAGS>, { env, home }: Context) {
  const { "home-assistant": url, "token-file": file } = values;
  if (url === undefined) throw usageError("--token-file is of use only with --home-assistant URL.");
  const token = file === undefined ? env[TOKEN_VARIABLE]?.trim() : (await home()).readToken(file);
  if (!token) {
    const message = `There is no access token for Home Assistant. Give --token-file FILE, or set $${TOKEN_VARIABLE}.`;
    throw new PiPhiError("E_TOKEN", message);
  }
  return { url, token };
}
