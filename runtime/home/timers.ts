/** Plain sentences about timers, of which no name stands in the house: "put the egg timer on hold". */

import type { Command, SlotValue } from "./answer.ts";
import type { Clause } from "./clauses.ts";
import type { Reading } from "./reading.ts";

const NAMED =
  "(?:the|my|our|that|this)(?: (?<start>-?\\d+(?:\\.\\d+)?) (?<unit>hours?|minutes?|seconds?))?(?: (?<name>(?!one\\b|other\\b|same\\b|last\\b|first\\b|next\\b)[a-z']+(?: [a-z']+){0,2}))? timer";
const SCRAP =
  "(?:cancel|bin|scrap|scrub|delete|ditch|dump|axe|lose|clear|drop|forget|abort|kill|remove|(?:get|be) rid of|away with|do away with|no more)";
const frame = (pattern: string) => new RegExp(`^${pattern.replace("NAMED", NAMED).replace("SCRAP", SCRAP)}$`);
const FRAMES: readonly (readonly [RegExp, string])[] = [
  [
    frame(
      "SCRAP (?:(?:all|every|any|each|both)(?: one)?(?: of)?)(?: the| my| our)? timers?(?:(?: that's| that is| that are| which are)? (?:running|going|on|set|left))?",
    ),
    "HassCancelAllTimers",
  ],
  [frame("SCRAP NAMED"), "HassCancelTimer"],
  [
    frame("(?:pause|freeze|halt|suspend|hold) NAMED(?: for (?:1|a|the) (?:moments?|seconds?|minutes?|bit|while|sec))?"),
    "HassPauseTimer",
  ],
  [frame("put NAMED on (?:hold|pause)"), "HassPauseTimer"],
  [frame("(?:resume|unpause|unfreeze|continue) NAMED"), "HassUnpauseTimer"],
  [
    frame(
      "(?:let|get|set|have) NAMED (?:go on|run on|carry on|continue|going on|running on|resume|(?:going|running) again)",
    ),
    "HassUnpauseTimer",
  ],
  [frame("(?:let|get) NAMED (?:going|running)"), "HassUnpauseTimer"],
  [
    frame("(?:what's|what is|how's|how is) (?:the )?(?:state|status)(?: of play)? (?:of|with|on|for) NAMED"),
    "HassTimerStatus",
  ],
  [
    frame("(?:check(?: on)?|how's|how is|status of) NAMED(?: (?:doing|going|looking|coming along))?"),
    "HassTimerStatus",
  ],
  [
    frame(
      "how (?:long|much(?: time| longer)?|many minutes)(?: is| has| have we| do we have| does| have i)?(?: got)?(?: is)?(?: left| remaining| to go)? (?:on|for|of|with|in) NAMED",
    ),
    "HassTimerStatus",
  ],
  [
    frame("how (?:long|much(?: time| longer)?) (?:has|does) NAMED (?:got|have)(?: got)?(?: left| remaining| to go)?"),
    "HassTimerStatus",
  ],
  [
    frame(
      "give NAMED (?:another |an extra )?(?<by>\\d+)(?: more| extra)? (?<of>hours?|minutes?|seconds?)(?: more| extra| longer)?",
    ),
    "HassIncreaseTimer",
  ],
];
/** Repeats what was said of a timer before: "forget the two hour timer, cancel it". */
const AGAIN = frame("SCRAP (?:it|that|them|that one)");

/** The commands of a clause, or undefined where it is none about a timer. */
export function timed(clause: Clause, reading: Reading): Command[] | undefined {
  if (AGAIN.test(clause.plain) && clause.from > 0 && /\btimers?\b/.test(before(clause, reading))) return [];
  if (!/\btimers?\b/.test(clause.plain)) return undefined;
  for (const [pattern, intent] of FRAMES) {
    const groups = pattern.exec(clause.plain)?.groups ?? (pattern.test(clause.plain) ? {} : undefined);
    if (!groups) continue;
    const slots = slotsOf(groups, clause, reading);
    if (slots) return [{ intent, slots }];
  }
  return undefined;
}

