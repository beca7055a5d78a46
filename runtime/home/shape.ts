/**
 * What the answer to a reading can be: intents of the catalogue, with the slots that they take, in order; names that stand
 * in the sentence and are of the right kind; numbers that stand in it and are in range; stretches of it. Nothing else can be said.
 */

import type { TokenAutomaton } from "../api.ts";
import { AutomatonBuilder } from "../text/automaton.ts";
import { choiceToken, isText } from "./answer.ts";
import { CATALOGUE, type IntentInfo, type SlotInfo } from "./catalogue.ts";
import type { Mention } from "./mentions.ts";
import type { Reading } from "./reading.ts";
import { HOME_TOKENS, idFor, tokenId } from "./tokens.ts";

/** Intents that can leave something out, and the slot that says what. */
const WITH_EXCEPTIONS = new Set(["HassTurnOn", "HassTurnOff"]);
const ANY_DOMAIN = HOME_TOKENS.filter((token) => token.startsWith("<d:"));
const ANY_CLASS = HOME_TOKENS.filter((token) => token.startsWith("<c:"));
const STATES =
  "on off open closed locked unlocked home not_home work school opening closing playing paused idle cleaning docked mowing returning".split(
    " ",
  );

/** Domains of the entities that an intent's `name` can be; undefined = any. */
export function nameDomains(intent: string): ReadonlySet<string> | undefined {
  if (intent === "HassTurnOn" || intent === "HassTurnOff" || intent === "HassGetState") return undefined;
  const info = CATALOGUE.intents[intent];
  const domains = Object.values(info.combinations).flatMap((combination) => combination.nameDomains ?? []);
  return domains.length > 0 ? new Set(domains) : new Set([info.domain]);
}

function slotsOf(intent: string): [name: string, info: SlotInfo][] {
  const { slots } = CATALOGUE.intents[intent];
  const own = Object.entries(slots).filter(([name]) => name !== "response");
  const all = WITH_EXCEPTIONS.has(intent)
    ? [...own, ["except", { kind: "name", required: false }] as [string, SlotInfo]]
    : own;
  return all.sort(([a], [b]) => (a < b ? -1 : 1));
}

class Shape {
  private readonly builder = new AutomatonBuilder();
  private readonly start = this.builder.state();
  /** States in which a command may be over, with the commands that can follow. */
  private readonly next: number[] = [];

  constructor(
    private readonly reading: Reading,
    private readonly pieces: readonly (readonly number[])[],
  ) {}

  build(): TokenAutomaton {
    const { builder, start } = this;
    builder.edge(start, idFor("<none>"), builder.state(true));
    for (const [intent, info] of Object.entries(CATALOGUE.intents)) {
      const id = tokenId(`<i:${intent}>`);
      if (id === undefined) continue;
      const begin = this.command(intent, info);
      if (begin !== undefined) builder.edge(start, id, begin);
    }
    // Another command may follow wherever one may end.
    for (const state of this.next) {
      for (const intent of Object.keys(CATALOGUE.intents)) {
        const id = tokenId(`<i:${intent}>`);
        const begin = id === undefined ? undefined : builder.target(start, id);
        if (begin !== undefined) builder.edge(state, id!, begin);
      }
    }
    return builder.build();
  }

  /** The state behind an intent's token, or undefined where it cannot be said of this sentence. */
  private command(intent: string, _: IntentInfo): number | undefined {
    const { builder } = this;
    const slots = slotsOf(intent).filter(([slot]) => tokenId(`<s:${slot}>`) !== undefined);
    // after[i]: the slots before i are behind us.
    const after = slots.map(() => builder.state());
    after.push(builder.state());
    const values = slots.map(([slot, info], i) => this.value(intent, slot, info, after[i + 1]));
    if (slots.some(([, { required }], i) => required && values[i] === undefined)) return undefined;
    for (let i = 0; i <= slots.length; i++) {
      let open = true;
      for (let j = i; j < slots.length && open; j++) {
        if (values[j] !== undefined) builder.edge(after[i], idFor(`<s:${slots[j][0]}>`), values[j]!);
        open = !slots[j][1].required;
      }
      if (!open) continue;
      builder.accept(after[i]);
      this.next.push(after[i]);
    }
    return after[0];
  }

