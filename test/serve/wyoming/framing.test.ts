import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventReader, encodeEvent, LIMITS, type WyomingEvent } from "../../../tools/serve/wyoming/framing.ts";

const read = (...pieces: (string | Uint8Array)[]): WyomingEvent[] => {
  const reader = new EventReader();
  return pieces.flatMap((piece) => [...reader.push(Buffer.from(piece as string))]);
};

/** An event in the style that the protocol's own library has, or with its data in the line. */
function written(event: WyomingEvent, style: "after" | "inline" | "both", payload: Uint8Array): Buffer {
  const entries = Object.entries(event.data);
  const cut = style === "after" ? 0 : style === "inline" ? entries.length : entries.length >> 1;
  const after = Buffer.from(JSON.stringify(Object.fromEntries(entries.slice(cut))));
  const header = {
    type: event.type,
    ...(cut > 0 && { data: Object.fromEntries(entries.slice(0, cut)) }),
    ...(cut < entries.length && { data_length: after.length }),
    ...(payload.length > 0 && { payload_length: payload.length }),
  };
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  return Buffer.concat([line, cut < entries.length ? after : Buffer.alloc(0), payload]);
}

const events = fc.record({
  type: fc.string({ unit: "binary" }),
  data: fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()).map((data) => JSON.parse(JSON.stringify(data))),
});
const styles = fc.constantFrom("after" as const, "inline" as const, "both" as const);

/** Bytes cut at these places, which may repeat and lie beyond the end. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

describe("events", () => {
  it("are read as they were written, in both styles, with payloads, however the stream is cut", () => {
    const stream = fc.array(fc.tuple(events, styles, fc.uint8Array({ maxLength: 50 })), { maxLength: 6 });
    fc.assert(
      fc.property(stream, fc.array(fc.nat(10_000), { maxLength: 12 }), (sent, places) => {
        const bytes = Buffer.concat(sent.map(([event, style, payload]) => written(event, style, payload)));
        expect(read(...cutAt(bytes, places))).toEqual(sent.map(([event]) => event));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it("come back from bytes as they are", () => {
    fc.assert(
      fc.property(events, (event) => {
        expect(read(encodeEvent(event))).toEqual([event]);
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it("are read byte by byte", () => {
    const bytes = encodeEvent({ type: "transcript", data: { text: "licht an, bitte ☕" } });
    const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
    expect(read(...pieces)).toEqual([{ type: "transcript", data: { text: "licht an, bitte ☕" } }]);
  });

  it("say their length in bytes, with no newline after the data", () => {
    const [line, rest] = encodeEvent({ type: "handled", data: { text: "é" } })
      .toString()
      .split("\n");
    expect(JSON.parse(line)).toEqual({ type: "handled", version: "1.10.2", data_length: 13 });
    expect(rest).toBe('{"text":"é"}');
  });

  it("may have unknown fields, null lengths, and data twice: what follows counts more", () => {
    const line = '{"type":"x","new":1,"data":{"a":1,"b":1},"data_length":7,"payload_length":null}\n{"b":2}';
    expect(read(line)).toEqual([{ type: "x", data: { a: 1, b: 2 } }]);
    expect(read('{"type":"x","data":null,"data_length":null}\n')).toEqual([{ type: "x", data: {} }]);
  });

  it("pass over payloads without keeping them", () => {
    const reader = new EventReader();
    const before = process.memoryUsage().arrayBuffers;
    expect([...reader.push(Buffer.from(`{"type":"audio-chunk","payload_length":${LIMITS.payload}}\n`))]).toHaveLength(
      1,
    );
    const piece = Buffer.alloc(2 ** 20);
    for (let i = 0; i < LIMITS.payload / piece.length; i++) expect([...reader.push(piece)]).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(LIMITS.payload / 4);
    expect([...reader.push(Buffer.from('{"type":"ping"}\n'))]).toEqual([{ type: "ping", data: {} }]);
  });
});

describe("what is no event", () => {
  it.each([
    ["no JSON", "hello\n"],
    ["an empty line", "\n"],
    ["HTTP", "GET / HTTP/1.1\r\n"],
    ["a list", "[]\n"],
    ["no type", "{}\n"],
    ["a type that is no text", '{"type":1}\n'],
    ["data that is no object", '{"type":"x","data":[1]}\n'],
    ["a negative length", '{"type":"x","data_length":-1}\n'],
    ["a length that is no number", '{"type":"x","data_length":"7"}\n'],
    ["a broken length", '{"type":"x","payload_length":1.5}\n'],
    ["a huge length of data", '{"type":"x","data_length":9007199254740991}\n'],
    ["a huge length of payload", '{"type":"x","payload_length":1e300}\n'],
    ["data that is no JSON", '{"type":"x","data_length":3}\nabc'],
    ["data with another length", '{"type":"x","data_length":3}\n{"a":1}'],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d, 0x0a])],
    ["a line without end", "x".repeat(LIMITS.line + 1)],
  ])("is refused: %s", (_, bytes) => {
    expect(() => read(bytes)).toThrow(/^The event is no Wyoming event: .* Send a line of JSON/);
  });

  it("never ends in another error, whatever the bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(events, fc.nat(200), fc.nat(255)).map(([event, at, value]) => {
        const whole = encodeEvent(event);
        whole[at % whole.length] = value;
        return whole;
      }),
    );
    fc.assert(
      fc.property(bytes, (some) => {
        try {
          read(some);
        } catch (error) {
          expect(error).toMatchObject({ code: "E_USAGE" });
        }
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  it("does not take the events before it along", () => {
    const seen: string[] = [];
    const reader = new EventReader();
    expect(() => {
      for (const { type } of reader.push(Buffer.from('{"type":"a"}\nnonsense\n'))) seen.push(type);
    }).toThrow("no JSON");
    expect(seen).toEqual(["a"]);
  });
});
