import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PiPhiError } from "../../runtime/errors.ts";
import { createTokenizer, Detokenizer, type VocabularySource } from "../../runtime/text/tokenizer.ts";
import { phi2Vocabulary } from "../fixtures/phi2-vocabulary.ts";

const phi2 = phi2Vocabulary();
const tokenizer = createTokenizer(phi2);
const cases: [text: string, ids: number[]][] = JSON.parse(
  readFileSync(new URL("../fixtures/data/tokenizer.json", import.meta.url), "utf8"),
);
const text = fc.string({ unit: "binary" });
/** Words, runs of white space and rare characters, glued in any order. */
const mixture = fc
  .array(fc.oneof(fc.constantFrom(" ", "  ", "\t\t", "\n", "'s", "the", "日本", "😀", "\u0085", "\ufeff", "12"), text))
  .map((pieces) => pieces.join(""));
const ids = fc.array(fc.nat(phi2.tokens.length - 1));

describe("Phi-2's published vocabulary", () => {
  it("has 51200 ids, of which the last 905 are padding", () => {
    expect(tokenizer.vocabSize).toBe(51200);
    expect([50256, 50294, 50295, 51199].map((id) => tokenizer.isPadding(id))).toEqual([false, false, true, true]);
  });

  it("ends with <|endoftext|>", () => {
    expect([...tokenizer.eosIds]).toEqual([50256]);
    expect(tokenizer.controlId("<|endoftext|>")).toBe(50256);
    expect(tokenizer.controlId("the")).toBeUndefined();
    expect(tokenizer.bosId).toBe(50256);
    expect(tokenizer.addBos).toBe(false);
  });

  it("matches runs of spaces and tabs before anything else", () => {
    expect(tokenizer.encode("  Hello")).toEqual([50286, 15496]);
    for (let n = 2; n <= 31; n++) expect(tokenizer.encode(" ".repeat(n))).toEqual([50288 - n]);
    for (let n = 2; n <= 9; n++) expect(tokenizer.encode("\t".repeat(n))).toEqual([50296 - n]);
    expect(tokenizer.encode(" ".repeat(40))).toEqual([50257, 50279]);
  });

  it("spells the ids of the integration test that transformers has for Phi-2", () => {
    const ids = [1212, 318, 281, 1672, 2643, 290, 428, 318, 257, 1332];
    expect(tokenizer.decode(ids)).toBe("This is an example statement and this is a test");
    expect(tokenizer.encode(tokenizer.decode(ids))).toEqual(ids);
  });
});

describe("encode", () => {
  it("has cases worth the name", () => expect(cases.length).toBeGreaterThan(280));

  it.each(cases)("gives the reference's ids for %j", (input, expected) => {
    expect(tokenizer.encode(input)).toEqual(expected);
    expect(tokenizer.decode(expected)).toBe(input);
  });

  it("makes control tokens only where a template asks for it", () => {
    expect(tokenizer.encode("a<|endoftext|>b", { control: true })).toEqual([64, 50256, 65]);
    expect(tokenizer.encode("a<|endoftext|>b")).toEqual([64, 27, 91, 437, 1659, 5239, 91, 29, 65]);
  });

  it("never gives control tokens or padding for any text", () => {
    const forbidden = (id: number) => id === 50256 || tokenizer.isPadding(id);
    const names = fc.constantFrom("<|endoftext|>", "[PAD50300]", "[PAD", "<|", "|>");
    fc.assert(
      fc.property(fc.array(fc.oneof(names, text)), (pieces) => !tokenizer.encode(pieces.join("")).some(forbidden)),
    );
  });

  it("takes lone surrogates as U+FFFD", () => {
    expect(tokenizer.encode("a\ud800b\udc00")).toEqual(tokenizer.encode("a\ufffdb\ufffd"));
    expect(tokenizer.encode("\ud83d")).toEqual(tokenizer.encode("\ufffd"));
  });

  it("is fast for a long word", { timeout: 20_000 }, () => {
    for (const word of ["a".repeat(100_000), "abcdefghij".repeat(10_000)]) {
      const start = performance.now();
      const encoded = tokenizer.encode(word);
      expect(performance.now() - start).toBeLessThan(1000);
      expect(tokenizer.decode(encoded)).toBe(word);
    }
  });
});

