import type { Phi } from "../../devices/node/index.ts";
import packageJson from "../../package.json" with { type: "json" };
import { PiPhiError } from "../../runtime/errors.ts";
import type { Context, HomeApi } from "../context.ts";
import { toLoadOptions } from "../flags.ts";
import { assistantOf } from "../home-flags.ts";
import { onlyModel } from "../input.ts";
import { defineCommand, text, toggle, usageError } from "../options.ts";
import { Backend } from "../serve/backend.ts";
import { readConfig } from "../serve/config-file.ts";
import { openLog } from "../serve/log.ts";
import { Metrics } from "../serve/metrics.ts";
import { systemdNotifier } from "../serve/notify.ts";
import { runServer } from "../serve/serve.ts";
import { serviceUnit } from "../serve/service-unit.ts";
import { SETTINGS, type Settings, settingsOf } from "../serve/settings.ts";
import { readTextFile } from "../text-input.ts";

const FLAGS = {
  ...SETTINGS,
  config: text("FILE", "settings as YAML: these flags' names without dashes in front"),
  "install-service": toggle("print a systemd unit that serves with these flags, and how to install it"),
};

/** How the house is opened with the embedded model; undefined where no house was named. */
async function houseOpener(settings: Settings, context: Context) {
  const { house: file, "home-assistant": url, "token-file": token } = settings;
  if (file !== undefined && url !== undefined) throw usageError("Give either --house or --home-assistant.");
  if (file !== undefined) {
    const house = (await context.home()).readHouseFile(file);
    return (api: HomeApi, phi: Phi) => api.openHome({ house, phi });
  }
  if (url === undefined) {
    if (token !== undefined) throw usageError("--token-file belongs to --home-assistant.");
    return undefined;
  }
  const homeAssistant = await assistantOf(settings, context);
  return (api: HomeApi, phi: Phi) => api.openHome({ homeAssistant, phi, signal: context.signal });
}

/** A key that came by a file is nobody else's to read. */
function readKeys(settings: Settings): string[] {
  const { "api-key": key, "api-key-file": file } = settings;
  const lines = file === undefined ? [] : readTextFile(file, "--api-key-file").split(/\r?\n/);
  const keys = [...(key === undefined ? [] : [key]), ...lines].map((one) => one.trim()).filter(Boolean);
  if (file !== undefined && keys.length === 0) {
    throw new PiPhiError("E_USAGE", `${file} holds no key. Put one on a line, such as: openssl rand -hex 24 > ${file}`);
  }
  return keys;
}

export const serve = defineCommand({
  usage: "[MODEL]",
  notes: [
    "Serves the embedded model, and MODEL beside it, by the HTTP of OpenAI and of Ollama, and by Wyoming for Home Assistant.",
    "Each flag can also come from the environment (--max-body as PIPHI_SERVE_MAX_BODY) or from --config; flags win.",
    "SIGTERM lets running answers end; a second one does not wait.",
  ],
  options: FLAGS,
  untilInterrupted: true,
  examples: [
    ["piphi serve", "home commands, and http://127.0.0.1:11435 for clients"],
    ["piphi serve phi-2.Q4_0.gguf --house house.yaml", "the house's commands, and talk by Phi-2"],
    ["piphi serve --host 0.0.0.0 --allow-host piphi.local --api-key-file keys", "for other machines, with a key"],
  ],

  async run({ config, "install-service": install, ...flags }, words, context) {
    const model = onlyModel(undefined, words);
    const file = config === undefined ? undefined : readConfig(config);
    const settings = settingsOf(flags, context.env, file);
    if (install) {
      context.stdout.write(serviceUnit({ model, flags, config }));
      return;
    }
    const keys = readKeys(settings);
    const api = await context.api();
    const openHome = await houseOpener(settings, context);
    const load = { ...toLoadOptions(settings), parallel: settings.parallel, queue: settings.queue };
    const log = openLog(settings, context.stderr);
    const onUnreachable = ({ message, code }: PiPhiError) => log.warn({ code }, `${message} Trying again.`);
    const backend = new Backend({ model, load, openHome, api, home: context.home, onUnreachable });
    const metrics = new Metrics(backend);
    const alive = () => Promise.all(backend.models.map(({ loaded }) => loaded?.status()));
    const notifier = systemdNotifier(context.env, alive);
    const { version } = packageJson;
    const { signal, stderr } = context;
    await runServer({ backend, settings, keys, log, metrics, version, signal, stderr, notifier });
  },
});
