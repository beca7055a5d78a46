/** Plain sentences about lists: several items at once, and items that are spoken of before they are "it" ("milk's in the basket, cross it off"). */

import type { Command, SlotValue } from "./answer.ts";
import type { Clause } from "./clauses.ts";
import type { Reading } from "./reading.ts";

type Verb = "Add" | "Complete" | "Remove";

const IT = "(?:it|that|them|those|that one)";
const PLACE = "(?: (?:to|on|onto|off|from|in)? ?(?:the|my|our|that)? ?(?:@\\d|shopping list|list))?";
const frame = (pattern: string) => new RegExp(`^${pattern.replace("IT", IT).replace("PLACE", PLACE)}$`);
/** What is done to the item that another clause speaks of. */
const PRONOUNS: readonly (readonly [RegExp, Verb])[] = [
  [
    frame("(?:cross|tick|check|mark|strike|scratch) IT(?: off| out| done| as done| as complete| complete)*PLACE"),
    "Complete",
  ],
  [frame("(?:remove|drop|delete|erase) IT(?: off| out)?PLACE"), "Remove"],
  [frame("(?:add|put|stick|chuck|pop|jot|write|note) IT(?: down| on| up)?PLACE"), "Add"],
];
const ARTICLES = "(?:(?:the|my|our|some|any|more|a|an) )*";
/** What says that an item is there, done, or missing; its only group is the item. */
const SPOKEN: readonly RegExp[] = [
  new RegExp(
    `^(?:(?:i|we|you)(?:'ve|'m|'re)? )?(?:(?:just|already|finally|also|have|are|am) )*(?:got|bought|have|had|picked up|grabbed|packed|finished|done|need|don't need|do not need|no longer need|out of|run out of|ran out of) ${ARTICLES}(.+?)(?: (?:on|in|from) (?:the|my|our) @\\d)?(?: any ?more| already| now)*$`,
  ),
  new RegExp(`^${ARTICLES}(.+?)(?: (?:is|are|was|were|has|have|don't|doesn't|do not|does not)\\b.*)$`),
  new RegExp(`^${ARTICLES}(.+?'s) (?:in|on|been|bought|done|packed|sorted|ordered|gone|finished|here)\\b.*$`),
];
const DONE =
  /^(?:i|we)(?:'ve| have)? (?:(?:just|already|finally) )*(?:got|bought|picked up|grabbed|packed|finished|done)\b|(?:\bis|\bare|'s) (?:done|finished|packed|bought|sorted)$/;
const ON_LIST = /^(.+?) (?:on|to|onto|for) (?:the |my |our )?(?:@(\d)|shopping list|list)$/;
const ADDING = /^(?:add|put|stick|chuck|pop|jot down|write down|note down|write|get) /;
const MOST_WORDS = 4;
/** No item holds these. */
const NO_ITEM =
  /@|\d|\b(?:on|off|it|them|that|turn|switch|open|close|what|who|how|is|are|i|we|you|not|don't|play|set|list|timer|lights?|then|remove|tick|cross|cancel)\b/;

/** The commands of a whole sentence, or undefined where it is none of these. */
export function listed(clauses: readonly Clause[], reading: Reading): Command[] | undefined {
  if (clauses.length < 2) return undefined;
  const list = reading.mentions.findIndex(({ candidates }) =>
    candidates.some((candidate) => candidate.kind === "entity" && candidate.entity.domain === "todo"),
  );
  return several(clauses, reading, list) ?? more(clauses, reading, list) ?? spokenOf(clauses, reading, list);
}

/** "Butter, leeks and cream on the shopping list." Two that are joined by "and" may be one: fish and chips. */
function several(clauses: readonly Clause[], reading: Reading, list: number): Command[] | undefined {
  const last = ON_LIST.exec(clauses[clauses.length - 1].text);
  if (!last || clauses.length < 3 || (last[2] !== undefined && Number(last[2]) !== list)) return undefined;
  const items = [...clauses.slice(0, -1).map(({ text }) => text), last[1]];
  items[0] = items[0].replace(ADDING, "");
  if (items.some((item) => NO_ITEM.test(item) || item.split(" ").length > MOST_WORDS)) return undefined;
  const found = items.map((item, i) => stretch(item.replace(new RegExp(`^${ARTICLES}`), ""), clauses[i], reading));
  return found.every((item) => item !== undefined) ? found.map((item) => command("Add", item!, list)) : undefined;
}

/** "Put eggs on the list, and some butter as well." */
function more(clauses: readonly Clause[], reading: Reading, list: number): Command[] | undefined {
  const first = ON_LIST.exec(clauses[0].text);
  if (!first || !ADDING.test(clauses[0].text) || (first[2] !== undefined && Number(first[2]) !== list))
    return undefined;
  const items = [first[1].replace(ADDING, ""), ...clauses.slice(1).map(({ text }) => text)].map((item) =>
    item.replace(new RegExp(`^${ARTICLES}`), ""),
  );
  if (items.some((item) => NO_ITEM.test(item) || item.split(" ").length > MOST_WORDS)) return undefined;
  const found = items.map((item, i) => stretch(item, clauses[i], reading));
  return found.every((item) => item !== undefined) ? found.map((item) => command("Add", item!, list)) : undefined;
}

/** An item that one clause speaks of, and another that says what becomes of "it". */
function spokenOf(clauses: readonly Clause[], reading: Reading, list: number): Command[] | undefined {
  const isList = ({ text }: Clause) => text === `@${list}` || text === `the @${list}`;
  const [, ofIt] = PRONOUNS.find(([pattern]) => pattern.test(clauses[clauses.length - 1].text)) ?? [];
  // "Packing list, I've packed the socks."
  const told = ofIt === undefined && clauses.length === 2 && isList(clauses[0]) && DONE.test(clauses[1].text);
  const verb = told ? "Complete" : ofIt;
  const others = (told ? clauses : clauses.slice(0, -1)).filter((clause) => !isList(clause));
  if (!verb || others.length !== 1 || (verb === "Remove" && list < 0)) return undefined;
  const said = others[0].text.replace(/^(?:for|from|on) (?:the|my|our) @\d /, "");
  const [, item] = SPOKEN.map((pattern) => pattern.exec(said)).find(Boolean) ?? [];
  if (!item || NO_ITEM.test(item) || item.split(" ").length > MOST_WORDS) return undefined;
  const found = stretch(item, others[0], reading);
  return found && [command(verb, found, list)];
}

/** Where an item's words stand in a clause. */
function stretch(item: string, { from, to }: Clause, { words }: Reading): SlotValue | undefined {
  const said = item.split(" ");
  for (let at = from; at + said.length <= to; at++) {
    if (said.every((word, i) => words[at + i].text === word))
      return { kind: "text", from: at, to: at + said.length, exact: true };
  }
  return undefined;
}

function command(verb: Verb, item: SlotValue, list: number): Command {
  const slots = new Map<string, SlotValue>([["item", item]]);
  if (list >= 0) slots.set("name", { kind: "name", index: list });
  return { intent: list >= 0 ? `HassList${verb}Item` : `HassShoppingList${verb}Item`, slots };
}