describe("decode", () => {
  it("returns what was encoded", () => {
    fc.assert(fc.property(mixture, (input) => tokenizer.decode(tokenizer.encode(input)) === input));
  });

  it("joins the bytes of the ids", () => {
    fc.assert(
      fc.property(ids, (sequence) => {
        const bytes = sequence.flatMap((id) => [...tokenizer.bytes(id)]);
        expect(tokenizer.decode(sequence)).toBe(Buffer.from(bytes).toString("utf8"));
      }),
    );
  });

  it("equals the joined pushes of a Detokenizer", () => {
    const byteTokens = fc.array(fc.nat(255));
    fc.assert(
      fc.property(fc.oneof(ids, byteTokens), (sequence) => {
        const detokenizer = new Detokenizer(tokenizer);
        const pushed = sequence.map((id) => detokenizer.push(id)).join("");
        expect(pushed + detokenizer.flush()).toBe(tokenizer.decode(sequence));
      }),
    );
  });

  it("knows all 256 bytes", () => {
    const bytes = Array.from({ length: 256 }, (_, id) => tokenizer.bytes(id)[0]);
    expect(new Set(bytes).size).toBe(256);
    expect(tokenizer.bytes(220)).toEqual(Uint8Array.of(0x20));
    expect(tokenizer.bytes(50285)).toEqual(Uint8Array.of(0x20, 0x20, 0x20));
  });

  it("has no text for control tokens and padding, pieces have their names", () => {
    expect(tokenizer.decode([15496, 50256, 50300])).toBe("Hello");
    expect(tokenizer.pieces([15496, 50256, 50300, 50286])).toEqual(["Hello", "<|endoftext|>", "[PAD50300]", "  "]);
    expect(tokenizer.pieces(tokenizer.encode("\u{1f600}"))).toEqual(["\ufffd", "\ufffd"]);
  });

  it.each([-1, 51200, 0.5, Number.NaN])("refuses the id %d", (id) => {
    expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ code: "E_USAGE" }));
    expect(() => tokenizer.pieces([id])).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });
});

describe("Detokenizer", () => {
  it("holds an incomplete character back and shows a broken one as U+FFFD", () => {
    const detokenizer = new Detokenizer(tokenizer);
    const [first, second] = tokenizer.encode("😀");
    expect(detokenizer.push(first)).toBe("");
    expect(detokenizer.push(second)).toBe("😀");
    expect(detokenizer.push(first)).toBe("");
    expect(detokenizer.push(15496)).toBe("\ufffdHello");
    expect(detokenizer.push(first)).toBe("");
    expect(detokenizer.flush()).toBe("\ufffd");
    expect(detokenizer.push(15496)).toBe("Hello");
  });

  it("keeps a byte order mark, which is text here", () => {
    expect(tokenizer.decode(tokenizer.encode("\ufeffa\ufeff"))).toBe("\ufeffa\ufeff");
  });
});

/** GPT-2's 256 byte tokens, one merge, and `more` tokens from id 257 on. */
function tiny(more: [token: string, type: number][] = [], change: Partial<VocabularySource> = {}): VocabularySource {
  return {
    model: "gpt2",
    tokens: [...phi2.tokens.slice(0, 256), "he", ...more.map(([token]) => token)],
    types: [...new Array<number>(257).fill(1), ...more.map(([, type]) => type)],
    merges: ["h e"],
    ...change,
  };
}

