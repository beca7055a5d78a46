/**
 * Phi-2's tokenizer: GPT-2's byte-level BPE, preceded by the added tokens (runs of spaces and tabs) of CodeGen.
 *
 *   text ── added tokens, longest match ── pre-tokenizer ── UTF-8 bytes ── merges, lowest rank first ── ids
 *
 * `@huggingface/tokenizers` 0.2.0 was tried and not taken: it makes control tokens of their names in any text, does not
 * give the bytes of an id, reads `\s` as JavaScript does (other ids around U+FEFF), takes 930 ms for a word of 100 KB that
 * takes 50 ms here (x86-64, Node 20, best of five), and adds 37 KB to a bundle where this file adds 6 KB.
 */

import { type ErrorDetails, PiPhiError } from "../errors.ts";
import { printable, quote } from "../weights/faults.ts";
import { MergeTable } from "./bpe.ts";

/** What a GGUF file states under `tokenizer.ggml.*`. */
export interface VocabularySource {
  /** The file's name, for messages. */
  file?: string;
  /** `model`; must be "gpt2". */
  model: string;
  /** The text of each id: in the byte alphabet for normal tokens, as it is for control and user-defined ones. */
  tokens: readonly string[];
  /** `token_type`, one for each token: see TokenType. */
  types: ArrayLike<number>;
  /** "left right", most important first. */
  merges: readonly string[];
  bosId?: number;
  eosId?: number;
  eotId?: number;
  /** Whether prompts begin with `bosId`. */
  addBos?: boolean;
}

export interface EncodeOptions {
  /** Recognise the names of control tokens. Only for text that a template wrote, never for what a user did. */
  control?: boolean;
}

export interface Tokenizer {
  readonly vocabSize: number;
  /** Ids that end an answer: the file's eos and eot, `<|endoftext|>` and `<|im_end|>` where they are control tokens. */
  readonly eosIds: ReadonlySet<number>;
  readonly bosId: number | undefined;
  /** Whether prompts begin with `bosId`; `encodeParts` sees to it. */
  readonly addBos: boolean;
  encode(text: string, options?: EncodeOptions): number[];
  /** The text of a sequence. Control tokens and padding have none; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: readonly number[]): string;
  /** The bytes that an id stands for; none for control tokens and padding. */
  bytes(id: number): Uint8Array;
  /** Each id by itself, for display: control tokens and padding show their names. */
  pieces(ids: readonly number[]): string[];
  /** Rows of the embedding that stand for no text and must never be sampled. */
  isPadding(id: number): boolean;
  /** The id of a control token by its name. */
  controlId(name: string): number | undefined;
  /** The names of all control tokens, longer ones first. */
  controlNames(): string[];
}

/** ggml's numbers in `tokenizer.ggml.token_type`; all others (unknown, byte) are treated as normal here. */
export const TokenType = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** GPT-2's rule with Unicode's own white space: JavaScript's `\s` lacks U+0085 and adds U+FEFF. */
const PRE_TOKENIZER =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Converters name the unused rows of the embedding so, older ones with the type of an added token. */
const PADDING_NAME = /^\[PAD\d*\]$/;
/** Fine-tunes often declare ChatML's tokens as ordinary added tokens; a user must not be able to write those either. */
const CONTROL_NAME = /^<\|.*\|>$/s;
/** Bounds the work for each character of a text; CodeGen's longest added token has 31. */
const MAX_ADDED_LENGTH = 256;
/** Bounds the memory that they take, up to 600 bytes for each; CodeGen's have 600 characters together. */
const MAX_ADDED_CHARACTERS = 1 << 16;
const MAX_QUOTED_LENGTH = 80;

/**
 * Builds the tokenizer of a file. The file's own pre-tokenizer name is ignored: Phi-2 files older than 2024 lack it.
 * Throws E_VOCABULARY if the vocabulary is absent, of another kind, or contradicts itself.
 */
export function createTokenizer(source: VocabularySource): Tokenizer {
  try {
    return new ByteLevelTokenizer(checked(source));
  } catch (error) {
    if (!(error instanceof PiPhiError) || source.file === undefined) throw error;
    const { file } = source;
    throw new PiPhiError(error.code, `${file}: ${error.message}`, { file, ...error.details });
  }
}

/** What is seen before any work is done: the kind of the tokenizer, and how much there is of it. */
function checked(source: VocabularySource): VocabularySource {
  const { model, tokens, types, merges } = source;
  if (model !== "gpt2") {
    const details = { model: printable(model, MAX_QUOTED_LENGTH) };
    const remedy = "Use a file of a Phi model.";
    throw invalid(`The tokenizer is of kind ${quote(model)}, but Phi-2's is "gpt2"`, details, remedy);
  }
  if (!tokens?.length || !merges?.length) {
    const details = { tokens: tokens?.length ?? 0, merges: merges?.length ?? 0 };
    throw invalid("The file holds no tokens or no merges", details, "Use a GGUF file that contains its tokenizer.");
  }
  let characters = 0;
  for (let id = 0; id < tokens.length; id++) {
    const added = types?.[id] === TokenType.control || types?.[id] === TokenType.userDefined;
    if (added && !isPaddingName(tokens[id])) characters += tokens[id].length;
  }
  if (characters <= MAX_ADDED_CHARACTERS) return source;
  throw invalid(`The added tokens have ${characters} characters, but only ${MAX_ADDED_CHARACTERS} are allowed`, {
    characters,
  });
}

