/** A house of many things, and sentences about them. */

const ROOMS = [
  "Kitchen",
  "Living Room",
  "Bedroom",
  "Bathroom",
  "Office",
  "Hallway",
  "Nursery",
  "Garage",
  "Attic",
  "Cellar",
];
const WORDS = ["Ceiling", "Corner", "Desk", "Wall", "Window", "Reading", "Night", "Shelf", "Table", "Floor"];
const KINDS = [
  ["light", "Light"],
  ["switch", "Socket"],
  ["cover", "Blind"],
  ["fan", "Fan"],
];

/** House.yaml as JSON, which is YAML: "Kitchen Ceiling Light" and so on. */
export function makeHouse(count) {
  const areas = ROOMS.map((name, i) => ({ id: `area${i}`, name }));
  const entities = Array.from({ length: count }, (_, i) => {
    const room = i % ROOMS.length;
    const word = WORDS[Math.floor(i / ROOMS.length) % WORDS.length];
    const turn = Math.floor(i / (ROOMS.length * WORDS.length));
    const [domain, kind] = KINDS[turn % KINDS.length];
    const more = turn < KINDS.length ? "" : ` ${Math.floor(turn / KINDS.length) + 1}`;
    return { id: `${domain}.thing${i}`, name: `${ROOMS[room]} ${word} ${kind}${more}`, area: `area${room}` };
  });
  return { areas, entities };
}

const SAYINGS = [
  (name) => `turn on the ${name}`,
  (name) => `please switch off the ${name}`,
  (name) => `could you turn the ${name} on`,
  (_, room) => `turn off all the lights in the ${room}`,
  (_, room) => `it is too dark in the ${room}`,
  (name, room) => `turn on the ${name} and turn off the lights in the ${room}`,
  () => "set a timer for ten minutes",
  (name) => `is the ${name} on`,
  () => "what is the capital of France",
  (_, room) => `set the lights in the ${room} to 40 percent`,
];

/** The same sentences for the same house, none twice in a row. */
export function makeSentences({ entities }, count) {
  return Array.from({ length: count }, (_, i) => {
    const name = entities[(i * 37) % entities.length].name.toLowerCase();
    return SAYINGS[i % SAYINGS.length](name, ROOMS[(i * 3) % ROOMS.length].toLowerCase());
  });
}
