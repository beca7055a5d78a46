/**
 * Sentences that words alone settle: every clause is a plain command whose thing is named exactly, or talk beside it ("kettle
 * on, I'm parched"). They need no model, which is small and at times unsure of the plainest ones.
 */

import type { Command } from "./answer.ts";
import { type Clause, clausesOf } from "./clauses.ts";
import { aloneIn, type Deed, deedIn, done, fits, settingIn, statedIn } from "./deeds.ts";
import { isForbidden } from "./evidence.ts";
import { listed } from "./lists.ts";
import type { Reading } from "./reading.ts";
import { asked } from "./sensors.ts";
import { timed, timersIn } from "./timers.ts";
import type { House } from "./types.ts";

/** What no talk beside a command holds: it would be a command, a condition, an exception or a report. */
const NO_TALK =
  /@|\d|\b(?:turn\w*|switch\w*|put|open\w*|clos\w+|shut|lock\w*|unlock\w*|start|stop|set|play|pause|dim\w*|raise|lower|run|activate|clean|vacuum|mow|add|remove|make|kill|mute|press|push|tick|cross|cancel|leave|on|off|up|down|lights?|lamps?|blinds?|timers?|alarms?|lists?|weather|temperature|heating|volume|music|everything|all|every|each|both|other|others|another|instead|same|if|when|whenever|unless|until|till|while|after|before|once|only|not|never|don't|doesn't|didn't|shouldn't|except|without|apart|said|says|say|told|tells|tell|asked|asks|heard|tomorrow|later|tonight|wait|no|actually|forget|nevermind|mind|who|what|where|which|how|whether)\b/;
const QUOTES = /["“”„«»]/;

/** What talk is not: a thing that the house does not have, named and no more. */
const NO_SENTENCE =
  /^(?:\S+$|(?:the|a|an|my|our|your|some|that|this)\b(?!.*(?:\b(?:is|are|was|were|has|have|had|can|could|looks?|feels?|smells?|needs?|wants?|comes?|goes|going|coming|boiling|burning)\b|'s\b|'re\b)))/;
const PRONOUN = /\b(?:it|that|them|those|these)\b/;

function isTalk({ text, joined }: Clause): boolean {
  if (NO_TALK.test(text) || NO_SENTENCE.test(text)) return false;
  return (
    !joined ||
    /^(?:i|i'm|i'll|i've|i'd|it|it's|we|we're|he|he's|she|she's|they|they're|there|there's|that's)\b/.test(text)
  );
}

/** What is said of one clause after another. */
class Frames {
  private readonly commands: Command[] = [];
  /** Things that were named, of which it is not known yet what is to be done. */
  private things: number[] = [];
  private deed: Deed | undefined;
  /** Whether of one of them it was only said how it is. */
  private stated = false;

  constructor(
    private reading: Reading,
    private readonly house: House,
  ) {}

  /** Whether the clause is a part of a plain sentence. */
  add(clause: Clause): boolean {
    const { reading, things } = this;
    const pronoun = things.length === 1 ? clause.text.replace(PRONOUN, `@${things[0]}`) : clause.text;
    const plain = deedIn(clause.text, reading) ?? deedIn(pronoun, reading);
    if (plain) {
      const { deed, index, area } = plain;
      if (things.some((one) => !fits(deed, one, reading)) || (this.stated && index !== things[0])) return false;
      for (const one of new Set([...things, index]))
        this.commands.push(done(deed, one, one === index ? area : undefined));
      this.things = [];
      this.stated = false;
      this.deed = deed;
      return true;
    }
    const setting = settingIn(clause, reading);
    const said = setting ? { commands: [setting], reading } : this.spokenOf(clause);
    if (said) {
      this.reading = said.reading ?? reading;
      this.commands.push(...said.commands);
      return true;
    }
    const alone = aloneIn(clause);
    const stated = statedIn(clause);
    const index = alone ?? stated;
    if (index === undefined) return isTalk(clause);
    if (alone !== undefined && this.deed && fits(this.deed, alone, reading)) this.commands.push(done(this.deed, alone));
    else things.push(index);
    this.stated ||= stated !== undefined;
    return true;
  }

  private spokenOf(clause: Clause): { commands: Command[]; reading?: Reading } | undefined {
    const commands = timed(clause, this.reading);
    return commands ? { commands } : asked(clause, this.reading, this.house);
  }

  get result(): { commands: Command[]; reading: Reading } | undefined {
    const { commands, things, reading } = this;
    return commands.length > 0 && things.length === 0 ? { commands, reading } : undefined;
  }
}

/** What a sentence that needs no model means; undefined for every other. */
export function framed(reading: Reading, house: House): { commands: Command[]; reading: Reading } | undefined {
  if (QUOTES.test(reading.text) || isForbidden(reading.words.map((word) => word.text).join(" "))) return undefined;
  const clauses = clausesOf(reading);
  const commands = timersIn(reading) ?? listed(clauses, reading);
  if (commands) return { commands, reading };
  const frames = new Frames(reading, house);
  return clauses.every((clause) => frames.add(clause)) ? frames.result : undefined;
}