/** Whether a converter means an unused row of the embedding by this name. */
export function isPaddingName(token: string): boolean {
  return PADDING_NAME.test(token);
}

class ByteLevelTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly eosIds: ReadonlySet<number>;
  readonly bosId: number | undefined;
  readonly addBos: boolean;
  readonly #tokens: readonly string[];
  readonly #types: Uint8Array;
  readonly #control = new Map<string, number>();
  readonly #added = new Trie();
  readonly #addedOrControl = new Trie();
  readonly #byteIds: Int32Array;
  readonly #merges: MergeTable;

  constructor(source: VocabularySource) {
    this.vocabSize = source.tokens.length;
    this.#tokens = source.tokens;
    this.#types = classify(source);
    const ids = indexTokens(source.tokens, this.#types);
    for (const [token, id] of ids) this.#register(token, id);
    this.#byteIds = findByteIds(ids, this.#types);
    this.#merges = readMerges(source.merges, ids, this.#types);
    this.bosId = checkedId("bos", source.bosId, this.vocabSize);
    this.addBos = source.addBos === true && this.bosId !== undefined;
    const eos = [
      checkedId("eos", source.eosId, this.vocabSize),
      checkedId("eot", source.eotId, this.vocabSize),
      this.controlId("<|endoftext|>"),
      this.controlId("<|im_end|>"),
    ];
    this.eosIds = new Set(eos.filter((id) => id !== undefined));
  }

  #register(token: string, id: number): void {
    const type = this.#types[id];
    if (type !== TokenType.control && type !== TokenType.userDefined) return;
    if (token.length === 0 || token.length > MAX_ADDED_LENGTH) {
      throw invalid(`Added token ${id} has ${token.length} characters. It must have 1 to ${MAX_ADDED_LENGTH}`, { id });
    }
    this.#addedOrControl.add(token, id);
    if (type === TokenType.control) this.#control.set(token, id);
    else this.#added.add(token, id);
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const added = options.control ? this.#addedOrControl : this.#added;
    const ids: number[] = [];
    let start = 0;
    for (let i = 0; i < text.length; ) {
      const match = added.longestMatch(text, i);
      if (match === undefined) {
        i++;
        continue;
      }
      this.#encodeWords(text.slice(start, i), ids);
      ids.push(match.id);
      start = i += match.length;
    }
    this.#encodeWords(text.slice(start), ids);
    return ids;
  }

  #encodeWords(text: string, into: number[]): void {
    for (const [word] of text.matchAll(PRE_TOKENIZER)) {
      const bytes = utf8.encode(word);
      const symbols = new Int32Array(bytes.length);
      for (let i = 0; i < bytes.length; i++) symbols[i] = this.#byteIds[bytes[i]];
      const length = this.#merges.apply(symbols);
      for (let i = 0; i < length; i++) into.push(symbols[i]);
    }
  }

  decode(ids: readonly number[]): string {
    const detokenizer = new Detokenizer(this);
    return ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
  }

  bytes(id: number): Uint8Array {
    this.#check(id);
    const type = this.#types[id];
    if (type === TokenType.control || type === TokenType.unused) return new Uint8Array();
    return bytesOf(this.#tokens[id], type);
  }

  pieces(ids: readonly number[]): string[] {
    return ids.map((id) => {
      this.#check(id);
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(this.#tokens[id], this.#types[id]));
    });
  }

  isPadding(id: number): boolean {
    return this.#types[id] === TokenType.unused;
  }

  controlId(name: string): number | undefined {
    return this.#control.get(name);
  }

  controlNames(): string[] {
    return [...this.#control.keys()].sort((a, b) => b.length - a.length);
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabSize) return;
    throw new PiPhiError("E_USAGE", `There is no token ${id}. Use ids from 0 to ${this.vocabSize - 1}.`, {
      id,
      vocabSize: this.vocabSize,
    });
  }
}

/** Turns ids into text as they come. What it returns, joined, equals `decode` of all ids. */
export class Detokenizer {
  readonly #tokenizer: Pick<Tokenizer, "bytes">;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(tokenizer: Pick<Tokenizer, "bytes">) {
    this.#tokenizer = tokenizer;
  }

  /** The text that is complete now; the bytes of an unfinished character are held back. */
  push(id: number): string {
    return this.#decoder.decode(this.#tokenizer.bytes(id), { stream: true });
  }

  /** What was held back, as U+FFFD; the next push starts afresh. */
  flush(): string {
    return this.#decoder.decode();
  }
}

