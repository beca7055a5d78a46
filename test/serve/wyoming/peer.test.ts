/** The protocol's own library (PyPI's `wyoming`) as the client, unmodified, where Python can install it. */

import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { CONNECTION_LIMITS } from "../../../tools/serve/wyoming/connection.ts";
import { PROTOCOL_VERSION } from "../../../tools/serve/wyoming/framing.ts";
import { History } from "../../../tools/serve/wyoming/history.ts";
import { infoOf } from "../../../tools/serve/wyoming/info.ts";
import { addressText, listenWyoming } from "../../../tools/serve/wyoming/listen.ts";

const folder = path.join(os.tmpdir(), `piphi-wyoming-${PROTOCOL_VERSION}`);
const python = path.join(folder, "bin", "python");

/** Python with the library, kept for the next time; undefined with the reason on stderr where it cannot be had. */
function peer(): string | undefined {
  if (existsSync(path.join(folder, "ready"))) return python;
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", folder]],
    [python, ["-m", "pip", "install", "--quiet", "--timeout", "20", `wyoming==${PROTOCOL_VERSION}`]],
    [python, ["-c", `open(${JSON.stringify(path.join(folder, "ready"))}, "w").close()`]],
  ];
  for (const [command, args] of steps) {
    const { status, error, stderr } = spawnSync(command, args, { timeout: 120_000 });
    if (status === 0) continue;
    console.warn(
      `Not tried with the protocol's own library: ${error?.message ?? String(stderr).trim().split("\n").at(-1)}`,
    );
    return undefined;
  }
  return python;
}

const CLIENT = `
import asyncio, json, sys
from wyoming.asr import Transcript
from wyoming.client import AsyncClient
from wyoming.handle import Handled, HandledChunk
from wyoming.info import Describe, Info
from wyoming.intent import Intent, IntentsStart, IntentsStop, NotRecognized, Recognize
from wyoming.ping import Ping, Pong

async def main(uri):
    seen = []
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
        seen.append([info.intent[0].name, info.handle[0].supports_handled_streaming, info.intent[0].models[0].languages])
        await client.write_event(Ping(text="x").event())
        seen.append(Pong.from_event(await client.read_event()).text)
        for event in (Transcript("one", context={"conversation_id": "c"}).event(), Recognize("two").event(), Transcript("talk").event()):
            await client.write_event(event)
            while True:
                event = await client.read_event()
                if IntentsStart.is_type(event.type): continue
                if IntentsStop.is_type(event.type): break
                if Intent.is_type(event.type):
                    intent = Intent.from_event(event)
                    seen.append([intent.name, {e.name: e.value for e in intent.entities}, intent.text])
                    if (intent.context or {}).get("conversation_id") == "c": break
                if HandledChunk.is_type(event.type): seen.append(HandledChunk.from_event(event).text)
                if Handled.is_type(event.type):
                    seen.append(Handled.from_event(event).text)
                    break
    print(json.dumps(seen))

asyncio.run(main(sys.argv[1]))
`;

const found = peer();

it.skipIf(found === undefined)("the protocol's own client is served", { timeout: 60_000 }, async () => {
  const lamp = { name: "HassTurnOn", slots: { name: "Lämp ☕", domain: ["light", "switch"] }, text: "On" };
  const timer = { name: "HassStartTimer", slots: { minutes: 5 } };
  const listening = await listenWyoming(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    {
      assistant: {
        ready: async () => {},
        knowsHouse: true,
        understand: async (text) => (text === "one" ? [lamp] : text === "two" ? [lamp, timer] : []),
        async *converse() {
          yield "Hel";
          yield "lo.";
        },
      },
      history: new History(),
      info: () => infoOf({ version: "1" }),
      limits: CONNECTION_LIMITS,
      onTurn: () => undefined,
    },
    10,
  );
  try {
    const child = spawn(found!, ["-c", CLIENT, addressText(listening.address)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    for await (const piece of child.stdout) text += String(piece);
    expect(JSON.parse(text)).toEqual([
      ["piphi", true, ["en"]],
      "x",
      ["HassTurnOn", { name: "Lämp ☕", domain: ["light", "switch"] }, "On"],
      ["HassTurnOn", { name: "Lämp ☕", domain: ["light", "switch"] }, "On"],
      ["HassStartTimer", { minutes: 5 }, null],
      "Hel",
      "lo.",
      "Hello.",
    ]);
  } finally {
    await listening.close(0);
  }
});
