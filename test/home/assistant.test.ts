/** A house read from Home Assistant and followed, against a server that speaks the documented protocol. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openSocket } from "../../devices/node/home/socket.ts";
import { socketUrl } from "../../runtime/home/assistant/connection.ts";
import { type FollowOptions, LiveHouse } from "../../runtime/home/assistant/follow.ts";
import { FakeHomeAssistant, TOKEN } from "../fixtures/home-assistant.ts";

const DELAYS = { settle: 5, retry: 10, longest: 40, ping: 10_000 };
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start() {
  const server = await FakeHomeAssistant.start();
  closing.push(() => server.stop());
  return server;
}

async function follow(server: { url: string }, options: Partial<FollowOptions> = {}, delays = {}) {
  const live = await LiveHouse.open(
    openSocket,
    { url: server.url, token: TOKEN, ...options },
    { ...DELAYS, ...delays },
  );
  closing.push(() => live.close());
  return live;
}

const soon = (check: () => void) => vi.waitFor(check, { timeout: 5000, interval: 5 });

describe("reading", () => {
  it("takes what is exposed, with areas of devices, aliases and classes", async () => {
    const { document, house, connected } = await follow(await start());
    expect(document).toEqual({
      language: "en",
      floors: [{ id: "up", name: "Upstairs", aliases: ["first floor"] }],
      areas: [
        { id: "kitchen", name: "Kitchen", aliases: ["cooking room"] },
        { id: "bedroom", name: "Bedroom", floor: "up" },
      ],
      entities: [
        { id: "cover.bedroom", name: "Bedroom Blind", area: "bedroom", device_class: "blind" },
        { id: "light.kitchen", name: "Kitchen Light", area: "kitchen", aliases: ["kitchen lamp"] },
        { id: "weather.home", name: "home" },
      ],
      satellites: [
        { id: "assist_satellite.kitchen", area: "kitchen" },
        { id: "speaker", area: "kitchen" },
      ],
    });
    expect(house.entities.map(({ domain }) => domain)).toEqual(["cover", "light", "weather"]);
    expect(connected).toBe(true);
  });

  it("knows states, of exposed entities only", async () => {
    const live = await follow(await start());
    expect(live.state("light.kitchen")).toMatchObject({ state: "on", attributes: { brightness: 128 } });
    expect(live.state("light.secret")).toBeUndefined();
  });

  it("works where Home Assistant has no voice assistant to be prepared", async () => {
    const server = await start();
    server.prepared = true;
    server.errors.set("conversation/prepare", { code: "unknown_command", message: "Unknown command." });
    expect((await follow(server)).house.entities.length).toBe(3);
  });

  it("subscribes before it reads, so that no change is missed", async () => {
    const server = await start();
    await follow(server);
    expect(server.commands.lastIndexOf("subscribe_events")).toBeLessThan(server.commands.indexOf("get_config"));
  });
});

describe("following", () => {
  it.each([
    "homeassistant_started",
    "area_registry_updated",
    "floor_registry_updated",
    "device_registry_updated",
    "entity_registry_updated",
  ])("reads again after %s, once for many", async (event) => {
    const server = await start();
    const onChange = vi.fn();
    const live = await follow(server, { onChange });
    server.home.areas[0].name = "Big Kitchen";
    const before = server.commands.filter((command) => command === "get_states").length;
    for (let i = 0; i < 5; i++) server.fire(event, { action: "update" });
    await soon(() => expect(live.house.areas[0].name).toBe("Big Kitchen"));
    expect(server.commands.filter((command) => command === "get_states").length - before).toBe(1);
    expect(onChange).toHaveBeenLastCalledWith(live.house);
  });

  it("takes states as they change, without reading the house again", async () => {
    const server = await start();
    const live = await follow(server);
    const before = server.commands.length;
    const [, kitchen] = server.home.states;
    const changed = (entity_id: string, state: string) => {
      server.fire("state_changed", { entity_id, old_state: kitchen, new_state: { ...kitchen, entity_id, state } });
    };
    changed("light.secret", "on");
    changed("light.kitchen", "off");
    await soon(() => expect(live.state("light.kitchen")?.state).toBe("off"));
    expect(live.state("light.secret")).toBeUndefined();
    expect(server.commands.length).toBe(before);
  });

  it("reads again where an entity is renamed, new or gone", async () => {
    const server = await start();
    const live = await follow(server);
    const old_state = { ...server.home.states[1] };
    server.home.states[1].attributes.friendly_name = "Ceiling";
    server.fire("state_changed", { entity_id: "light.kitchen", old_state, new_state: server.home.states[1] });
    await soon(() => expect(live.house.entities[1].name).toBe("Ceiling"));
    server.home.states.splice(1, 1);
    server.fire("state_changed", { entity_id: "light.kitchen", old_state, new_state: null });
    await soon(() => expect(live.house.entities.length).toBe(2));
    server.home.states.push({ entity_id: "light.gone", state: "on", attributes: { friendly_name: "Back" } });
    server.fire("state_changed", { entity_id: "light.gone", old_state: null, new_state: server.home.states.at(-1) });
    await soon(() => expect(live.house.entities.map(({ name }) => name)).toContain("Back"));
  });
});

describe("Home Assistant gone", () => {
  it("keeps the house, connects again and reads what changed meanwhile", async () => {
    const server = await start();
    const seen: (string | true)[] = [];
    const onConnection = (on: boolean, error?: { code: string }) => seen.push(on || (error?.code ?? "none"));
    const live = await follow(server, { onConnection });
    server.home.areas[1].name = "Attic";
    await server.restart();
    await soon(() => expect(live.house.areas[1].name).toBe("Attic"));
    expect(live.house.entities.length).toBe(3);
    await soon(() => expect(seen).toEqual(["E_HOME_ASSISTANT", true]));
    server.home.areas[1].name = "Loft";
    server.fire("area_registry_updated");
    await soon(() => expect(live.house.areas[1].name).toBe("Loft"));
  });

  it("notices a connection that died without a word", async () => {
    const server = await start();
    const live = await follow(server, {}, { ping: 30 });
    server.silent = true;
    await soon(() => expect(live.connected).toBe(false));
    server.silent = false;
    await soon(() => expect(live.connected).toBe(true));
  });

  it("does not ask again and again once the token is refused", async () => {
    const server = await start();
    const live = await follow(server);
    server.token = "another";
    await server.restart();
    await soon(() => expect(live.failure).toMatchObject({ code: "E_TOKEN" }));
    const { connections } = server;
    await new Promise((resolve) => setTimeout(resolve, 3 * DELAYS.longest));
    expect(server.connections).toBe(connections);
    expect(live.house.entities.length).toBe(3);
  });

  it("ends for good at close", async () => {
    const server = await start();
    const live = await follow(server);
    live.close();
    await new Promise((resolve) => setTimeout(resolve, 3 * DELAYS.longest));
    expect(server.connections).toBe(1);
    expect(live.connected).toBe(false);
  });
});

describe("errors", () => {
  it("a wrong token", async () => {
    const opened = follow(await start(), { token: "wrong" });
    await expect(opened).rejects.toMatchObject({ code: "E_TOKEN", message: expect.stringMatching(/long-lived/) });
  });

  it("nobody there", async () => {
    const server = await start();
    const { url } = server;
    await server.stop();
    const opened = follow({ url });
    await expect(opened).rejects.toMatchObject({ code: "E_HOME_ASSISTANT", message: expect.stringMatching(/REFUSED/) });
    closing.pop();
  });

  it("something else there", async () => {
    const web: Server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    closing.push(() => web.close());
    const opened = follow({ url: `http://127.0.0.1:${(web.address() as AddressInfo).port}` });
    await expect(opened).rejects.toMatchObject({ code: "E_HOME_ASSISTANT", message: expect.stringMatching(/404/) });
  });

  it("a user who may not read, and a Home Assistant that is too old", async () => {
    const server = await start();
    server.errors.set("homeassistant/expose_entity/list", { code: "unauthorized", message: "Unauthorized" });
    await expect(follow(server)).rejects.toMatchObject({
      code: "E_TOKEN",
      message: expect.stringMatching(/administrator/),
    });
    server.errors.clear();
    server.errors.set("config/floor_registry/list", { code: "unknown_command", message: "Unknown command." });
    await expect(follow(server)).rejects.toMatchObject({
      code: "E_HOME_ASSISTANT",
      message: expect.stringMatching(/Update/),
    });
  });

  it("a call that is cancelled", async () => {
    const server = await start();
    const stop = new AbortController();
    const opened = follow(server, { signal: stop.signal });
    stop.abort();
    await expect(opened).rejects.toMatchObject({ code: "E_CANCELLED" });
    await expect(follow(server, { signal: stop.signal })).rejects.toMatchObject({ code: "E_CANCELLED" });
  });

  it("an address that is none", async () => {
    expect(() => socketUrl("ftp://x")).toThrow(expect.objectContaining({ code: "E_USAGE" }));
    expect(() => socketUrl("")).toThrow(expect.objectContaining({ code: "E_USAGE" }));
    expect(socketUrl("homeassistant.local:8123")).toBe("ws://homeassistant.local:8123/api/websocket");
    expect(socketUrl("https://example.org/ha/")).toBe("wss://example.org/ha/api/websocket");
    expect(socketUrl("ws://supervisor/core/websocket")).toBe("ws://supervisor/core/websocket");
  });
});