const before = ({ from }: Clause, { words }: Reading) =>
  words
    .slice(0, from)
    .map(({ text }) => text)
    .join(" ");

function slotsOf(groups: Record<string, string | undefined>, clause: Clause, reading: Reading) {
  const slots = new Map<string, SlotValue>();
  const number = (said: string, unit: string, prefix: string): boolean => {
    const index = reading.numbers.findIndex(
      (at) => at >= clause.from && at < clause.to && reading.words[at].text === said,
    );
    if (index >= 0) slots.set(`${prefix}${unit.replace(/s?$/, "s")}`, { kind: "number", index, minus: false });
    return index >= 0;
  };
  if (groups.name) {
    const said = groups.name.split(" ");
    const from = reading.words.findIndex(
      (_, i) => i >= clause.from && said.every((word, j) => reading.words[i + j]?.text === word),
    );
    if (from < 0) return undefined;
    // "The kitchen timer" is the one in the kitchen.
    const place = reading.mentions.findIndex(
      (one) => one.from === from && one.to === from + said.length && one.candidates.some(({ kind }) => kind === "area"),
    );
    if (place >= 0) slots.set("area", { kind: "name", index: place });
    else slots.set("name", { kind: "text", from, to: from + said.length, exact: true });
  }
  if (groups.start && !number(groups.start, groups.unit!, "start_")) return undefined;
  if (groups.by && !number(groups.by, groups.of!, "")) return undefined;
  return slots;
}

const DURATION =
  "(?:(?<hours>\\d+) hours?)?(?: and)? ?(?:(?<minutes>\\d+) minutes?)?(?: and)? ?(?:(?<seconds>\\d+) seconds?)?";
const EACH = new RegExp(
  `^(?:(?:please|can you|could you|set|start|put on|begin|make|give me) )*(?:(?:a|an|the|one|1|another|other) )*(?:timers? )?(?:for )?(?:a )?${DURATION}(?: (?:timer|one|1))?(?: (?:for|on) (?:the |my |some )?(?<name>(?!\\d)[a-z']+(?: [a-z']+)?))?$`,
);

/** Several timers in one breath: "five minutes for the eggs and a ten minute one for the bacon". */
export function timersIn(reading: Reading): Command[] | undefined {
  const { words, numbers } = reading;
  const text = words.map((word) => word.text);
  if (!text.some((word) => /^(?:timers?|countdowns?)$/.test(word))) return undefined;
  // The number that begins the second timer, and the "and" before it.
  const ands = text.flatMap((word, i) => (word === "and" ? [i] : []));
  for (const and of ands) {
    const parts = [
      [0, and],
      [and + 1, text.length],
    ] as const;
    const timers = parts.map(([from, to]) => {
      const groups = EACH.exec(text.slice(from, to).join(" ").trim())?.groups;
      if (!groups) return undefined;
      const slots = new Map<string, SlotValue>();
      for (const unit of ["hours", "minutes", "seconds"]) {
        const index = numbers.findIndex(
          (at) => at >= from && at < to && text[at] === groups[unit] && text[at + 1]?.startsWith(unit.slice(0, -1)),
        );
        if (index >= 0) slots.set(unit, { kind: "number", index, minus: false });
      }
      if (slots.size === 0) return undefined;
      const said = groups.name?.split(" ");
      const at = said ? text.findIndex((_, i) => i >= from && said.every((word, j) => text[i + j] === word)) : -1;
      if (said) slots.set("name", { kind: "text", from: at, to: at + said.length, exact: true });
      return { intent: "HassStartTimer", slots };
    });
    // "One hour and ten minutes" is one timer: the second begins with words of its own, or each has a name.
    const own = /^(?:a|an|another|the)$/.test(text[and + 1]) || timers.every((timer) => timer?.slots.has("name"));
    if (own && timers.every((timer) => timer !== undefined)) return timers as Command[];
  }
  return undefined;
}
