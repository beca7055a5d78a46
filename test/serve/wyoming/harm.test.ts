/** Clients that are broken or mean: each harms itself, and no other. */

import { once } from "node:events";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { WyomingClient } from "../../fixtures/wyoming.ts";
import { never, serve, TURN_ON } from "../../fixtures/wyoming-service.ts";

describe("clients that do harm", () => {
  it.each(["nonsense\n", '{"type":"x","data_length":99999999999}\n', "GET / HTTP/1.1\r\n\r\n"])(
    "%j closes its connection, and no other",
    async (bytes) => {
      const { client, connect } = await serve({ understand: async () => [TURN_ON] });
      const other = await connect();
      client.raw(bytes);
      expect((await client.next())?.type).toBe("error");
      expect(await client.next()).toBeUndefined();
      expect((await other.turn("on"))[0].type).toBe("intent");
    },
  );

  it("slow ones are let go, while those between events may wait", async () => {
    const { client, connect } = await serve({ limits: { event: 50 } });
    const patient = await connect();
    client.raw('{"type":');
    const trickle = setInterval(() => client.raw(" "), 5);
    expect(await client.next()).toBeUndefined();
    clearInterval(trickle);
    patient.send("ping");
    expect((await patient.next())?.type).toBe("pong");
  });

  it("idle ones are let go at last, but not while they wait for an answer", async () => {
    let done = () => {};
    const answered = new Promise<void>((resolve) => {
      done = resolve;
    });
    const { client, connect } = await serve({
      limits: { idle: 50 },
      understand: async () => {
        await answered;
        return [TURN_ON];
      },
    });
    const waiting = await connect();
    waiting.send("transcript", { text: "on" });
    expect(await client.next()).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 120));
    done();
    expect((await waiting.next())?.type).toBe("intent");
  });

  it("those that ask and never read are let go, and keep little memory", async () => {
    const { port, connect } = await serve({ limits: { write: 50 } });
    const greedy = net.connect(Number(port), "127.0.0.1").pause();
    greedy.on("error", () => undefined);
    const closed = new Promise((resolve) => greedy.on("close", resolve));
    await once(greedy, "connect");
    // More than the system takes for a reader that is paused: the rest of it fails when the connection ends.
    greedy.write(Buffer.from('{"type":"describe"}\n'.repeat(2_000_000)));
    await closed;
    const honest = await connect();
    honest.send("ping");
    expect((await honest.next())?.type).toBe("pong");
  });

  it("a thousand connections that say nothing keep nobody out", async () => {
    const { port, connect, client } = await serve({ understand: async () => [TURN_ON] });
    const sockets = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const socket = net.connect(Number(port), "127.0.0.1");
        socket.on("error", () => undefined);
        await once(socket, "connect");
        return socket;
      }),
    );
    expect((await (await connect()).turn("on"))[0].type).toBe("intent");
    expect(await client.next()).toBeUndefined();
    for (const socket of sockets) socket.destroy();
  });

  it("many sentences at once on one connection are answered one after the other", async () => {
    let running = 0;
    let most = 0;
    const { client } = await serve({
      understand: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return [TURN_ON];
      },
    });
    for (let i = 0; i < 100; i++) client.send("transcript", { text: "on", context: { conversation_id: `${i}` } });
    const ids: unknown[] = [];
    for (let i = 0; i < 100; i++) ids.push((await client.next())?.data.context);
    expect(ids).toEqual(Array.from({ length: 100 }, (_, i) => ({ conversation_id: `${i}` })));
    expect(most).toBe(1);
  });
});

it("closing answers what was asked, takes nobody new, and waits no longer than it was told", async () => {
  let done = () => {};
  const { client, listening, port, connect } = await serve({
    understand: (text, _, signal) =>
      text === "never" ? never(signal) : new Promise((resolve) => (done = () => resolve([TURN_ON]))),
  });
  const stuck = await connect();
  stuck.send("transcript", { text: "never" });
  client.send("transcript", { text: "on" });
  client.send("ping");
  await client.next();
  const closing = listening.close(200);
  await expect(WyomingClient.connect(port)).rejects.toThrow();
  done();
  expect((await client.next())?.type).toBe("intent");
  await closing;
  expect(await stuck.next()).toBeUndefined();
});