  /** The state in which a slot's value is said, or undefined where there is none. */
  private value(intent: string, slot: string, info: SlotInfo, then: number): number | undefined {
    const { builder } = this;
    const state = builder.state();
    const choices = (tokens: readonly (number | undefined)[]) => {
      for (const id of tokens) if (id !== undefined) builder.edge(state, id, then);
    };
    if (isText(intent, slot)) this.stretches(state, then);
    else if (info.kind === "name" || info.kind === "area" || info.kind === "floor") {
      this.names(intent, slot, state, then);
      if (slot === "area" && this.reading.here) choices([tokenId("<v:here>")]);
    } else if (info.kind === "number") {
      this.numbers(info, state, then);
      choices(Object.keys(info.values ?? {}).map((value) => choiceToken(slot, value)));
      if (slot === "brightness") choices(["max", "min", "dim"].map((value) => choiceToken(slot, value)));
    } else if (slot === "domain") choices(ANY_DOMAIN.map((token) => tokenId(token)));
    else if (slot === "device_class") choices(ANY_CLASS.map((token) => tokenId(token)));
    else if (info.kind === "state") choices(STATES.map((value) => choiceToken(slot, value)));
    else choices(Object.keys(info.values ?? {}).map((value) => choiceToken(slot, value)));
    return builder.isEmpty(state) ? undefined : state;
  }

  private names(intent: string, slot: string, state: number, then: number): void {
    const domains = slot === "name" ? nameDomains(intent) : undefined;
    const fits = ({ candidates }: Mention) =>
      candidates.some((candidate) => {
        if (slot === "except") return candidate.kind !== "floor";
        if (slot !== "name") return candidate.kind === slot;
        return candidate.kind === "entity" && (!domains || domains.has(candidate.entity.domain));
      });
    this.reading.mentions.forEach((mention, i) => {
      if (fits(mention)) this.builder.edge(state, idFor(`<p${i + 1}>`), then);
    });
  }

  private numbers({ range }: SlotInfo, state: number, then: number): void {
    const { builder } = this;
    const { words, numbers } = this.reading;
    const inRange = (value: number) => !range || (value >= range.from && value <= range.to);
    const minus = builder.state();
    numbers.forEach((at, i) => {
      const value = words[at].value!;
      if (inRange(value)) builder.edge(state, idFor(`<n${i + 1}>`), then);
      if (value > 0 && range && range.from < 0 && inRange(-value)) builder.edge(minus, idFor(`<n${i + 1}>`), then);
    });
    if (!builder.isEmpty(minus)) builder.edge(state, idFor("<minus>"), minus);
  }

  /** Any stretch of whole words: the sets of places where what was said so far can stand, one state each. */
  private stretches(state: number, then: number): void {
    const { builder, pieces } = this;
    const states = new Map<string, number>();
    const begin = pieces.map((_, word) => [word, 0] as const);
    const visit = (from: number, places: readonly (readonly [word: number, piece: number])[]) => {
      const steps = new Map<number, (readonly [number, number])[]>();
      for (const [word, piece] of places) {
        if (word >= pieces.length) continue;
        const id = pieces[word][piece];
        const to = piece + 1 < pieces[word].length ? ([word, piece + 1] as const) : ([word + 1, 0] as const);
        const list = steps.get(id);
        if (list) list.push(to);
        else steps.set(id, [to]);
      }
      for (const [id, reached] of steps) {
        const key = reached.join(" ");
        const known = states.get(key);
        const target = known ?? builder.state();
        builder.edge(from, id, target);
        if (known !== undefined) continue;
        states.set(key, target);
        if (reached.some(([, piece]) => piece === 0)) builder.edge(target, idFor("<.>"), then);
        visit(target, reached);
      }
    };
    visit(state, begin);
  }
}

export function shapeOf(reading: Reading, pieces: readonly (readonly number[])[]): TokenAutomaton {
  return new Shape(reading, pieces).build();
}
