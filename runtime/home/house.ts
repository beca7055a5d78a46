/**
 * The house that sentences are about: floors, areas, entities and satellites, checked and indexed.
 *
 *     language: en
 *     floors:     [{id: up, name: Upstairs, aliases: [first floor]}]
 *     areas:      [{id: kitchen, name: Kitchen, floor: up, aliases: []}]
 *     entities:   [{id: light.reading, name: Reading Lamp, area: kitchen, aliases: [lamp], device_class: blind}]
 *     satellites: [{id: kitchen-speaker, area: kitchen}]
 *
 * The checks are written out here instead of a schema for a library: what a field's type is, which is all that a schema says,
 * is the least of them. Most are about what the parts say of each other.
 */

import { type ErrorDetails, PiPhiError } from "../errors.ts";
import { CATALOGUE } from "./catalogue.ts";
import { ambiguousNames } from "./names.ts";
import type { Area, Entity, Floor, House, Satellite } from "./types.ts";

/** Where in the document something is: "entities[3].area" is ["entities", 3, "area"]. */
export type Path = readonly (string | number)[];

/** Finds lines in the text that a document was read from. */
export interface Source {
  /** For messages: the file's name. */
  readonly name: string;
  /** Line and column from 1, or undefined where the path is not in the text. */
  position(path: Path): { line: number; column: number } | undefined;
}

/** One thing that is wrong, or that may surprise. */
export interface Finding {
  readonly message: string;
  /** "entities[3].area" */
  readonly path: string;
  readonly line?: number;
  readonly column?: number;
}

