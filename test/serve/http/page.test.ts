/** The server's page in a real browser: by keyboard, by eye and by axe. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, launchChromium } from "../../../tools/bench/peers/chromium.mjs";
import { httpDoor } from "../../../tools/serve/http/door.ts";
import { randomModel } from "../../fixtures/random-model.ts";
import { temporaryFile } from "../../fixtures/temporary.ts";
import { type Served, serve } from "../serving.ts";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const executable = findChromium();

describe.skipIf(!executable)(`the page (${executable ?? "there is no Chromium"})`, () => {
  let browser: Browser;
  let page: Page;
  let served: Served;
  const wrong: string[] = [];

  beforeAll(async () => {
    const model = temporaryFile(
      "talker.gguf",
      randomModel({ layers: 2, hiddenSize: 128, contextLength: 512, peaked: 5 }),
    );
    served = await serve(httpDoor, { model, house: true, keys: ["secret"], load: { contextLength: 512 } });
    browser = await launchChromium(executable!);
    page = await browser.newPage();
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => message.text().includes("Content Security Policy") && wrong.push(message.text()));
    await page.goto(served.url);
  });

  afterAll(async () => {
    await browser?.close();
    await served?.[Symbol.asyncDispose]();
  });

  it("says that it needs a key, and takes one", async () => {
    await page.getByText("The API key is missing or wrong").waitFor();
    await page.getByLabel("API key").fill("secret");
    await page.getByLabel("API key").press("Enter");
    await page.getByLabel("API key").blur();
    await page.getByText(/^Version 0\.0\.0, ready/).waitFor();
    expect(await page.getByLabel("Model", { exact: true }).locator("option").allTextContents()).toEqual([
      "talker",
      "piphi-home",
    ]);
    await page.getByText(/entities in 9 areas/).waitFor();
  });

  it("chats by the keyboard alone, and tells speeds", async () => {
    await page.getByLabel("Message").focus();
    await page.keyboard.type("the light");
    await page.keyboard.press("Enter");
    await page.getByText(/tokens read.*first word after \d+ ms/).waitFor();
    const [mine, answer] = await page.locator("#talk li").allTextContents();
    expect(mine).toBe("the light");
    expect(answer).not.toMatch(/^…?$/);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("said");
  });

  it("shows what a command means in the house, and why", async () => {
    await page.getByLabel("A command").fill("turn off the desk lamp");
    await page.keyboard.press("Enter");
    await page.locator("#understood dl").waitFor();
    const text = await page.locator("#understood").innerText();
    expect(text).toContain("HassTurnOff");
    expect(text).toContain("Desk Lamp");
    expect(text).toMatch(/Sure to\s+\d+ %/);
  });

  it.each([
    ["light", 1280],
    ["dark", 390],
  ] as const)("has nothing that axe finds, %s and %i wide", async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    // The page's own policy forbids scripts of others: axe comes by the debugger.
    const { violations } = (await page.evaluate(`${readFileSync(AXE, "utf8")}; axe.run(document)`)) as {
      violations: { id: string; nodes: { html: string }[] }[];
    };
    expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    expect(wrong).toEqual([]);
  });
});
