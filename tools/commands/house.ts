import type { HouseCheck } from "../../devices/node/home/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG } from "../flags.ts";
import { dictionaryWords, speechGrammar } from "../home/speech-grammar.ts";
import { ASSISTANT_FLAGS, assistantOf } from "../home-flags.ts";
import { refuseWords } from "../input.ts";
import { defineCommand, text, usageError } from "../options.ts";
import { palette, plural, printable, writeJson } from "../output.ts";
import { readTextFile } from "../text-input.ts";

const KINDS = { floors: "floor", areas: "area", entities: "entit", satellites: "satellite" } as const;

function countsOf(house: HouseCheck["house"]): string {
  return Object.entries(KINDS)
    .map(([kind, noun]) => {
      const { length } = house[kind as keyof typeof KINDS];
      return noun === "entit" ? `${length} ${length === 1 ? "entity" : "entities"}` : plural(length, noun);
    })
    .join(", ");
}

async function check(file: string, json: boolean, { stdout, env, home }: Context): Promise<void> {
  const { checkHouseFile, describeFinding } = await home();
  const { house, problems, warnings, source } = checkHouseFile(file);
  const { bold, red } = palette(stdout, env);
  if (!json) {
    for (const one of problems) stdout.write(`${red("wrong")}    ${printable(describeFinding(one, source))}\n`);
    for (const one of warnings) stdout.write(`${bold("warning")}  ${printable(describeFinding(one, source))}\n`);
  }
  if (problems.length > 0) {
    const message = `${file} has ${plural(problems.length, "problem")}. Correct them, then check it again.`;
    throw new PiPhiError("E_HOUSE", message, { problems: problems.map((one) => describeFinding(one, source)) });
  }
  const counts = Object.fromEntries(
    Object.keys(KINDS).map((kind) => [kind, house[kind as keyof typeof KINDS].length] as const),
  );
  if (json) writeJson(stdout, { ok: true, ...counts, warnings });
  else stdout.write(`${printable(file)}: ${countsOf(house)}\n`);
}

/** The house's commands as a grammar; names that the recogniser does not know are told. */
async function grammarOf(file: string, words: string | undefined, { stdout, stderr, home }: Context): Promise<void> {
  const { readHouseFile } = await home();
  const house = readHouseFile(file);
  const known = words === undefined ? undefined : dictionaryWords(readTextFile(words, "--words"));
  const { jsgf, unknown } = speechGrammar(house, known && ((word) => known.has(word)));
  stdout.write(jsgf);
  if (unknown.length === 0) return;
  const named = unknown.map((name) => JSON.stringify(name)).join(", ");
  stderr.write(
    `Left out, since ${words} lacks some of their words: ${printable(named)}. Give them aliases in ${file}.\n`,
  );
}

export const house = defineCommand({
  usage: "",
  notes: [
    "Prints what Home Assistant exposes to its voice assistants as YAML, to be kept as house.yaml and edited.",
    "With --check, says what is wrong or ambiguous in such a file, each with its line.",
    "With --jsgf, prints its commands as a JSGF grammar, for recognisers of speech such as PocketSphinx.",
  ],
  options: {
    ...ASSISTANT_FLAGS,
    check: text("FILE", "check a house.yaml instead"),
    jsgf: text("FILE", "print the commands of a house.yaml as a grammar instead"),
    words: text("DICT", "the recogniser's dictionary: a word and its sounds on each line"),
    ...JSON_FLAG,
  },
  examples: [
    [
      "piphi house --home-assistant http://homeassistant.local:8123 --token-file token > house.yaml",
      "read the house once",
    ],
    ["piphi house --check house.yaml", "what is wrong in it"],
    ["piphi house --jsgf house.yaml > house.jsgf", "what a recogniser may hear"],
  ],

  async run(values, words, context) {
    refuseWords(words);
    const asked = [values.check, values.jsgf, values["home-assistant"]].filter((value) => value !== undefined);
    if (asked.length > 1) throw usageError("Give only one of --check, --jsgf and --home-assistant.");
    if (values.words !== undefined && values.jsgf === undefined)
      throw usageError("--words is of use only with --jsgf.");
    if (values.jsgf !== undefined) return grammarOf(values.jsgf, values.words, context);
    if (values.check !== undefined) {
      await check(values.check, values.json ?? false, context);
      return;
    }
    if (values["home-assistant"] === undefined)
      throw usageError("Give --home-assistant URL, --check FILE or --jsgf FILE.");
    const { followHomeAssistant, formatHouse } = await context.home();
    const live = await followHomeAssistant({ ...(await assistantOf(values, context)), signal: context.signal });
    live.close();
    if (values.json) writeJson(context.stdout, live.document);
    else context.stdout.write(formatHouse(live.document));
    context.stderr.write(`${countsOf(live.house)}\n`);
  },
});
