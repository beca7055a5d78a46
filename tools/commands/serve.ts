import path from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import type { Context } from "../context.ts";
import { LOAD_FLAGS, toLoadOptions } from "../flags.ts";
import { ASSISTANT_FLAGS, assistantOf } from "../home-flags.ts";
import { defineCommand, integer, text, toggle, usageError, type Values } from "../options.ts";
import { Backend, type BackendOptions } from "../serve/backend.ts";
import type { Door } from "../serve/door.ts";
import { createLog } from "../serve/log.ts";
import { WyomingDoor } from "../serve/wyoming/door.ts";
import { type Address, parseAddress } from "../serve/wyoming/listen.ts";

const FLAGS = {
  house: text("FILE", "the house, as YAML or JSON; see docs/home.md"),
  ...ASSISTANT_FLAGS,
  host: text("ADDRESS", "where to listen; default: 127.0.0.1, this machine alone; 0.0.0.0 is every network"),
  "wyoming-port": integer("N", [0, 65535], "port of Wyoming, Home Assistant's voice protocol; default: 10400"),
  "wyoming-uri": text("URI", "listen there instead: tcp://host:port, unix:///path or stdio://"),
  "no-announce": toggle("do not tell the network of the service by mDNS"),
  parallel: integer("N", [1, 16], "answers at once; default: as many as cost little memory"),
  ...LOAD_FLAGS,
};
type Flags = Values<typeof FLAGS>;

/** Milliseconds in which answers that have begun may end. */
const GRACE_MS = 5000;

async function houseOf(values: Flags, context: Context): Promise<BackendOptions["house"]> {
  const { house: file, "home-assistant": url, "token-file": token } = values;
  if (file !== undefined && url !== undefined) throw usageError("Give --house or --home-assistant, not both.");
  if (file !== undefined) return { house: (await context.home()).readHouseFile(file) };
  if (url === undefined && token === undefined) return undefined;
  return { homeAssistant: await assistantOf(values, context) };
}

function wyomingAddress({ host = "127.0.0.1", "wyoming-port": port, "wyoming-uri": uri }: Flags): Address {
  if (uri === undefined) return { kind: "tcp", host, port: port ?? 10400 };
  if (port !== undefined) throw usageError("Give --wyoming-port or --wyoming-uri, not both.");
  return parseAddress(uri);
}

/** Serves until the process is told to end, a door has nobody left to serve, or the models cannot be loaded. */
async function serveAll(backend: Backend, doors: readonly Door[], context: Context): Promise<void> {
  const log = createLog(context.stderr);
  const told = new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    context.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    // First the doors: whoever asks what this is gets an answer while the models load.
    for (const door of doors) log("info", "listening", { door: door.name, at: await door.listen() });
    const failed = backend.open().then(() => new Promise<never>(() => undefined));
    await Promise.race([told, failed, ...doors.map(({ ended }) => ended)]);
    log("info", "ending");
  } finally {
    await Promise.all(doors.map((door) => door.close(GRACE_MS)));
    await backend.close();
  }
}

export const serve = defineCommand({
  usage: "[MODEL]",
  notes: [
    "Serves Home Assistant's voice assistants by the Wyoming protocol, until Ctrl-C.",
    "Home commands are answered by the embedded model; MODEL, if it is given, answers the rest.",
  ],
  options: FLAGS,
  untilInterrupted: true,
  examples: [
    ["piphi serve --house examples/house.yaml", "understand commands for the things of a house"],
    ["piphi serve --home-assistant http://ha.local:8123 --token-file token", "for Home Assistant"],
    ["piphi serve phi-2.Q4_0.gguf --house house.yaml", "commands and conversation"],
  ],

  async run(values, words, context) {
    if (words.length > 1) throw usageError(`There is one model to serve, not "${words.join(" ")}". Give one.`);
    const [model] = words;
    const address = wyomingAddress(values);
    const load = { ...toLoadOptions(values), parallel: values.parallel };
    const backend = new Backend(
      { house: await houseOf(values, context), model, load },
      context,
      createLog(context.stderr),
    );
    const wyoming = new WyomingDoor(
      {
        address,
        announce: !values["no-announce"],
        version: packageJson.version,
        model: model === undefined ? undefined : path.basename(model),
      },
      backend,
      createLog(context.stderr),
    );
    await serveAll(backend, [wyoming], context);
  },
});
