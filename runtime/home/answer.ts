/**
 * The model's answer: commands whose slots point into the sentence.
 *
 *   <i:HassTurnOff> <s:name> <p1> <s:area> <p2> <i:HassStartTimer> <s:minutes> <n1> end
 *
 * A name is <p…>, a number <n…> (after <minus>: less), a choice <v:…> <d:…> or <c:…>, a stretch of the sentence its own
 * words up to <.>. <none> is the answer to what is no command.
 */

import { END_ID, idFor, tokenId, tokenOf } from "./tokens.ts";

export type SlotValue =
  /** The k-th name, from 0. */
  | { kind: "name"; index: number }
  /** The k-th number, from 0. */
  | { kind: "number"; index: number; minus: boolean }
  | { kind: "choice"; value: string }
  /** Words [from, to) of the sentence; `exact` where nothing beside them can belong to it. */
  | { kind: "text"; from: number; to: number; exact?: boolean };

export interface Command {
  intent: string;
  slots: ReadonlyMap<string, SlotValue>;
  /** Where it stands in the answer: its tokens [from, to). */
  tokens?: readonly [from: number, to: number];
  /** Where each slot stands in the answer, as long as its value is the model's. */
  parts?: ReadonlyMap<string, readonly [from: number, to: number]>;
}

/** Slots whose value is a stretch of the sentence. */
const TEXT_SLOTS: ReadonlySet<string> = new Set(["item", "message", "search_query", "conversation_command"]);
/** Intents whose `name` is what somebody calls a timer, not a name of the house. */
const NAMES_TIMERS = /Timer/;

export function isText(intent: string, slot: string): boolean {
  return TEXT_SLOTS.has(slot) || (slot === "name" && NAMES_TIMERS.test(intent));
}

/** The token of a choice in a slot: a domain, a device class, or a value; undefined where there is none. */
export function choiceToken(slot: string, value: string): number | undefined {
  if (slot === "domain") return tokenId(`<d:${value}>`);
  if (slot === "device_class") return tokenId(`<c:${value}>`);
  return tokenId(`<v:${value}>`);
}

/** Commands as ids, without the end; undefined where a value has no token. `pieces` are the ids of the sentence's words. */
export function encodeAnswer(
  commands: readonly Command[],
  pieces: readonly (readonly number[])[],
): number[] | undefined {
  if (commands.length === 0) return [idFor("<none>")];
  const ids: number[] = [];
  for (const { intent, slots } of commands) {
    ids.push(idFor(`<i:${intent}>`));
    for (const slot of [...slots.keys()].sort()) {
      const value = slots.get(slot)!;
      ids.push(idFor(`<s:${slot}>`));
      if (value.kind === "name") ids.push(idFor(`<p${value.index + 1}>`));
      else if (value.kind === "number")
        ids.push(...(value.minus ? [idFor("<minus>")] : []), idFor(`<n${value.index + 1}>`));
      else if (value.kind === "text") ids.push(...pieces.slice(value.from, value.to).flat(), idFor("<.>"));
      else {
        const id = choiceToken(slot, value.value);
        if (id === undefined) return undefined;
        ids.push(id);
      }
    }
  }
  return ids.some((id) => id === undefined) ? undefined : ids;
}

/** The other way; undefined for what is no answer. */
export function decodeAnswer(answer: readonly number[], pieces: readonly (readonly number[])[]): Command[] | undefined {
  const ids = answer.filter((id) => id !== END_ID);
  if (ids.length === 1 && ids[0] === idFor("<none>")) return [];
  const commands: {
    intent: string;
    slots: Map<string, SlotValue>;
    tokens: [number, number];
    parts: Map<string, [number, number]>;
  }[] = [];
  for (let at = 0; at < ids.length; ) {
    const token = tokenOf(ids[at++]);
    const intent = /^<i:(.+)>$/.exec(token ?? "")?.[1];
    if (intent !== undefined) {
      commands.push({ intent, slots: new Map(), tokens: [at - 1, at], parts: new Map() });
      continue;
    }
    const slot = /^<s:(.+)>$/.exec(token ?? "")?.[1];
    const command = commands.at(-1);
    if (slot === undefined || !command) return undefined;
    const read = readValue(command.intent, slot, ids, at, pieces);
    if (!read) return undefined;
    command.slots.set(slot, read.value);
    command.parts.set(slot, [at - 1, read.next]);
    at = read.next;
    command.tokens[1] = at;
  }
  return commands.length > 0 ? commands : undefined;
}

function readValue(
  intent: string,
  slot: string,
  ids: readonly number[],
  at: number,
  pieces: readonly (readonly number[])[],
): { value: SlotValue; next: number } | undefined {
  if (isText(intent, slot)) {
    const end = ids.indexOf(idFor("<.>"), at);
    if (end <= at) return undefined;
    const stretch = findStretch(ids.slice(at, end), pieces);
    return stretch && { value: { kind: "text", ...stretch }, next: end + 1 };
  }
  const minus = ids[at] === idFor("<minus>");
  const token = tokenOf(ids[minus ? at + 1 : at]) ?? "";
  const next = at + (minus ? 2 : 1);
  const [, kind, index] = /^<([pn])(\d)>$/.exec(token) ?? [];
  if (kind === "p" && !minus) return { value: { kind: "name", index: Number(index) - 1 }, next };
  if (kind === "n") return { value: { kind: "number", index: Number(index) - 1, minus }, next };
  const value = /^<[dcv]:(.+)>$/.exec(token)?.[1];
  return value === undefined || minus ? undefined : { value: { kind: "choice", value }, next };
}

/** Where the ids stand in the sentence, as whole words. */
function findStretch(
  ids: readonly number[],
  pieces: readonly (readonly number[])[],
): { from: number; to: number } | undefined {
  for (let from = 0; from < pieces.length; from++) {
    let at = 0;
    let to = from;
    while (to < pieces.length && at < ids.length && pieces[to].every((id, i) => ids[at + i] === id))
      at += pieces[to++].length;
    if (at === ids.length && to > from) return { from, to };
  }
  return undefined;
}
