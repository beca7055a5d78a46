/** What `piphi serve` can be told, by flags, environment and file: one table says what there is and what is valid. */

import { PiPhiError } from "../../runtime/errors.ts";
import { LOAD_FLAGS } from "../flags.ts";
import { ASSISTANT_FLAGS } from "../home-flags.ts";
import { choice, integer, number, type OptionTable, text, texts, toggle, type Values } from "../options.ts";
import { didYouMean } from "../suggest.ts";

export const SETTINGS = {
  host: text("ADDRESS", "address to listen at; default: 127.0.0.1, this machine alone"),
  port: integer("PORT", [0, 65535], "port of HTTP; 0: any that is free; default: 11435"),
  "wyoming-port": integer("PORT", [0, 65535], "port of Wyoming; 0: any that is free; default: 10400"),
  wyoming: texts("URI", "where Wyoming listens instead: tcp://host:port, unix:///path, stdio:// or none"),
  "no-mdns": toggle("do not announce Wyoming on the local network"),
  house: text("FILE", "the house whose commands are understood, as YAML or JSON"),
  ...ASSISTANT_FLAGS,
  parallel: integer("N", [1, 16], "answers side by side; default: what costs little memory, 4 at most"),
  queue: integer("N", [0, 10_000], "requests that may wait for their turn; default: 64"),
  ctx: LOAD_FLAGS.ctx,
  threads: LOAD_FLAGS.threads,
  ram: LOAD_FLAGS.ram,
  kv: LOAD_FLAGS.kv,
  "no-pack": LOAD_FLAGS["no-pack"],
  share: toggle("leave weights in the pack's own pages, which processes share"),
  warm: LOAD_FLAGS.warm,
  "api-key": text("KEY", "clients must send this key; better --api-key-file, since others see a program's arguments"),
  "api-key-file": text("FILE", "clients must send a key of this file, one a line"),
  "allow-host": texts("NAME", "a name under which clients may call this machine, beside its address and localhost"),
  "allow-origin": texts(
    "ORIGIN",
    "a web page that may call, such as http://localhost:5173; default: this server's own",
  ),
  "any-model": toggle("answer for models of other names, too, with the first one"),
  "max-body": number("MB", [0.001, 1024], "longest body of a request, in megabytes; default: 8"),
  "max-connections": integer("N", [1, 100_000], "open connections at most; default: 512"),
  timeout: number("SECONDS", [0.1, 86_400], "an answer may take so long; default: 600"),
  grace: number("SECONDS", [0, 3600], "answers that run may take so long to end after SIGTERM; default: 20"),
  "log-level": choice(["error", "warn", "info", "debug"], "what is logged on stderr, as JSON lines; default: info"),
  "log-text": toggle("also log what people said and what was answered"),
} satisfies OptionTable;

export type Settings = Values<typeof SETTINGS> & typeof DEFAULTS;

const DEFAULTS = {
  host: "127.0.0.1",
  port: 11435,
  "wyoming-port": 10400,
  "max-body": 8,
  "max-connections": 512,
  timeout: 600,
  grace: 20,
  "log-level": "info" as "error" | "warn" | "info" | "debug",
};

/** The variable of a setting: PIPHI_SERVE_MAX_BODY. */
export const variableOf = (name: string) => `PIPHI_SERVE_${name.replaceAll("-", "_").toUpperCase()}`;

/** Throws E_USAGE where the value is not what is expected. */
function readValue(name: string, given: unknown, where: string): unknown {
  const option = SETTINGS[name as keyof typeof SETTINGS];
  const list = Array.isArray(given) ? given : [given];
  const wrong = () => new PiPhiError("E_USAGE", `${where} must be ${option.expected}, not ${JSON.stringify(given)}.`);
  if (option.placeholder === undefined) {
    if (/^(true|1|yes|on)$/i.test(String(given))) return true;
    if (/^(false|0|no|off|)$/i.test(String(given))) return undefined;
    throw new PiPhiError("E_USAGE", `${where} must be true or false, not ${JSON.stringify(given)}.`);
  }
  if (!list.every((one) => typeof one === "string" || typeof one === "number")) throw wrong();
  const value = option.read(list.map(String));
  if (value === undefined || list.length === 0) throw wrong();
  return value;
}

/** Settings of a file's document. Throws E_USAGE. */
function fromDocument(document: unknown, file: string): Record<string, unknown> {
  if (document === null || document === undefined) return {};
  if (typeof document !== "object" || Array.isArray(document)) {
    throw new PiPhiError("E_USAGE", `${file} must hold settings, such as "port: 11435" on a line.`);
  }
  const settings: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(document)) {
    if (!Object.hasOwn(SETTINGS, name)) {
      const hint = didYouMean(name, Object.keys(SETTINGS)) || " piphi serve --help lists what there is.";
      throw new PiPhiError("E_USAGE", `${file} has an unknown setting "${name}".${hint}`);
    }
    settings[name] = readValue(name, value, `"${name}" in ${file}`);
  }
  return settings;
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const name of Object.keys(SETTINGS)) {
    const value = env[variableOf(name)];
    if (value !== undefined) settings[name] = readValue(name, value, variableOf(name));
  }
  return settings;
}

/**
 * Flags before the environment before the file before the defaults.
 * @param file the document of `--config`, and its name
 * @throws PiPhiError E_USAGE with the setting that is wrong
 */
export function settingsOf(
  flags: Values<typeof SETTINGS>,
  env: Readonly<Record<string, string | undefined>>,
  file?: { document: unknown; name: string },
): Settings {
  const document = file === undefined ? {} : fromDocument(file.document, file.name);
  return { ...DEFAULTS, ...document, ...fromEnvironment(env), ...flags };
}
