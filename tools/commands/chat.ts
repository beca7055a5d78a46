import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { addAbortSignal, type Readable } from "node:stream";
import type { ChatMessage, GenerateOptions, GenerateResult, Phi, Session } from "../../devices/node/index.ts";
import { PRIVATE_MODE, removeLeftovers, writeAtomically } from "../../devices/node/writing.ts";
import { LEAST_ROLLING_CONTEXT, PiPhiError } from "../../runtime/index.ts";
import { formatStats, noteCut, printAnswer } from "../answer.ts";
import type { Context } from "../context.ts";
import {
  ANSWER_FLAGS,
  LOAD_FLAGS,
  MODEL_FLAG,
  readTemplate,
  TEMPLATE_FLAG,
  toGenerateOptions,
  toLoadOptions,
} from "../flags.ts";
import { onlyModel } from "../input.ts";
import { withModel } from "../model.ts";
import { defineCommand, text } from "../options.ts";
import { columns, formatBytes, palette, plural, printable } from "../output.ts";
import { reportError } from "../report.ts";
import { heldToCommand } from "../shape-flags.ts";
import { didYouMean } from "../suggest.ts";
import { linesOf } from "../text-input.ts";

const COMMANDS: Record<string, string> = {
  "/help": "this list",
  "/reset": "forget the conversation",
  "/save FILE": "save the conversation as a session, with what has been computed",
  "/load FILE": "go on with a saved session",
  "/export FILE": "write the messages as JSON",
  "/stats": "timings and memory of the last answer",
  "//TEXT": "say a text that begins with a slash",
  "/exit": "leave (as do Ctrl-D, and Ctrl-C on an empty line)",
};

async function saveJson(path: string, document: unknown): Promise<void> {
  const text = new TextEncoder().encode(`${JSON.stringify(document, null, 2)}\n`);
  removeLeftovers(path);
  await writeAtomically(path, async (sink) => sink.write(0, text), PRIVATE_MODE);
}

/** Inside a conversation no shell puts the home folder in place of "~". */
function fromHome(path: string): string {
  return path.replace(/^~(?=\/|$)/, () => homedir());
}

/** The messages in the note that `/save` leaves in a session; throws E_NOT_SESSION. */
function messagesOf(path: string, note: string): ChatMessage[] {
  try {
    const { messages } = JSON.parse(note);
    const sound = (message: ChatMessage) => typeof message.role === "string" && typeof message.content === "string";
    if (Array.isArray(messages) && messages.every(sound)) return messages;
  } catch {
    // Another program's note.
  }
  const message = `${path} is a session without a conversation. Give one that piphi chat saved.`;
  throw new PiPhiError("E_NOT_SESSION", message, { path });
}

class Conversation {
  private messages: ChatMessage[] = [];
  private last: GenerateResult | undefined;
  /** The running answer's. */
  private turn: AbortController | undefined;
  /** Whether something was said that is not saved. */
  private unsaved = false;

  private constructor(
    private readonly phi: Phi,
    private session: Session,
    private readonly context: Context,
    private readonly options: GenerateOptions,
    private readonly system: string | undefined,
  ) {
    this.reset();
    context.signal.addEventListener("abort", () => this.turn?.abort(), { once: true });
  }

