/** `piphi/home` in a real browser: a house, a sentence, and Home Assistant through the browser's own WebSocket. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findChromium, launchChromium } from "../../tools/bench/peers/chromium.mjs";
import { FakeHomeAssistant, TOKEN } from "../fixtures/home-assistant.ts";
import { startServer, type TestServer } from "./server.ts";

/** Within the page. */
declare const home: typeof import("../../devices/web/home.ts");
declare const live: import("../../devices/web/home.ts").LiveHouse;

const HOUSE = {
  areas: [{ id: "kitchen", name: "Kitchen" }],
  entities: [{ id: "light.kitchen", name: "Ceiling", area: "kitchen" }],
};

const executable = findChromium();

describe.skipIf(!executable)("piphi/home in a browser", () => {
  let browser: Browser;
  let page: Page;
  let server: TestServer;
  let assistant: FakeHomeAssistant;

  beforeAll(async () => {
    browser = await launchChromium(executable!);
    server = await startServer(true, new Map());
    assistant = await FakeHomeAssistant.start();
    page = await browser.newPage();
    await page.goto(server.origin);
    await page.evaluate(`import("/dist/devices/web/home.js").then((module) => { globalThis.home = module; })`);
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
    await assistant?.stop();
  });

  const codeOf = (work: string) => page.evaluate(`(async () => ${work})().then(String, (error) => error.code)`);

  it("understands a sentence in a house from an object or JSON", async () => {
    const intents = await page.evaluate(async (house) => {
      const place = home.readHouse(JSON.stringify(house));
      const door = await home.openHome({ house: place });
      const understood = await door.understand("turn on the kitchen lights");
      await door.close();
      return understood.intents;
    }, HOUSE);
    expect(intents).toEqual([
      { name: "HassTurnOn", slots: { area: "Kitchen", domain: "light" }, text: "Turned on the lights" },
    ]);
  });

  it("refuses YAML and houses that are wrong", async () => {
    expect(await codeOf(`home.readHouse("areas: []")`)).toBe("E_HOUSE");
    expect(await codeOf(`home.readHouse({ areas: [{ id: "a" }] })`)).toBe("E_HOUSE");
  });

  it("follows Home Assistant, and names its errors", async () => {
    const { url } = assistant;
    await page.evaluate(
      async ([url, token]) => {
        Object.assign(globalThis, { live: await home.followHomeAssistant({ url, token }) });
      },
      [url, TOKEN],
    );
    assistant.home.areas[0].name = "Big Kitchen";
    assistant.fire("area_registry_updated");
    await vi.waitFor(async () => {
      expect(await page.evaluate(() => live.house.areas[0].name)).toBe("Big Kitchen");
    });
    await page.evaluate(() => live.close());
    expect(await codeOf(`home.followHomeAssistant({ url: "${url}", token: "wrong" })`)).toBe("E_TOKEN");
    const gone = `home.followHomeAssistant({ url: "http://127.0.0.1:9", token: "x" })`;
    expect(await codeOf(gone)).toBe("E_HOME_ASSISTANT");
  });
});
