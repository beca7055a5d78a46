import type { Home, SpokenUnderstanding, UnderstandOptions } from "../../devices/node/home/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG } from "../flags.ts";
import { ASSISTANT_FLAGS, assistantOf } from "../home-flags.ts";
import { readText, refuseWords } from "../input.ts";
import { linesOf } from "../lines.ts";
import { defineCommand, text, toggle, usageError, type Values } from "../options.ts";
import { columns, formatMs, palette, plural, printable, writeJson } from "../output.ts";
import { errorDocument } from "../report.ts";

const FLAGS = {
  house: text("FILE", "the house, as YAML or JSON; see docs/home.md"),
  ...ASSISTANT_FLAGS,
  area: text("NAME", "where the sentence was said: an area, or a satellite's id"),
  lines: toggle(
    'read a text, or {"text","area"?}, from each line of standard input, and print a JSON document for each',
  ),
  explain: toggle("tell the names found and the readings weighed"),
  ...JSON_FLAG,
};

async function openHome(values: Values<typeof FLAGS>, context: Context): Promise<Home> {
  const { house: file, "home-assistant": url } = values;
  if ((file === undefined) === (url === undefined)) {
    throw usageError("Give either --house FILE or --home-assistant URL. examples/house.yaml is one to begin with.");
  }
  if (file !== undefined && values["token-file"] !== undefined)
    throw usageError("--token-file belongs to --home-assistant.");
  const { openHome: open, readHouseFile } = await context.home();
  const { signal } = context;
  if (file !== undefined) return open({ house: readHouseFile(file), signal });
  return open({ homeAssistant: await assistantOf(values, context), signal });
}

const slotText = (value: unknown) => (Array.isArray(value) ? value.join(",") : String(value));
const slotsText = (slots: Readonly<Record<string, unknown>>) =>
  Object.entries(slots)
    .map(([slot, value]) => `${slot}=${slotText(value)}`)
    .join(", ");
const percent = (share: number) => `${(100 * share).toFixed(share > 0.995 ? 1 : 0)} %`;

/** The names found, the answer token by token, and why nothing is done. */
function explanationOf({ explanation }: SpokenUnderstanding): string {
  if (explanation === undefined) return "";
  const names = explanation.names.map(({ said, likeness, candidates }) => [
    `"${said}"`,
    likeness < 1 ? `alike to ${percent(likeness)}` : "exact",
    candidates.join(", "),
  ]);
  const withoutModel = explanation.answer.length === 0 && explanation.meant.length > 0;
  const answer = withoutModel
    ? [["", "by words alone, without the model"]]
    : explanation.answer.map(({ token, probability }) => [percent(probability), token]);
  const meant = explanation.meant.map(({ name, slots }) => [name, slotsText(slots)]);
  const sections: [string, string[][], string?][] = [
    ["Words", [[explanation.words.join(" ")]]],
    ["Names", names],
    ["Answer", answer, "r"],
    ["Meant", explanation.refused === undefined ? [] : [...meant, ["not done, because", explanation.refused]]],
  ];
  return sections
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows, align]) => `${title}\n${columns(rows, align)}`)
    .join("");
}

function print({ stdout, env }: Context, understood: SpokenUnderstanding): void {
  const { bold, dim } = palette(stdout, env);
  const rows = understood.intents.map(({ name, slots, text: spoken }) => [
    bold(name),
    printable(slotsText(slots)),
    printable(spoken ?? ""),
  ]);
  stdout.write(rows.length > 0 ? columns(rows, "", 0) : "No home command.\n");
  stdout.write(printable(explanationOf(understood)));
  stdout.write(dim(`sure to ${percent(understood.confidence)}, in ${formatMs(understood.ms)}\n`));
}

/** A line of `--lines`: a text, or an object with one. */
function parseLine(line: string, area: string | undefined): { text: string; area?: string } {
  if (!line.trimStart().startsWith("{")) return { text: line, area };
  let document: unknown;
  try {
    document = JSON.parse(line);
  } catch {
    throw new PiPhiError("E_USAGE", 'The line begins as JSON and is none. Write a text, or {"text":"…","area":"…"}.');
  }
  const { text: given, area: where = area } = document as { text?: unknown; area?: unknown };
  if (typeof given !== "string" || (where !== undefined && where !== null && typeof where !== "string")) {
    throw new PiPhiError(
      "E_USAGE",
      'The line lacks a "text", or one of its values is no text. Write {"text":"…","area":"…"}.',
    );
  }
  return { text: given, area: where ?? undefined };
}

/** A document a line; a line that is wrong gets an error in its place, and the command fails at the end. */
async function answerLines(home: Home, { area }: UnderstandOptions, wanted: boolean, context: Context): Promise<void> {
  let wrong = 0;
  for await (const line of linesOf(context)) {
    let document: unknown;
    try {
      const given = parseLine(line, area);
      document = await home.understand(given.text, { area: given.area, explain: wanted, signal: context.signal });
    } catch (error) {
      if (context.signal.aborted) throw error;
      wrong++;
      document = { text: line.slice(0, 200), ...errorDocument(error) };
    }
    context.stdout.write(`${JSON.stringify(document)}\n`);
  }
  if (wrong > 0)
    throw new PiPhiError(
      "E_USAGE",
      `${plural(wrong, "line")} could not be read. Look at "error" in the documents printed for them.`,
      { wrong },
    );
}

export const intent = defineCommand({
  usage: "[TEXT…]",
  notes: [
    "Prints Home Assistant's intents for a sentence: none where it is no home command.",
    "Without a text, standard input is read.",
  ],
  options: FLAGS,
  examples: [
    ['piphi intent "turn off the lamp in the office" --house examples/house.yaml', "in a house of your own"],
    ['piphi intent "lights on" --area bedroom --house house.yaml --json', "said in the bedroom, for scripts"],
    ["piphi intent --lines --house house.yaml < sentences.txt", "a document for each line"],
    [
      'piphi intent "is it locked" --explain --home-assistant http://ha.local:8123',
      "in Home Assistant's house, with reasons",
    ],
  ],

  async run(values, words, context) {
    const { area, lines, json } = values;
    if (lines) {
      refuseWords(words);
      if (context.stdin.isTTY) context.stderr.write("A sentence a line; Ctrl-D ends.\n");
    }
    const sentence = lines
      ? ""
      : (await readText({ model: undefined, words }, undefined, context)).replace(/\r?\n$/, "");
    const home = await openHome(values, context);
    try {
      if (lines) {
        await answerLines(home, { area }, values.explain ?? false, context);
        return;
      }
      const understood = await home.understand(sentence, { area, explain: values.explain, signal: context.signal });
      if (json) writeJson(context.stdout, understood);
      else print(context, understood);
    } finally {
      await home.close();
    }
  },
});