const utf8 = new TextEncoder();

/** GPT-2's byte alphabet: printable Latin-1 bytes stand for themselves, the 68 others for U+0100 onwards. */
const BYTE_TO_CHAR: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  if ((byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)) return String.fromCharCode(byte);
  const before = byte <= 0x20 ? byte : byte <= 0xa0 ? byte - 0x7f + 0x21 : 0x43;
  return String.fromCharCode(0x100 + before);
});
const CHAR_TO_BYTE: ReadonlyMap<string, number> = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

/** A normal token is spelled in the byte alphabet; all others, and normal ones that are not, are plain text. */
function bytesOf(token: string, type: number): Uint8Array {
  if (type !== TokenType.normal) return utf8.encode(token);
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = CHAR_TO_BYTE.get(token[i]);
    if (byte === undefined) return utf8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}

/** The file's token types, with padding and control tokens recognised by name where the converter did not say so. */
function classify({ tokens, types }: VocabularySource): Uint8Array {
  if (types?.length !== tokens.length) {
    throw invalid(`The file holds ${tokens.length} tokens but ${types?.length ?? 0} token types`, {
      tokens: tokens.length,
      types: types?.length ?? 0,
    });
  }
  return Uint8Array.from(types, (type, id) => {
    if (isPaddingName(tokens[id])) return TokenType.unused;
    if (type === TokenType.userDefined && CONTROL_NAME.test(tokens[id])) return TokenType.control;
    return type === TokenType.control || type === TokenType.userDefined || type === TokenType.unused
      ? type
      : TokenType.normal;
  });
}

/** Token to id. Padding is left out: no text leads to it, and files repeat its name. */
function indexTokens(tokens: readonly string[], types: Uint8Array): Map<string, number> {
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) {
    if (types[id] === TokenType.unused) continue;
    const first = ids.get(tokens[id]);
    if (first !== undefined) throw invalid(`Tokens ${first} and ${id} are the same`, { first, second: id });
    ids.set(tokens[id], id);
  }
  return ids;
}

function findByteIds(ids: ReadonlyMap<string, number>, types: Uint8Array): Int32Array {
  return Int32Array.from(BYTE_TO_CHAR, (char, byte) => {
    const id = ids.get(char);
    if (id === undefined || types[id] !== TokenType.normal)
      throw invalid(`There is no token for byte ${byte}`, { byte });
    return id;
  });
}

function readMerges(merges: readonly string[], ids: ReadonlyMap<string, number>, types: Uint8Array): MergeTable {
  const table = new MergeTable(types.length, merges.length);
  const idOf = (token: string, rank: number): number => {
    const id = ids.get(token);
    // Joining nothing would never end, and a merge that made a control token would let plain text become one.
    if (token !== "" && id !== undefined && types[id] === TokenType.normal) return id;
    throw invalid(`Merge ${rank} names a token that is not a normal one of the vocabulary`, { merge: rank });
  };
  for (let rank = 0; rank < merges.length; rank++) {
    const space = merges[rank].indexOf(" ", 1);
    const left = merges[rank].slice(0, Math.max(space, 0));
    const right = merges[rank].slice(space + 1);
    table.add(idOf(left, rank), idOf(right, rank), idOf(left + right, rank));
  }
  return table;
}

function checkedId(role: string, id: number | undefined, vocabSize: number): number | undefined {
  if (id === undefined || (Number.isInteger(id) && id >= 0 && id < vocabSize)) return id;
  throw invalid(`The ${role} token is ${id}, but there are ${vocabSize} tokens`, { role, id, vocabSize });
}

function invalid(problem: string, details: ErrorDetails, remedy = "Download or convert the file again."): PiPhiError {
  return new PiPhiError("E_VOCABULARY", `${problem}. ${remedy}`, details);
}

interface TrieNode {
  id: number | undefined;
  readonly next: Map<number, TrieNode>;
}

/** Finds the longest of a set of tokens at a position of a text. */
class Trie {
  readonly #root: TrieNode = { id: undefined, next: new Map() };

  add(token: string, id: number): void {
    let node = this.#root;
    for (let i = 0; i < token.length; i++) {
      const code = token.charCodeAt(i);
      let child = node.next.get(code);
      if (child === undefined) node.next.set(code, (child = { id: undefined, next: new Map() }));
      node = child;
    }
    node.id = id;
  }

  longestMatch(text: string, start: number): { id: number; length: number } | undefined {
    let match: { id: number; length: number } | undefined;
    let node = this.#root.next.get(text.charCodeAt(start));
    for (let end = start + 1; node !== undefined; end++) {
      if (node.id !== undefined) match = { id: node.id, length: end - start };
      node = node.next.get(text.charCodeAt(end));
    }
    return match;
  }
}