export interface HouseCheck {
  /** Of use only where there are no problems. */
  readonly house: House;
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

const LONGEST_NAME = 200;
const MOST_FINDINGS = 50;

const FIELDS = {
  house: ["language", "floors", "areas", "entities", "satellites"],
  floor: ["id", "name", "aliases"],
  area: ["id", "name", "floor", "aliases"],
  entity: ["id", "name", "area", "aliases", "device_class"],
  satellite: ["id", "area"],
} as const;

type Fields = Record<string, unknown>;
const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function quoted(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `"${(text ?? String(value)).slice(0, 60)}"`;
}

/** Some of what could have been meant. */
function known(ids: Iterable<string>): string {
  const all = [...ids];
  if (all.length === 0) return "There is none yet";
  return `Known: ${all.slice(0, 8).join(", ")}${all.length > 8 ? ` and ${all.length - 8} more` : ""}`;
}

const pathText = (path: Path) =>
  path.map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`)).join("");

/** Collects findings, and reads fields while it does. */
class Reader {
  readonly problems: Finding[] = [];
  readonly warnings: Finding[] = [];

  constructor(readonly source: Source | undefined) {}

  problem(path: Path, message: string): void {
    this.#add(this.problems, path, message);
  }

  warn(path: Path, message: string): void {
    this.#add(this.warnings, path, message);
  }

  #add(findings: Finding[], path: Path, message: string): void {
    if (findings.length < MOST_FINDINGS) {
      findings.push({ message, path: pathText(path), ...this.source?.position(path) });
    }
  }

  /** The objects of a list, each with its index; anything else is a problem, and passed over. */
  *records(fields: Fields, name: string): Iterable<[number, Fields]> {
    const list = fields[name];
    if (list === undefined || list === null || list === "") return;
    if (!Array.isArray(list)) {
      this.problem([name], `${name} must be a list. Begin each entry with "- ".`);
      return;
    }
    for (const [i, entry] of list.entries()) {
      if (isRecord(entry)) yield [i, entry];
      else this.problem([name, i], `An entry of ${name} must have fields such as id, not be ${quoted(entry)}.`);
    }
  }

  unknownFields(fields: Fields, kind: keyof typeof FIELDS, path: Path): void {
    const allowed: readonly string[] = FIELDS[kind];
    for (const field of Object.keys(fields)) {
      if (!allowed.includes(field)) {
        this.problem([...path, field], `There is no field ${quoted(field)} here. Use ${allowed.join(", ")}.`);
      }
    }
  }

  /** A text without blanks at its ends; undefined where it is absent, or wrong. */
  text(fields: Fields, field: string, path: Path, required: boolean): string | undefined {
    const value = fields[field];
    if (value === undefined || value === null || (value === "" && !required)) {
      if (required) this.problem(path, `${field} is missing. Add it.`);
      return undefined;
    }
    if (typeof value !== "string") {
      this.problem([...path, field], `${field} must be a text, not ${quoted(value)}. Put it in quotes.`);
      return undefined;
    }
    const text = value.trim();
    if (text === "") this.problem([...path, field], `${field} is empty. Write one, or remove the entry.`);
    return text === "" ? undefined : text;
  }

  /** A name as it is spoken. */
  name(fields: Fields, path: Path): string {
    const name = this.text(fields, "name", path, true);
    return this.#spoken(name, [...path, "name"]) ?? "";
  }

  aliases(fields: Fields, path: Path): string[] {
    const { aliases } = fields;
    if (aliases === undefined || aliases === null || aliases === "") return [];
    if (!Array.isArray(aliases)) {
      this.problem([...path, "aliases"], `aliases must be a list, such as [${String(aliases).slice(0, 40)}].`);
      return [];
    }
    return aliases.flatMap((alias, i) => {
      const at = [...path, "aliases", i];
      if (typeof alias !== "string" || alias.trim() === "") {
        this.problem(at, `An alias must be a text, not ${quoted(alias)}. Write one, or remove it.`);
        return [];
      }
      return this.#spoken(alias.trim(), at) ?? [];
    });
  }

  #spoken(name: string | undefined, path: Path): string | undefined {
    if (name === undefined) return undefined;
    if ([...name].length > LONGEST_NAME) {
      const message = `A name has at most ${LONGEST_NAME} characters, this one ${[...name].length}. Shorten it.`;
      this.problem(path, message);
    } else if (!/[\p{L}\p{N}]/u.test(name)) {
      this.warn(path, `${quoted(name)} has no letter or digit, so nobody can say it. Add an alias that can be said.`);
    }
    return name;
  }

  /** An id that occurs once among those of its kind. */
  id(fields: Fields, path: Path, taken: ReadonlyMap<string, unknown>, kind: string): string {
    const id = this.text(fields, "id", path, true) ?? "";
    if (id !== "" && taken.has(id)) {
      this.problem([...path, "id"], `There are two ${kind} with the id ${quoted(id)}. Rename or remove one.`);
    }
    return id;
  }

  /** An id that must be among those that are known. */
  reference(fields: Fields, field: string, path: Path, ids: ReadonlyMap<string, unknown>, required = false) {
    const id = this.text(fields, field, path, required);
    if (id === undefined || ids.has(id)) return id;
    const message = `There is no ${field} with the id ${quoted(id)}. Add it to ${field}s, or correct it. ${known(ids.keys())}.`;
    this.problem([...path, field], message);
    return undefined;
  }
}

const ENTITY_ID = /^[a-z0-9_]+\.[^\s.]+$/;

function readEntity(
  reader: Reader,
  fields: Fields,
  path: Path,
  entities: Map<string, Entity>,
  areas: Map<string, Area>,
) {
  reader.unknownFields(fields, "entity", path);
  const id = reader.id(fields, path, entities, "entities");
  const domain = id.slice(0, Math.max(0, id.indexOf(".")));
  if (id !== "" && !ENTITY_ID.test(id)) {
    const message = `${quoted(id)} is no entity id. Write the domain, a dot and a name, such as light.kitchen.`;
    reader.problem([...path, "id"], message);
  } else if (id !== "" && !Object.hasOwn(CATALOGUE.domains, domain)) {
    reader.warn(
      [...path, "id"],
      `Home Assistant has no domain ${quoted(domain)}. Commands will not reach this entity.`,
    );
  }
  const area = reader.reference(fields, "area", path, areas);
  const deviceClass = reader.text(fields, "device_class", path, false);
  const entity = {
    id,
    domain,
    name: reader.name(fields, path),
    aliases: reader.aliases(fields, path),
    area,
    deviceClass,
  };
  if (id !== "") entities.set(id, entity);
}

function readFloors(reader: Reader, document: Fields): Map<string, Floor> {
  const floors = new Map<string, Floor>();
  for (const [i, fields] of reader.records(document, "floors")) {
    const path = ["floors", i];
    reader.unknownFields(fields, "floor", path);
    const id = reader.id(fields, path, floors, "floors");
    const floor = { id, name: reader.name(fields, path), aliases: reader.aliases(fields, path) };
    if (id !== "") floors.set(id, floor);
  }
  return floors;
}

function readAreas(reader: Reader, document: Fields, floors: Map<string, Floor>): Map<string, Area> {
  const areas = new Map<string, Area>();
  for (const [i, fields] of reader.records(document, "areas")) {
    const path = ["areas", i];
    reader.unknownFields(fields, "area", path);
    const id = reader.id(fields, path, areas, "areas");
    const floor = reader.reference(fields, "floor", path, floors);
    const area = { id, name: reader.name(fields, path), floor, aliases: reader.aliases(fields, path) };
    if (id !== "") areas.set(id, area);
  }
  return areas;
}

function readSatellites(reader: Reader, document: Fields, areas: Map<string, Area>): Satellite[] {
  const satellites = new Map<string, Satellite>();
  for (const [i, fields] of reader.records(document, "satellites")) {
    const path = ["satellites", i];
    reader.unknownFields(fields, "satellite", path);
    const id = reader.id(fields, path, satellites, "satellites");
    const area = reader.reference(fields, "area", path, areas, true);
    if (area !== undefined) satellites.set(id, { id, area });
  }
  return [...satellites.values()];
}

/** Reads a house and says everything that is wrong or surprising about it, each with its line. Throws nothing. */
export function checkHouse(document: unknown, source?: Source): HouseCheck {
  const reader = new Reader(source);
  const house = readDocument(reader, document);
  if (reader.problems.length === 0) warnOfNames(reader, house);
  return { house, problems: reader.problems, warnings: reader.warnings };
}

function readDocument(reader: Reader, document: unknown): House {
  const fields = isRecord(document) ? document : {};
  if (!isRecord(document)) {
    const message = `A house has ${FIELDS.house.join(", ")}, but this is ${quoted(document)}. See docs/home.md for an example.`;
    reader.problem([], message);
  }
  reader.unknownFields(fields, "house", []);
  const language = reader.text(fields, "language", [], false) ?? CATALOGUE.language;
  if (language.split(/[-_]/)[0] !== CATALOGUE.language) {
    reader.warn(
      ["language"],
      "Sentences are understood in English only. Say commands in English, or set language to en.",
    );
  }
  const floors = readFloors(reader, fields);
  const areas = readAreas(reader, fields, floors);
  const entities = new Map<string, Entity>();
  for (const [i, entity] of reader.records(fields, "entities")) {
    readEntity(reader, entity, ["entities", i], entities, areas);
  }
  const satellites = readSatellites(reader, fields, areas);
  return {
    language,
    floors: [...floors.values()],
    areas: [...areas.values()],
    entities: [...entities.values()],
    satellites,
  };
}

function warnOfNames(reader: Reader, house: House): void {
  for (const { kind, index, message } of ambiguousNames(house)) reader.warn([kind, index, "name"], message);
}

/** "house.yaml:17: There is no area …" */
export function describeFinding({ message, line, path }: Finding, source?: Source): string {
  const place = line === undefined ? path : `${source?.name ?? "house"}:${line}`;
  return place === "" ? message : `${place}: ${message}`;
}

/** Houses that were read need not be read again. */
const readHouses = new WeakSet<object>();

/**
 * A house from its document, as parsed from JSON or YAML; a house that was read already stays as it is.
 * @throws PiPhiError E_HOUSE with every problem in `details.problems`
 */
export function houseFrom(document: unknown, source?: Source): House {
  if (typeof document === "object" && document !== null && readHouses.has(document)) return document as House;
  const reader = new Reader(source);
  const house = readDocument(reader, document);
  readHouses.add(house);
  if (reader.problems.length > 0) throw houseError(reader.problems, source);
  return house;
}

export function houseError(problems: readonly Finding[], source?: Source): PiPhiError {
  const [{ line, column, path }] = problems;
  const details: ErrorDetails = { problems: problems.map((one) => describeFinding(one, source)), path };
  if (line !== undefined) Object.assign(details, { line, column });
  const more = problems.length > 1 ? ` (${problems.length - 1} more: piphi house --check lists them)` : "";
  return new PiPhiError("E_HOUSE", `${describeFinding(problems[0], source)}${more}`, details);
}
