import type { HouseCheck } from "../../devices/node/home/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG } from "../flags.ts";
import { ASSISTANT_FLAGS, assistantOf } from "../home-flags.ts";
import { refuseWords } from "../input.ts";
import { defineCommand, text, usageError } from "../options.ts";
import { palette, plural, printable, writeJson } from "../output.ts";

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

export const house = defineCommand({
  usage: "",
  notes: [
    "Prints what Home Assistant exposes to its voice assistants as YAML, to be kept as house.yaml and edited.",
    "With --check, says what is wrong or ambiguous in such a file, each with its line.",
  ],
  options: { ...ASSISTANT_FLAGS, check: text("FILE", "check a house.yaml instead"), ...JSON_FLAG },
  examples: [
    [
      "piphi house --home-assistant http://homeassistant.local:8123 --token-file token > house.yaml",
      "read the house once",
    ],
    ["piphi house --check house.yaml", "what is wrong in it"],
  ],

  async run(values, words, context) {
    refuseWords(words);
    if (values.check !== undefined) {
      if (values["home-assistant"] !== undefined) throw usageError("Give either --check or --home-assistant.");
      await check(values.check, values.json ?? false, context);
      return;
    }
    if (values["home-assistant"] === undefined) throw usageError("Give --home-assistant URL, or --check FILE.");
    const { followHomeAssistant, formatHouse } = await context.home();
    const live = await followHomeAssistant({ ...(await assistantOf(values, context)), signal: context.signal });
    live.close();
    if (values.json) writeJson(context.stdout, live.document);
    else context.stdout.write(formatHouse(live.document));
    context.stderr.write(`${countsOf(live.house)}\n`);
  },
});