  static async begin(
    phi: Phi,
    context: Context,
    options: GenerateOptions,
    system: string | undefined,
  ): Promise<Conversation> {
    return new Conversation(phi, await phi.session(), context, options, system);
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
      noteCut(this.last, this.options, this.context.stderr);
      const reply = this.last.text.trim();
      if (reply !== "") {
        this.messages.push(question, { role: "assistant", content: reply });
        this.unsaved = true;
      }
    } finally {
      this.turn = undefined;
    }
  }

  /** Asks with as many of the last turns as the context holds; what does not fit any more is forgotten. */
  private async ask(question: ChatMessage, signal: AbortSignal): Promise<GenerateResult> {
    for (;;) {
      try {
        const generation = this.session.chat([...this.messages, question], { ...this.options, signal });
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
    if (name === "/reset") await this.forget();
    else if (name === "/help") this.context.stderr.write(columns(Object.entries(COMMANDS)));
    else if (name === "/stats") await this.stats();
    else if (name in FILE_COMMANDS) await this.withFile(name as keyof typeof FILE_COMMANDS, argument);
    else {
      const known = Object.keys(COMMANDS).map((command) => command.split(" ")[0]);
      this.note(`Unknown command "${printable(name)}".${didYouMean(name, known) || " /help lists them."}`);
    }
    return true;
  }

  /** A session of its own begins: what is saved from now on has nothing of the one before. */
  private async forget(): Promise<void> {
    const before = this.session;
    this.session = await this.phi.session();
    await before.close();
    this.reset();
    this.unsaved = true;
    this.note("The conversation is forgotten.");
  }

  private async stats(): Promise<void> {
    if (this.last === undefined) this.note("Nothing has been answered yet.");
    else this.context.stderr.write(formatStats(this.last, this.phi.info, await this.phi.memory()));
  }

  private async withFile(name: keyof typeof FILE_COMMANDS, path: string): Promise<void> {
    if (path === "") this.note(`${name} needs the name of a file.`);
    else await this[FILE_COMMANDS[name]](fromHome(path));
  }

  /** Goes on with a session that was saved; what was said before is forgotten. */
  async load(path: string): Promise<void> {
    const { phi, context } = this;
    const session = await phi.restore(path, { signal: context.signal });
    const before = this.session;
    try {
      this.messages = messagesOf(path, session.note);
      this.session = session;
    } finally {
      await (this.session === session ? before : session).close();
    }
    this.unsaved = false;
    const turns = this.messages.filter(({ role }) => role === "user").length;
    this.note(`Going on with ${printable(path)}, ${plural(turns, "turn")}.`);
    const { system, messages } = this;
    if (system === undefined || messages.some(({ role, content }) => role === "system" && content === system)) return;
    this.note("It keeps what the model was told when it began; --system counts after /reset.");
  }

  async save(path: string): Promise<void> {
    const bytes = await this.session.save(path, { note: JSON.stringify({ messages: this.messages }) });
    this.unsaved = false;
    this.note(`Saved to ${printable(path)}, ${formatBytes(bytes)}.`);
  }

  async saveChanges(path: string): Promise<void> {
    if (this.unsaved) await this.save(path);
  }

  async export(path: string): Promise<void> {
    await saveJson(path, { model: this.phi.info.name, messages: this.messages });
    this.note(`Saved to ${printable(path)}.`);
  }
}

/** Commands about files, and what does them. */
const FILE_COMMANDS = { "/save": "save", "/load": "load", "/export": "export" } as const;

/** Before a conversation that would then be lost; throws E_FILE_WRITE. */
function refuseMissingFolder(file: string): void {
  const folder = dirname(resolve(file));
  if (existsSync(folder)) return;
  const message = `There is no folder ${folder} to save the session in. Make it first, or choose another place.`;
  throw new PiPhiError("E_FILE_WRITE", message, { path: file, errno: "ENOENT" });
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
  // Whether the cursor stands behind a prompt.
  let prompted = false;
  const ask = () => {
    prompted = terminal && open;
    if (prompted) lines.prompt();
  };
  if (terminal) stderr.write("Type a message, or /help.\n");
  ask();
  try {
    for await (const line of terminal ? lines : linesOf(addAbortSignal(signal, stdin as Readable))) {
      prompted = false;
      const said = line.trim();
      try {
        const command = /^\/(?!\/)/.test(said);
        if (command && !(await conversation.command(said))) return;
        if (said !== "" && !command) await conversation.answer(said.replace(/^\/\//, "/"));
      } catch (error) {
        if (!terminal || signal.aborted) throw error;
        reportError(error, false, context);
      }
      if (signal.aborted) return;
      ask();
    }
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
    if (prompted) screen.write("\n");
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
    session: text("FILE", "go on with the session in FILE, if there is one, and save it there at the end"),
    ...TEMPLATE_FLAG,
    ...ANSWER_FLAGS,
    ...LOAD_FLAGS,
  },
  examples: [
    ["piphi chat", "with the embedded model"],
    ['piphi chat phi-2.Q4_0.gguf --system "Answer in one sentence." --temp 0.7', "with a model of your own"],
    ["piphi chat --session talk.piphi", "a conversation that goes on where it ended last time"],
    ["printf 'hello\\ngood night\\n' | piphi chat", "a turn a line"],
  ],

  async run(values, words, context) {
    const { system, session } = values;
    if (session !== undefined) refuseMissingFolder(session);
    const options = { ...toLoadOptions(values), template: readTemplate(values.template) };
    await withModel(context, onlyModel(values.model, words), options, async (phi) => {
      const overflow = phi.info.contextLength < LEAST_ROLLING_CONTEXT ? "stop" : "roll";
      const given = toGenerateOptions(values);
      const held = onlyModel(values.model, words) === undefined ? await heldToCommand(given, context) : given;
      const { overflow: asked = overflow, ...options } = held;
      const conversation = await Conversation.begin(phi, context, { ...options, overflow: asked }, system);
      if (session !== undefined && existsSync(session)) await conversation.load(session);
      try {
        await converse(conversation, context);
      } finally {
        if (session !== undefined) await conversation.saveChanges(session);
      }
    });
  },
});
