/** From the arguments to an exit code: finds the command, imports it, reports what goes wrong. */

import packageJson from "../package.json" with { type: "json" };
import { PiPhiError } from "../runtime/errors.ts";
import type { Context, Host } from "./context.ts";
import { COMMON_OPTIONS, commandHelp, generalHelp } from "./help.ts";
import { type Command, parseOptions, usageError } from "./options.ts";
import { reportError } from "./report.ts";
import { didYouMean } from "./suggest.ts";

interface Entry {
  summary: string;
  /** Imported when asked for: a start on a Pi reads only the command that runs. */
  load(): Promise<Command>;
}

export const COMMANDS: Readonly<Record<string, Entry>> = {
  run: { summary: "answer one prompt", load: async () => (await import("./commands/run.ts")).run },
  chat: { summary: "hold a conversation", load: async () => (await import("./commands/chat.ts")).chat },
  show: { summary: "show what a model file contains", load: async () => (await import("./commands/show.ts")).show },
  tokenize: {
    summary: "show the tokens of a text",
    load: async () => (await import("./commands/tokenize.ts")).tokenize,
  },
  score: {
    summary: "show how likely the next tokens are",
    load: async () => (await import("./commands/score.ts")).score,
  },
  pack: {
    summary: "turn a model into a pack: mapped at once, streamed where memory is short",
    load: async () => (await import("./commands/pack.ts")).pack,
  },
  plan: { summary: "show where a model's bytes would go", load: async () => (await import("./commands/plan.ts")).plan },
  bench: {
    summary: "measure the speed on this machine",
    load: async () => (await import("./commands/bench.ts")).bench,
  },
  intent: {
    summary: "understand a home command in your own house",
    load: async () => (await import("./commands/intent.ts")).intent,
  },
  house: {
    summary: "read the house from Home Assistant, or check a house.yaml",
    load: async () => (await import("./commands/house.ts")).house,
  },
  serve: {
    summary: "serve OpenAI's and Ollama's HTTP, and Home Assistant's Wyoming",
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  doctor: { summary: "check this machine", load: async () => (await import("./commands/doctor.ts")).doctor },
};

/** Signals that end the work, with the exit codes that shells give them. */
export const SIGNAL_CODES: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

function findEntry(name: string): Entry {
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name];
  const hint = didYouMean(name, [...Object.keys(COMMANDS), "help"]) || ' "piphi help" lists the commands.';
  const what = name.startsWith("-") ? "option" : "command";
  throw usageError(`Unknown ${what} "${name}".${hint}`);
}

/** Returns true where the work ends by a signal, as it should. */
async function dispatch([name, ...args]: string[], context: Context): Promise<boolean> {
  const { stdout } = context;
  if (name === "--version" || name === "-v" || name === "version") {
    stdout.write(`${packageJson.version}\n`);
    return false;
  }
  const wantsHelp = name === undefined || name === "help" || name === "--help" || name === "-h";
  const topic = wantsHelp ? args[0] : undefined;
  if (wantsHelp && topic === undefined) {
    const summaries = Object.entries(COMMANDS).map(([command, entry]) => [command, entry.summary] as const);
    stdout.write(generalHelp(packageJson.version, summaries));
    return false;
  }
  const { summary, load } = findEntry(topic ?? name);
  const command = await load();
  const { values, words } = parseOptions(args, { ...command.options, ...COMMON_OPTIONS });
  if (topic !== undefined || values.help) stdout.write(commandHelp(topic ?? name, summary, command));
  else await command.run(values, words, context);
  return command.untilInterrupted ?? false;
}

/** Ends the work when the reader of stdout leaves (`piphi run … | head -c 5`) or the disk behind it is full. */
function watchOutput({ stdout, stderr, interrupt }: Host) {
  const abort = new AbortController();
  const state: { signal: AbortSignal; failure?: NodeJS.ErrnoException } = { signal: abort.signal };
  const onFailure = (error: NodeJS.ErrnoException) => {
    state.failure ??= error;
    abort.abort();
  };
  stdout.on("error", onFailure);
  // Nobody left to tell; the work itself may go on.
  stderr.on("error", () => undefined);
  if (interrupt.aborted) abort.abort();
  interrupt.addEventListener("abort", () => abort.abort(), { once: true });
  return state;
}

function unwritable({ code = "unknown", message }: NodeJS.ErrnoException): PiPhiError {
  const kind = code === "ENOSPC" ? "E_DISK_FULL" : "E_FILE_WRITE";
  return new PiPhiError(kind, `The output cannot be written (${message}). Make room, or send it elsewhere.`, {
    errno: code,
  });
}

/** Runs one command line (without "node piphi"); never rejects, never calls `exit` itself. Returns the exit code. */
export async function main(argv: string[], host: Host): Promise<number> {
  const output = watchOutput(host);
  const context: Context = { ...host, signal: output.signal };
  const end = argv.indexOf("--");
  const json = (end < 0 ? argv : argv.slice(0, end)).includes("--json");
  const interrupted = () => SIGNAL_CODES[String(host.interrupt.reason)] ?? SIGNAL_CODES.SIGINT;
  let code = 0;
  try {
    const ended = await dispatch(argv, context);
    if (host.interrupt.aborted && !ended) code = interrupted();
  } catch (error) {
    if (output.failure === undefined && !(host.interrupt.aborted && !json)) code = reportError(error, json, host);
    if (host.interrupt.aborted) code = interrupted();
  }
  // A failed write is reported after the write itself has returned.
  await new Promise<void>((resolve) => host.stdout.write("", () => resolve()));
  if (output.failure === undefined) return code;
  return output.failure.code === "EPIPE" ? 0 : reportError(unwritable(output.failure), false, host);
}
