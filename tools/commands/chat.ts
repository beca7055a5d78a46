import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { createInterface, type Interface } from "node:readline";
import type { ChatMessage, GenerateOptions, GenerateResult, Phi } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { formatStats, printAnswer } from "../answer.ts";
import type { Context } from "../context.ts";
import { ANSWER_FLAGS, LOAD_FLAGS, MODEL_FLAG, toGenerateOptions, toLoadOptions } from "../flags.ts";
import { onlyModel } from "../input.ts";
import { withModel } from "../model.ts";
import { defineCommand, text } from "../options.ts";
import { columns, palette, printable } from "../output.ts";
import { reportError } from "../report.ts";
import { didYouMean } from "../suggest.ts";

const COMMANDS: Record<string, string> = {
  "/help": "this list",
  "/reset": "forget the conversation",
  "/save FILE": "write the conversation as JSON",
  "/stats": "timings and memory of the last answer",
  "/exit": "leave (as do Ctrl-D, and Ctrl-C on an empty line)",
};

/** Writes beside the target and renames: a full disk leaves the old file as it was. */
async function saveJson(path: string, document: unknown): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, `${JSON.stringify(document, null, 2)}\n`, { flag: "wx" });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    const message = `${path} cannot be written (${code}). Choose another place, or make room.`;
    throw new PiPhiError("E_FILE_WRITE", message, { path, errno: code });
  }
}

class Conversation {
  private messages: ChatMessage[] = [];
  private last: GenerateResult | undefined;
  /** The running answer's. */
  private turn: AbortController | undefined;

  constructor(
    private readonly phi: Phi,
    private readonly context: Context,
    private readonly options: GenerateOptions,
    private readonly system: string | undefined,
  ) {
    this.reset();
    context.signal.addEventListener("abort", () => this.turn?.abort(), { once: true });
  }

  private reset(): void {
    this.messages = this.system === undefined ? [] : [{ role: "system", content: this.system }];
  }

  private note(message: string): void {
    this.context.stderr.write(`${message}\n`);
  }

  /** Ctrl-C while an answer runs; false if none does. */
  interrupt(): boolean {
    if (this.turn === undefined) return false;
    if (this.turn.signal.aborted) this.context.exit(130);
    this.turn.abort();
    return true;
  }

  /** One turn. What the user said is forgotten if nothing was answered. */
  async answer(content: string): Promise<void> {
    const turn = new AbortController();
    this.turn = turn;
    const question: ChatMessage = { role: "user", content };
    try {
      this.last = await this.ask(question, turn.signal);
      const reply = this.last.text.trim();
      if (reply !== "") this.messages.push(question, { role: "assistant", content: reply });
    } finally {
      this.turn = undefined;
    }
  }

  /** Asks with as many of the last turns as the context holds; what does not fit any more is forgotten. */
  private async ask(question: ChatMessage, signal: AbortSignal): Promise<GenerateResult> {
    for (;;) {
      try {
        const generation = this.phi.chat([...this.messages, question], { ...this.options, signal });
        return await printAnswer(generation, this.context.stdout, true);
      } catch (error) {
        const first = this.messages.findIndex(({ role }) => role === "user");
        const full = error instanceof PiPhiError && error.code === "E_PROMPT_TOO_LONG";
        if (!full || first < 0) throw error;
        this.messages.splice(first, 2);
        this.note("The context is full: the oldest turn is forgotten.");
      }
    }
  }

  /** Lines that begin with a slash; false ends the conversation. */
  async command(line: string): Promise<boolean> {
    const [, name, argument] = /^(\S+)\s*(.*)$/s.exec(line)!;
    if (name === "/exit" || name === "/quit") return false;
    if (name === "/reset") {
      this.reset();
      this.note("The conversation is forgotten.");
    } else if (name === "/help") this.context.stderr.write(columns(Object.entries(COMMANDS)));
    else if (name === "/stats") await this.stats();
    else if (name === "/save") await this.save(argument);
    else {
      const known = Object.keys(COMMANDS).map((command) => command.split(" ")[0]);
      this.note(`Unknown command "${printable(name)}".${didYouMean(name, known) || " /help lists them."}`);
    }
    return true;
  }

  private async stats(): Promise<void> {
    if (this.last === undefined) this.note("Nothing has been answered yet.");
    else this.context.stderr.write(formatStats(this.last, this.phi.info, await this.phi.memory()));
  }

  private async save(path: string): Promise<void> {
    if (path === "") {
      this.note("/save needs the name of a file.");
      return;
    }
    await saveJson(path, { model: this.phi.info.name, messages: this.messages });
    this.note(`Saved to ${printable(path)}.`);
  }
}

/** Ctrl-C in the line editor: ends the answer, or clears the line, or leaves. */
function onCtrlC(lines: Interface, conversation: Conversation): void {
  if (conversation.interrupt()) return;
  if (lines.line === "") {
    lines.close();
    return;
  }
  lines.write(null, { ctrl: true, name: "e" });
  lines.write(null, { ctrl: true, name: "u" });
}

/** Reads turns until the input ends. On a terminal an error ends the turn, in a pipe the conversation. */
async function converse(conversation: Conversation, context: Context): Promise<void> {
  const { stdin, stdout, stderr, signal, env } = context;
  const terminal = stdin.isTTY === true;
  const screen = stdout.isTTY ? stdout : stderr;
  const prompt = palette(screen, env).bold("> ");
  const lines = createInterface({ input: stdin, output: terminal ? screen : undefined, terminal, prompt });
  const close = () => lines.close();
  signal.addEventListener("abort", close, { once: true });
  // Ctrl-D may come in the middle of an answer; a prompt after it would open the input again.
  let open = true;
  lines.once("close", () => {
    open = false;
  });
  lines.on("SIGINT", () => onCtrlC(lines, conversation));
  if (terminal) {
    stderr.write("Type a message, or /help.\n");
    lines.prompt();
  }
  try {
    for await (const line of lines) {
      const said = line.trim();
      try {
        if (said.startsWith("/") && !(await conversation.command(said))) return;
        if (said !== "" && !said.startsWith("/")) await conversation.answer(said);
      } catch (error) {
        if (!terminal || signal.aborted) throw error;
        reportError(error, false, context);
      }
      if (signal.aborted) return;
      if (terminal && open) lines.prompt();
    }
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
  }
}

export const chat = defineCommand({
  usage: "[MODEL]",
  notes: [
    "Each line is a turn, also when standard input is piped. Ctrl-C ends an answer; on an empty line it leaves.",
    `In the conversation: ${Object.keys(COMMANDS).join(", ")}.`,
  ],
  options: {
    ...MODEL_FLAG,
    system: text("TEXT", "what the model is told before the conversation"),
    ...ANSWER_FLAGS,
    ...LOAD_FLAGS,
  },
  examples: [
    ["piphi chat", "with the embedded model"],
    ['piphi chat phi-2.Q4_0.gguf --system "Answer in one sentence." --temp 0.7', "with a model of your own"],
    ["printf 'hello\\ngood night\\n' | piphi chat", "a turn a line"],
  ],

  async run(values, words, context) {
    await withModel(context, onlyModel(values.model, words), toLoadOptions(values), async (phi) => {
      await converse(new Conversation(phi, context, toGenerateOptions(values), values.system), context);
    });
  },
});
