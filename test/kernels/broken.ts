/**
 * Kernels broken on purpose: one instruction of a compiled function, or of one it calls, is replaced by another of the
 * same type, or its address, lane or constant is changed. Only what computes with vectors and floats is touched, never
 * the integers that count loops, so that every broken kernel still ends.
 */

interface Instruction {
  /** Opcode; 0xfd00 + number for vector instructions. */
  op: number;
  /** Where the opcode's own bytes begin (behind the 0xfd prefix) and where its immediates do. */
  opAt: number;
  immediatesAt: number;
  end: number;
  /** Index of the function that a `call` calls. */
  callee?: number;
}

class Reader {
  constructor(
    readonly bytes: Uint8Array,
    public at: number,
  ) {}

  leb(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  advance(count: number): void {
    for (let i = 0; i < count; i++) this.leb();
  }
}

const SECTION = { import: 2, export: 7, code: 10 };

/** The index of each exported function, and where each function's body lies. */
function readModule(bytes: Uint8Array): { exports: Map<string, number>; bodies: Map<number, [number, number]> } {
  const r = new Reader(bytes, 8);
  const name = () => {
    const length = r.leb();
    r.at += length;
    return new TextDecoder().decode(bytes.subarray(r.at - length, r.at));
  };
  const exports = new Map<string, number>();
  const bodies = new Map<number, [number, number]>();
  let imported = 0;
  while (r.at < bytes.length) {
    const id = bytes[r.at++];
    const size = r.leb();
    const next = r.at + size;
    if (id === SECTION.import || id === SECTION.export || id === SECTION.code) {
      const count = r.leb();
      for (let i = 0; i < count; i++) {
        if (id === SECTION.code) {
          const length = r.leb();
          bodies.set(imported + i, [r.at, r.at + length]);
          r.at += length;
        } else if (id === SECTION.export) {
          const key = name();
          const kind = bytes[r.at++];
          const index = r.leb();
          if (kind === 0) exports.set(key, index);
        } else {
          name();
          name();
          if (bytes[r.at++] === 0) {
            imported++;
            r.advance(1);
          } else r.advance(bytes[r.at] & 1 ? 3 : 2); // memory limits; the kernels import no tables or globals
        }
      }
    }
    r.at = next;
  }
  return { exports, bodies };
}

/** Bytes of the immediates that are no LEB numbers, and how many LEB numbers precede them. */
function immediates(op: number): [lebs: number, bytes: number] {
  if (op >= 0xfd00) {
    const n = op - 0xfd00;
    if (n <= 11 || n === 92 || n === 93) return [2, 0]; // loads and stores
    if (n === 12 || n === 13) return [0, 16]; // v128.const, shuffle
    if (n >= 21 && n <= 34) return [0, 1]; // lanes
    return n >= 84 && n <= 91 ? [2, 1] : [0, 0];
  }
  if (op >= 0x28 && op <= 0x3e) return [2, 0]; // loads and stores
  if (op === 0x43) return [0, 4]; // f32.const
  if (op === 0x44) return [0, 8]; // f64.const
  if (op === 0x11) return [2, 0]; // call_indirect
  const one = [0x02, 0x03, 0x04, 0x0c, 0x0d, 0x10, 0x3f, 0x40, 0x41, 0x42];
  return (op >= 0x20 && op <= 0x24) || one.includes(op) ? [1, 0] : [0, 0];
}

function decode(bytes: Uint8Array, [from, to]: [number, number]): Instruction[] {
  const r = new Reader(bytes, from);
  for (let groups = r.leb(); groups > 0; groups--) r.advance(2); // locals
  const instructions: Instruction[] = [];
  while (r.at < to) {
    const prefix = bytes[r.at++];
    const opAt = r.at;
    if (prefix === 0xfc || prefix === 0xfe || prefix === 0x0e) throw new Error("kernels have no such instructions");
    const op = prefix === 0xfd ? 0xfd00 + r.leb() : prefix;
    const immediatesAt = r.at;
    const [lebs, fixed] = immediates(op);
    const first = lebs > 0 ? r.leb() : 0;
    r.advance(Math.max(0, lebs - 1));
    r.at += fixed;
    const callee = op === 0x10 ? { callee: first } : {};
    instructions.push({ op, opAt: prefix === 0xfd ? opAt : opAt - 1, immediatesAt, end: r.at, ...callee });
  }
  return instructions;
}

const vector = (op: number): number => 0xfd00 + op;

/** What each instruction is replaced by: same operands, same result, another number. */
const REPLACEMENTS: ReadonlyMap<number, number> = new Map([
  ...([
    [0x92, 0x93],
    [0x93, 0x92],
    [0x94, 0x92],
    [0x95, 0x94],
    [0x96, 0x97],
    [0x97, 0x96],
  ] as const), // f32 + - * / min max
  ...(
    [
      [0x4e, 0x50], // v128.and -> or
      [0x8e, 0x91], // i16x8.add -> sub
      [0xae, 0xb1], // i32x4.add -> sub
      [0xb1, 0xae], // i32x4.sub -> add
      [0xba, 0xae], // i32x4.dot_i16x8_s -> add
      [0x8d, 0x8b], // i16x8.shr_u -> shl
      [0xac, 0xad], // i32x4.shr_s -> shr_u
      [0xab, 0xad], // i32x4.shl -> shr_u
      [0xe4, 0xe5], // f32x4.add -> sub
      [0xe5, 0xe4], // f32x4.sub -> add
      [0xe6, 0xe4], // f32x4.mul -> add
      [0xe7, 0xe6], // f32x4.div -> mul
      [0xe8, 0xe9], // f32x4.min -> max
      [0xe9, 0xe8], // f32x4.max -> min
      [0xea, 0xeb], // f32x4.pmin -> pmax
      [0xeb, 0xea], // f32x4.pmax -> pmin
      [0xe0, 0xe1], // f32x4.abs -> neg
      [0xfa, 0xfb], // f32x4.convert_i32x4_s -> _u
      [0x112, 0x8e], // i16x8.relaxed_dot -> add
      [0x113, 0x52], // i32x4.relaxed_dot_add -> bitselect
    ] as const
  ).map(([from, to]) => [vector(from), vector(to)] as const),
]);

/** One changed place: [position, new byte] pairs, and what it was, for reports. */
export interface Mutation {
  what: string;
  changes: readonly (readonly [at: number, byte: number])[];
}

/** A LEB number in exactly as many bytes as there were. */
function lebChanges(at: number, end: number, value: number): [number, number][] {
  return Array.from({ length: end - at }, (_, i) => {
    return [at + i, ((value >> (7 * i)) & 0x7f) | (at + i + 1 < end ? 0x80 : 0)];
  });
}

const isVectorLoad = (op: number): boolean => op >= vector(0) && op <= vector(11);

function mutationOf(bytes: Uint8Array, { op, opAt, immediatesAt, end }: Instruction): Mutation | undefined {
  const replacement = REPLACEMENTS.get(op);
  if (replacement !== undefined) {
    const changes = lebChanges(opAt, immediatesAt, replacement & 0xff00 ? replacement - 0xfd00 : replacement);
    const scalar: [number, number][] = [[opAt, replacement]];
    return { what: `${op.toString(16)} -> ${replacement.toString(16)}`, changes: op < 0xfd00 ? scalar : changes };
  }
  if (isVectorLoad(op) || op === 0x2a || op === 0x38) {
    // The last byte of a short offset; v128 and f32, loads and stores.
    if (end - immediatesAt !== 2) return undefined;
    return { what: `${op.toString(16)} address`, changes: [[end - 1, (bytes[end - 1] ^ 4) & 0x7f]] };
  }
  if (op === vector(12)) {
    return { what: "v128.const", changes: [0, 4, 8, 12].flatMap((lane) => otherFloat(bytes, immediatesAt + lane)) };
  }
  if (op === vector(13)) return { what: "shuffle", changes: [[immediatesAt, bytes[immediatesAt] ^ 1]] };
  if (op === 0x43) return { what: "f32.const", changes: otherFloat(bytes, immediatesAt) };
  return undefined;
}

/** Half or twice an f32 (the lowest bit of its exponent changes); 1 for 0. */
function otherFloat(bytes: Uint8Array, at: number): [number, number][] {
  const one: [number, number][] = [
    [at + 2, 0x80],
    [at + 3, 0x3f],
  ];
  const isZero = bytes.subarray(at, at + 4).every((byte) => byte === 0);
  return isZero ? one : [[at + 2, bytes[at + 2] ^ 0x80]];
}

/** All mutations of an exported function and of the functions it calls. */
export function mutationsOf(bytes: Uint8Array, name: string): Mutation[] {
  const { exports, bodies } = readModule(bytes);
  const reached = new Set([exports.get(name)!]);
  const mutations: Mutation[] = [];
  for (const index of reached) {
    const body = bodies.get(index);
    if (!body) continue; // an import
    for (const instruction of decode(bytes, body)) {
      if (instruction.callee !== undefined) reached.add(instruction.callee);
      const mutation = mutationOf(bytes, instruction);
      if (mutation) mutations.push(mutation);
    }
  }
  return mutations;
}

export function mutate(bytes: Uint8Array, { changes }: Mutation): Uint8Array {
  const copy = bytes.slice();
  for (const [at, byte] of changes) copy[at] = byte;
  return copy;
}
