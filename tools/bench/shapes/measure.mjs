/** Measures shapes: compiled anew, their masks on the way through an answer, and the passes of a command. */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** Answers that masks are measured on, after the first one. */
const ANSWERS = 200;
const MOST_TOKENS = 64;

/** The runtime's shapes over the vocabulary of a model's file. The library does not show them, so they are bundled here. */
export async function openShapes(file) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "piphi-shapes-"));
  const outfile = path.join(folder, "shapes.mjs");
  const contents = `
    export { Shapes } from "./runtime/shape/shapes.ts";
    export { tokenizerOf } from "./devices/node/inspect.ts";`;
  try {
    await build({
      stdin: { contents, resolveDir: ROOT, loader: "ts" },
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      logLevel: "error",
    });
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    const { Shapes, tokenizerOf } = await import(pathToFileURL(outfile).href);
    const tokenizer = tokenizerOf(file);
    return { Shapes, tokenizer };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The schema of a home's commands: all intents, whose names are those of its devices. */
export function intentsSchema(names) {
  const { intents } = JSON.parse(fs.readFileSync(path.join(ROOT, "runtime/home/catalogue.json"), "utf8"));
  const kinds = {
    name: { enum: Array.from({ length: names }, (_, i) => `${["Lamp", "Fan", "Blind", "Heater"][i % 4]} ${i + 1}`) },
    area: { enum: ["Kitchen", "Bedroom", "Living Room", "Hall", "Office", "Garage"] },
    floor: { enum: ["Upstairs", "Downstairs"] },
    number: { type: "integer", minimum: 0, maximum: 100 },
    text: { type: "string", maxLength: 60 },
  };
  const slot = ({ kind }) => (kinds[kind] ? { $ref: `#/$defs/${kind}` } : { type: "string", maxLength: 20 });
  const branches = Object.entries(intents).map(([intent, { slots }]) => ({
    type: "object",
    properties: {
      intent: { const: intent },
      slots: {
        type: "object",
        properties: Object.fromEntries(Object.entries(slots).map(([name, one]) => [name, slot(one)])),
        additionalProperties: false,
      },
    },
    required: ["intent", "slots"],
    additionalProperties: false,
  }));
  return { $defs: kinds, anyOf: branches };
}

/** Milliseconds of the first request for a shape, whose vocabulary is known, and of the next. */
export function measureCompile({ Shapes, tokenizer }, schema) {
  const shapes = new Shapes(tokenizer);
  shapes.constraint({ choices: ["x"] });
  const time = () => {
    const start = performance.now();
    shapes.constraint({ schema });
    return performance.now() - start;
  };
  return { firstMs: time(), againMs: time() };
}

/** Microseconds of a token's mask and step, in the first answer and in those after it, of tokens taken at random. */
export function measureMask({ Shapes, tokenizer }, schema) {
  const shapes = new Shapes(tokenizer);
  let state = 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const answers = Array.from({ length: 1 + ANSWERS }, () => {
    return followAnswer(shapes.constraint({ schema }), tokenizer.eosIds, random);
  });
  const mean = (some) => sumOf(some, "us") / sumOf(some, "tokens");
  return { firstUs: mean(answers.slice(0, 1)), laterUs: mean(answers.slice(1)) };
}

const sumOf = (answers, field) => answers.reduce((sum, answer) => sum + answer[field], 0);

function followAnswer(constraint, eosIds, random) {
  let [us, tokens] = [0, 0];
  while (tokens < MOST_TOKENS && !constraint.complete) {
    const start = performance.now();
    const forced = constraint.forced();
    const mask = forced.length === 0 ? constraint.allowed() : undefined;
    us += (performance.now() - start) * 1000;
    const ids = mask ? [chooseFrom(mask, eosIds, random)] : forced;
    if (ids[0] === undefined) break;
    const pushed = performance.now();
    for (const id of ids) constraint.push(id);
    us += (performance.now() - pushed) * 1000;
    tokens += ids.length;
  }
  return { us, tokens };
}

/** A token of a mask by chance; undefined where it ends the answer, or may and none else is set. */
function chooseFrom(mask, eosIds, random) {
  const ids = [];
  for (let id = 0; id < mask.length * 32; id++) if (mask[id >> 5] & (1 << (id & 31)) && !eosIds.has(id)) ids.push(id);
  return ids[Math.floor(random() * ids.length)];
}

/** The passes and tokens of a command's answer. */
export async function measureCommand(phi, schema) {
  const message = { role: "user", content: "turn on lamp 17 in the kitchen" };
  const { tokens, drafts } = await phi.chat([message], { schema, drafts: 1 });
  return { passes: drafts.passes + 1, tokens: tokens.length };
}
