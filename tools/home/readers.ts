/** Whatever reads sentences in a house, behind one interface: PiPhi, its embedded model alone, hassil. */

import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Intent } from "./effect.ts";

export interface Question {
  readonly text: string;
  /** Where it was said. */
  readonly area?: string;
}
export interface Answer {
  readonly intents: readonly Intent[];
  /** From 0 to 1, where the reader gives one. */
  readonly confidence?: number;
  /** From the text to the intents. */
  readonly ms: number;
}
/** Answers every question, in order, in the house of a file. */
export type Reader = (houseFile: string, questions: readonly Question[]) => Promise<Answer[]>;

/** A process that reads questions as JSON lines and prints answers as JSON lines. */
export function processReader(command: (houseFile: string) => readonly [string, ...string[]]): Reader {
  return (houseFile, questions) =>
    new Promise((resolve, reject) => {
      const [program, ...args] = command(houseFile);
      const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
      const answers: Answer[] = [];
      createInterface(child.stdout).on("line", (line) => answers.push(JSON.parse(line) as Answer));
      child.stdin.on("error", () => {}); // it has ended; "close" says with what
      child.on("error", reject);
      child.on("close", (code) => {
        if (code === 0 && answers.length === questions.length) resolve(answers);
        else reject(new Error(`${program} ended with ${code} after ${answers.length} of ${questions.length} answers`));
      });
      child.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(""));
    });
}

/** The embedded model's JSON is one intent whose keys are slots. Anything else counts as an answer, a wrong one. */
export function intentsOf(text: string): Intent[] {
  try {
    const { intent, ...slots } = JSON.parse(text);
    return intent === "none" ? [] : [{ name: String(intent), slots }];
  } catch {
    return [{ name: "invalid JSON", slots: {} }];
  }
}

/** The embedded model without a house, as `piphi run` asks it. */
const modelReader: Reader = async (_, questions) => {
  const { load } = await import("../../devices/node/index.ts");
  const { commandSchema } = await import("../../devices/node/home/index.ts");
  const phi = await load();
  try {
    const answers: Answer[] = [];
    for (const { text } of questions) {
      const start = performance.now();
      const result = await phi.chat([{ role: "user", content: text }], { temperature: 0, schema: commandSchema() });
      answers.push({ intents: intentsOf(result.text), ms: performance.now() - start });
    }
    return answers;
  } finally {
    await phi.close();
  }
};

const hassilScript = (root: string): string => `${root}tools/home/hassil_reader.py`;

/** "hassil 3.12.1, home-assistant-intents 2026.10.27" */
export const hassilVersions = (root: string, python: string): string =>
  execFileSync(python, [hassilScript(root), "--version"], { encoding: "utf8" }).trim();

export const READERS = ["piphi", "model", "hassil"] as const;
export type ReaderName = (typeof READERS)[number];

export function readerOf(name: ReaderName, root: string, python: string): Reader {
  const readers: Record<ReaderName, Reader> = {
    piphi: processReader((house) => [
      process.execPath,
      `${root}dist/tools/cli.js`,
      "intent",
      "--lines",
      "--house",
      house,
    ]),
    model: modelReader,
    hassil: processReader((house) => [python, hassilScript(root), house]),
  };
  return readers[name];
}
