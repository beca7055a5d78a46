#!/usr/bin/env node
/**
 * `npm run bench:home`: what understanding takes, in a house of 500 entities: memory above that of a process which only
 * imports `piphi/home`, time from text to intents. Each process is measured by itself, several times.
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ENTITIES = 500;
const RUNS = 5;
const GOALS = { megabytes: 60, median: 40, p95: 120 };
const KINDS = [
  ["light", "Lamp"],
  ["switch", "Plug"],
  ["cover", "Blind"],
  ["sensor", "Meter"],
  ["binary_sensor", "Motion"],
  ["fan", "Fan"],
  ["media_player", "Speaker"],
  ["climate", "Heater"],
] as const;
const ROOMS =
  "Kitchen Den Attic Cellar Porch Study Nursery Pantry Gallery Office Garage Hall Loft Studio Bathroom".split(" ");
const SENTENCES = [
  "turn on the lights in the kitchen",
  "dim den lamp 3 to thirty percent and close the attic blinds",
  "turn off the porch and study lights",
  "is nursery motion 8 on",
  "set a timer for an hour and a half",
  "make the gallery speaker a bit quieter",
  "set the cellar to 21 degrees",
  "what is the capital of france",
  "add oat milk and rye bread to the shopping list",
  "turn off all the lights in the office except office lamp 9",
  "please don't open the garage blinds",
  "how warm is it in the hall",
  "turn on the be zar lamp",
];

function houseOf(count: number) {
  const areas = ROOMS.map((name, i) => ({ id: `a${i}`, name }));
  const entities = Array.from({ length: count }, (_, i) => {
    const [domain, word] = KINDS[i % KINDS.length];
    const area = i % areas.length;
    return { id: `${domain}.e${i}`, name: `${ROOMS[area]} ${word} ${Math.floor(i / areas.length)}`, area: `a${area}` };
  });
  return { areas, entities };
}

/** In a process of its own: the most memory that was resident, and the time of each sentence, in milliseconds. */
async function understandAll(): Promise<void> {
  const { openHome } = await import("../../devices/node/home/index.ts");
  const home = await openHome({ house: houseOf(ENTITIES) });
  const times: number[] = [];
  for (let round = 0; round < 4; round++) {
    for (const text of SENTENCES) {
      const { ms } = await home.understand(text);
      if (round > 0) times.push(ms); // what is read once is not what a sentence takes
    }
  }
  await home.close();
  console.log(JSON.stringify({ kilobytes: process.resourceUsage().maxRSS, times }));
}

/** In a process of its own: the runtime is there, and nothing is read yet. */
async function importOnly(): Promise<void> {
  await import("../../devices/node/home/index.ts");
  console.log(process.resourceUsage().maxRSS);
}

function measure(): void {
  const script = fileURLToPath(import.meta.url);
  const extra: number[] = [];
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const base = Number(execFileSync(process.execPath, [script, "--none"], { encoding: "utf8" }));
    const own = JSON.parse(execFileSync(process.execPath, [script, "--one"], { encoding: "utf8" }));
    extra.push((own.kilobytes - base) / 1024);
    times.push(...own.times);
  }
  const at = (values: number[], part: number) => values.sort((a, b) => a - b)[Math.floor((values.length - 1) * part)];
  const rows: [string, number, number, string][] = [
    ["memory above the runtime", at(extra, 0.5), GOALS.megabytes, "MB"],
    ["time, median", at(times, 0.5), GOALS.median, "ms"],
    ["time, 95th percentile", at(times, 0.95), GOALS.p95, "ms"],
  ];
  console.log(`Node ${process.versions.node}, ${ENTITIES} entities, ${RUNS} processes\n`);
  for (const [what, value, goal, unit] of rows)
    console.log(`${what.padEnd(28)}${value.toFixed(1).padStart(7)} ${unit}  (goal ${goal} ${unit})`);
}

if (process.argv.includes("--one")) await understandAll();
else if (process.argv.includes("--none")) await importOnly();
else measure();