describe("vocabularies of other files", () => {
  it("ends an answer at eos, eot, <|endoftext|> and <|im_end|>", () => {
    const more: [string, number][] = [
      ["<|endoftext|>", 3],
      ["<|im_end|>", 3],
      ["</s>", 3],
      ["<eot>", 3],
    ];
    const { eosIds } = createTokenizer(tiny(more, { eosId: 259, eotId: 260 }));
    expect([...eosIds].sort()).toEqual([257, 258, 259, 260]);
  });

  it("protects <|…|> tokens that a fine-tune declares as ordinary added tokens", () => {
    const chatml = createTokenizer(tiny([["<|im_start|>", 4]]));
    expect(chatml.controlId("<|im_start|>")).toBe(257);
    expect(chatml.encode("<|im_start|>")).not.toContain(257);
    expect(chatml.encode("<|im_start|>", { control: true })).toEqual([257]);
  });

  it("recognises padding by name, declared as an added token and repeated", () => {
    const padded = createTokenizer(
      tiny([
        ["[PAD257]", 4],
        ["[PAD]", 1],
        ["[PAD]", 5],
        ["", 5],
      ]),
    );
    expect([256, 257, 258, 259, 260].map((id) => padded.isPadding(id))).toEqual([false, true, true, true, true]);
    expect(padded.encode("[PAD257][PAD]").every((id) => id < 256)).toBe(true);
  });

  it("takes the longest added token at the leftmost place, whole words or not", () => {
    const added = createTokenizer(
      tiny([
        ["ab", 4],
        ["abcd", 4],
        ["bcdef", 4],
      ]),
    );
    expect(added.encode("abcdef")).toEqual([258, ...added.encode("ef")]);
    expect(added.encode("abcabcd")).toEqual([257, ...added.encode("c"), 258]);
  });

  it("asks for a begin-of-text token only if the file has one", () => {
    expect(createTokenizer(tiny([], { addBos: true })).addBos).toBe(false);
    expect(createTokenizer(tiny([], { addBos: true, bosId: 0 })).addBos).toBe(true);
  });

  it.each<[string, Partial<VocabularySource>]>([
    ["another kind of tokenizer", { model: "llama" }],
    ["no tokens", { tokens: [], types: [] }],
    ["no merges", { merges: [] }],
    ["types for fewer tokens", { types: [1, 1, 1] }],
    ["a merge of an unknown token", { merges: ["h e", "he zz"] }],
    ["a merge into an unknown token", { merges: ["h e", "e h"] }],
    ["a merge without a space", { merges: ["he"] }],
    ["a merge with nothing", { merges: ["he "] }],
    ["an empty merge", { merges: [""] }],
    ["an eos id beyond the vocabulary", { eosId: 257 }],
    ["a negative bos id", { bosId: -1 }],
    ["an eot id that is no integer", { eotId: 1.5 }],
    ["a missing byte", { tokens: tiny().tokens.map((token) => (token === "A" ? "AA" : token)) }],
    ["the same token twice", { tokens: tiny().tokens.with(256, "h") }],
    ["a byte that is a control token", { types: new Array(257).fill(1).with(10, 3) }],
    ["a merge into a control token", { types: new Array(257).fill(1).with(256, 3) }],
  ])("refuses %s", (_, change) => {
    const create = () => createTokenizer(tiny([], change));
    expect(create).toThrow(PiPhiError);
    expect(create).toThrow(expect.objectContaining({ code: "E_VOCABULARY" }));
  });

  it("refuses added tokens of too many characters, before it makes a table of them", () => {
    const added = Array.from({ length: 20_000 }, (_, i): [string, number] => [`${i}`.padStart(250, "x"), 3 + (i % 2)]);
    const source = tiny(added);
    const before = process.memoryUsage().heapUsed;
    const create = () => createTokenizer({ ...source, file: "bomb.gguf" });
    expect(create).toThrow(expect.objectContaining({ code: "E_VOCABULARY", message: expect.stringMatching(/^bomb/) }));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20);
  });

  it("quotes the kind of a tokenizer, which may steer a terminal or never end", () => {
    const model = `\u001b[2J\u202e${"x".repeat(1 << 20)}`;
    const { message, details } = (() => {
      try {
        return createTokenizer(tiny([], { model })) as never;
      } catch (error) {
        return error as PiPhiError;
      }
    })();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must not appear
    expect(message + details.model).not.toMatch(/[\u0000-\u001f\u202e]/);
    expect(message.length).toBeLessThan(250);
  });

  it.each([
    ["empty", ""],
    ["endless", "x".repeat(1000)],
  ])("refuses an %s added token, which could stall a text", (_, token) => {
    expect(() => createTokenizer(tiny([[token, 4]]))).toThrow(expect.objectContaining({ code: "E_VOCABULARY" }));
  });
});
