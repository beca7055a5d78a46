/**
 * The commands of a house as a JSGF grammar (https://www.w3.org/TR/jsgf/), for recognisers that hear only what a grammar
 * allows: PocketSphinx, Vosk, Julius. They hear a sentence of a few hundred far better than one of all sentences.
 *
 * Sentences are plain ones, in the words of Home Assistant's intents; what was said otherwise is heard as the nearest.
 */

import type { Area, Entity, House } from "../../devices/node/home/index.ts";

export interface SpeechGrammar {
  jsgf: string;
  /** Names that the recogniser has no sounds for; they are not in the grammar. */
  unknown: string[];
}

/** How the things of a domain are commanded; <name> is one of them, ON and OFF are words for its states. */
const DEEDS: Record<string, readonly string[]> = {
  light: [
    "(turn | switch) (on | off) [the] <name>",
    "(turn | switch) [the] <name> (on | off)",
    "(set | dim) [the] <name> to <number> percent",
  ],
  switch: ["(turn | switch) (on | off) [the] <name>", "(turn | switch) [the] <name> (on | off)"],
  fan: [
    "(turn | switch) (on | off) [the] <name>",
    "(turn | switch) [the] <name> (on | off)",
    "set [the] <name> to <number> percent",
  ],
  media_player: [
    "(turn | switch) (on | off) [the] <name>",
    "(pause | resume | mute) [the] <name>",
    "set [the] volume of [the] <name> to <number> percent",
  ],
  cover: ["(open | close) [the] <name>", "set [the] <name> to <number> percent"],
  valve: ["(open | close) [the] <name>"],
  lock: ["(lock | unlock) [the] <name>", "is [the] <name> (locked | unlocked)"],
  climate: ["set [the] <name> to <number> degrees"],
  vacuum: ["start [the] <name>", "(send | return) [the] <name> (home | to (its | the) base)"],
  lawn_mower: ["start [the] <name>"],
  scene: ["(activate | start) [the] <name>", "turn on [the] <name>"],
  script: ["(run | start) [the] <name>"],
  binary_sensor: ["is [the] <name> (on | off | open | closed)"],
  sensor: ["what is [the] <name>"],
  person: ["where is <name>"],
};

/** What can be said of a room. */
const IN_AREAS = [
  "(turn | switch) (on | off) [all] [the] lights in [the] <area>",
  "(turn | switch) (on | off) [the] <area> lights",
  "(set | dim) [the] <area> lights to <number> percent",
  "(open | close) [the] (blinds | curtains | shutters) in [the] <area>",
  "what is the (temperature | humidity) in [the] <area>",
  "set the temperature in [the] <area> to <number> degrees",
  "are [the] lights on in [the] <area>",
];

/** What can be said in any house. */
const EVERYWHERE = [
  "(set | start) a timer for <number> (second | seconds | minute | minutes | hour | hours)",
  "set a <number> (second | minute | hour) timer",
  "(cancel | pause | resume) [the | my] timer",
  "cancel all timers",
  "how (long | much time) is left on [the | my] timer",
  "what time is it",
  "what is the (date | time | weather)",
  "(turn | switch) (on | off) all [the] lights",
  "never mind",
];

const ONES = "one two three four five six seven eight nine".split(" ");
const TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(" ");
const TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");

/**
 * The grammar of a house.
 * @param knows whether the recogniser has sounds for a word, in lower case; by default it has for all
 */
export function speechGrammar(house: House, knows: (word: string) => boolean = () => true): SpeechGrammar {
  const unknown: string[] = [];
  const rule = (name: string, said: readonly string[]) => `<${name}> = ${said.join("\n  | ")};`;
  const namesOf = (things: readonly (Area | Entity)[]) => {
    const names = things.flatMap(({ name, aliases }) => [name, ...aliases]);
    const sayable = [...new Set(names.map(spokenWords))].filter((words) => {
      const heard = words.length > 0 && words.split(" ").every(knows);
      if (!heard) unknown.push(words);
      return heard;
    });
    return sayable;
  };

  const rules: string[] = [];
  const deeds: string[] = [];
  const add = (category: string, placeholder: string, forms: readonly string[], names: readonly string[]) => {
    if (names.length === 0) return;
    rules.push(rule(`${category}_name`, names));
    rules.push(
      rule(
        category,
        forms.map((form) => form.replaceAll(`<${placeholder}>`, `<${category}_name>`)),
      ),
    );
    deeds.push(`<${category}>`);
  };
  for (const [domain, forms] of Object.entries(DEEDS)) {
    add(domain, "name", forms, namesOf(house.entities.filter((entity) => entity.domain === domain)));
  }
  add("area", "area", IN_AREAS, namesOf([...house.areas, ...house.floors]));
  rules.push(rule("always", EVERYWHERE));
  deeds.push("<always>");
  rules.push(
    rule("number", [...ONES, ...TEENS, `<ten> [${ONES.join(" | ")}]`, "(a | one) hundred"]),
    rule("ten", TENS),
  );
  rules.push(rule("deed", deeds));
  const jsgf = [
    "#JSGF V1.0;",
    "grammar house;",
    "public <command> = [please] <deed> [and <deed>] [please];",
    ...rules,
    "",
  ].join("\n");
  return { jsgf, unknown: [...new Set(unknown)] };
}

/** The words of a recogniser's dictionary: "lamp L AE M P" on each line, "lamp(2) …" where a word has other sounds. */
export function dictionaryWords(text: string): Set<string> {
  return new Set(text.split("\n").map((line) => line.split(/[\s(]/, 1)[0].toLowerCase()));
}

/** A name as it is spoken: "Emma's Lamp (left)" is "emma's lamp left". */
function spokenWords(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^\p{L}\p{N}']+/gu, " ")
    .trim();
}
