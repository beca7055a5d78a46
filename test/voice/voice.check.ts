/**
 * From sound to intent, with Debian's packages: Flite says a sentence, PocketSphinx hears it by the grammar that
 * `piphi house --jsgf` makes of the house, and PiPhi understands what was heard.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Home, openHome, readHouseFile } from "../../devices/node/home/index.ts";
import { phrases } from "./phrases.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const HOUSE = fileURLToPath(new URL("../../examples/house.yaml", import.meta.url));
const PACKAGES = ["flite", "sox", "pocketsphinx", "pocketsphinx-en-us"];
const MODEL = "/usr/share/pocketsphinx/model/en-us";
const DICTIONARY = `${MODEL}/cmudict-en-us.dict`;
const folder = mkdtempSync(path.join(os.tmpdir(), "piphi-voice-"));
const at = (name: string) => path.join(folder, name);
const quietly = { stdio: ["ignore", "pipe", "ignore"] as ["ignore", "pipe", "ignore"] };

/** Installs what is missing, where that can be done; fails with what to do where it cannot. */
function install(): void {
  const has = () => {
    try {
      execFileSync("sh", ["-c", "command -v flite && command -v sox && command -v pocketsphinx_batch"], quietly);
      readFileSync(DICTIONARY);
      return true;
    } catch {
      return false;
    }
  };
  if (has()) return;
  if (process.getuid?.() === 0) {
    execFileSync("apt-get", ["update", "-qq"], quietly);
    execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES], quietly);
  }
  if (!has())
    throw new Error(`This needs Debian's ${PACKAGES.join(", ")}. Run: sudo apt-get install ${PACKAGES.join(" ")}`);
}

/** What PocketSphinx hears, sentence by sentence, in one run. */
function hear(sentences: readonly string[]): string[] {
  sentences.forEach((sentence, i) => {
    // PocketSphinx hears 16 kHz.
    execFileSync("flite", ["-voice", "slt", "-t", sentence, "-o", at(`${i}.said.wav`)], quietly);
    execFileSync("sox", [at(`${i}.said.wav`), "-r", "16000", at(`${i}.wav`), "pad", "0.3", "0.3"], quietly);
  });
  writeFileSync(at("list"), sentences.map((_, i) => `${i}\n`).join(""));
  const files = [
    "-ctl",
    at("list"),
    "-cepdir",
    folder,
    "-cepext",
    ".wav",
    "-adcin",
    "yes",
    "-adchdr",
    "44",
    "-hyp",
    at("heard"),
  ];
  const model = ["-hmm", `${MODEL}/en-us`, "-dict", DICTIONARY, "-jsgf", at("house.jsgf"), "-logfn", at("log")];
  execFileSync("pocketsphinx_batch", [...files, ...model], quietly);
  return readFileSync(at("heard"), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.replace(/\s*\([^()]*\)$/, ""));
}

let home: Home;
let heard: string[];

beforeAll(async () => {
  install();
  const jsgf = execFileSync(process.execPath, [CLI, "house", "--jsgf", HOUSE, "--words", DICTIONARY], quietly);
  writeFileSync(at("house.jsgf"), jsgf);
  home = await openHome({ house: readHouseFile(HOUSE) });
  heard = hear(phrases.map(({ says }) => says));
});

afterAll(() => home?.close());

it.each(phrases.map((phrase, i) => ({ ...phrase, i })))("$says", async ({ i, means }) => {
  const { intents } = await home.understand(heard[i], { area: "Living Room" });
  expect(
    intents.map(({ name, slots }) => ({ name, slots })),
    `heard: ${heard[i]}`,
  ).toEqual(means);
});
