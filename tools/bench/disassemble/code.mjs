/** V8's code listings: instructions, what they do as far as counting needs it, and natural loops. */

/**
 * @typedef {object} Instruction
 * @property {number} address
 * @property {string} op mnemonic
 * @property {string} args operands, as V8 prints them
 */

const HEADER = "--- WebAssembly code ---";
const LINE = /^0x([0-9a-f]+) +[0-9a-f]+ +[0-9a-f]+ +(?:REX\.W +)?(\S+) *(.*)$/gm;

/** Every optimized function of a listing (`--print-wasm-code`) by its index. */
export function parseListing(text) {
  const functions = new Map();
  for (const part of text.split(HEADER).slice(1)) {
    const index = /^index: (\d+)$/m.exec(part);
    if (!index || !/^compiler: TurboFan$/m.test(part)) continue;
    const instructions = [...part.matchAll(LINE)].map(([, address, op, args]) => {
      return { address: Number.parseInt(address, 16), op, args: args.trim() };
    });
    functions.set(Number(index[1]), instructions);
  }
  return functions;
}

const isCall = ({ op }) => /^(call|blr?)$/.test(op);
const isEnd = ({ op }) => /^(ret\w*|jmp|b|br|int3l?|ud2|brk|udf)$/.test(op);
const isBranch = ({ op }) => /^(j[a-z]+|b|b\.[a-z]+|cbn?z|tbn?z)$/.test(op);
const isPadding = ({ op }) => op === "nop" || /^nop\b/.test(op);

function targetOf({ args }) {
  const found = /addr 0x([0-9a-f]+)/.exec(args) ?? /^0x([0-9a-f]+)/.exec(args);
  return found ? Number.parseInt(found[1], 16) : undefined;
}

/** Basic blocks as { from, to, next } over indices of instructions; `to` is behind the last. */
function basicBlocks(instructions) {
  const indexOf = new Map(instructions.map(({ address }, i) => [address, i]));
  const starts = new Set([0]);
  for (const [i, instruction] of instructions.entries()) {
    if (!isBranch(instruction) && !isEnd(instruction)) continue;
    starts.add(i + 1);
    const target = isBranch(instruction) ? indexOf.get(targetOf(instruction)) : undefined;
    if (target !== undefined) starts.add(target);
  }
  const order = [...starts].filter((i) => i < instructions.length).sort((a, b) => a - b);
  const blockAt = new Map(order.map((from, block) => [from, block]));
  return order.map((from, block) => {
    const to = order[block + 1] ?? instructions.length;
    const last = instructions[to - 1];
    const next = [];
    if (!isEnd(last) && block + 1 < order.length) next.push(block + 1);
    const target = isBranch(last) ? blockAt.get(indexOf.get(targetOf(last))) : undefined;
    if (target !== undefined) next.push(target);
    // A call is what is done once in a while (a stack check that failed) or never (a trap): its block is cold.
    return { from, to, next: instructions.slice(from, to).some(isCall) ? [] : next };
  });
}

/** For every block that is reached from the first one, the set of blocks that every way to it passes. */
function dominators(blocks) {
  const order = [];
  const seen = new Set();
  const visit = (block) => {
    seen.add(block);
    for (const next of blocks[block].next) if (!seen.has(next)) visit(next);
    order.unshift(block);
  };
  visit(0);
  const before = new Map(order.map((block) => [block, []]));
  for (const block of order) for (const next of blocks[block].next) before.get(next).push(block);
  const passed = new Map(order.map((block) => [block, new Set(block === 0 ? [0] : order)]));
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of order.slice(1)) {
      const [first, ...others] = before.get(block).map((each) => passed.get(each));
      const common = new Set([...first].filter((each) => others.every((other) => other.has(each)))).add(block);
      changed ||= common.size !== passed.get(block).size;
      passed.set(block, common);
    }
  }
  return { passed, before };
}

/**
 * The natural loops of a function: backward jumps to a block that every way to the jump passes, and all between.
 * Cold blocks and padding are left out. Each is { header, blocks, instructions }, smallest first.
 */
export function findLoops(instructions) {
  const blocks = basicBlocks(instructions);
  const { passed, before } = dominators(blocks);
  const loops = new Map();
  for (const block of passed.keys()) {
    for (const header of blocks[block].next.filter((next) => passed.get(block).has(next))) {
      const members = loops.get(header) ?? new Set([header]);
      const open = [block];
      while (open.length > 0) {
        const each = open.pop();
        if (members.has(each)) continue;
        members.add(each);
        open.push(...before.get(each));
      }
      loops.set(header, members);
    }
  }
  return [...loops]
    .map(([header, members]) => {
      const inOrder = [...members].sort((a, b) => a - b);
      const code = inOrder.flatMap((block) => instructions.slice(blocks[block].from, blocks[block].to));
      return { header, blocks: members, instructions: code.filter((each) => !isPadding(each)) };
    })
    .sort((a, b) => a.instructions.length - b.instructions.length);
}

/** Whether an instruction reads or writes the function's own frame. */
export const touchesStack = ({ op, args }) => {
  if (/^(cmp|lea)/.test(op)) return false; // x64's stack check compares rsp with the limit
  return /\[(rsp|rbp|sp|fp)\b/.test(args);
};
const VECTOR = /\b(?:[xy]mm\d+|[qv]\d+)/;
/** Whether it moves a vector to or from the frame. */
export const spillsVector = (instruction) => touchesStack(instruction) && VECTOR.test(instruction.args);

/** Whether it fills a vector with one number from memory. */
export const isBroadcast = ({ op, args }) => /^(vbroadcastss|vpbroadcastd|ld1r)$/.test(op) && args.includes("[");

/** Whether it multiplies integers in vectors. */
export const isProduct = ({ op }) => /^(vp?madd|pmadd|vpdp|[su]dot|[su]ml?ull?2?|[su]mlal2?|smull2?)/.test(op);

/** Bytes that an instruction loads from memory, not the frame, into a vector; 0 for all others and for broadcasts. */
export function vectorLoadBytes(instruction) {
  const { op, args } = instruction;
  if (touchesStack(instruction) || isBroadcast(instruction) || !args.includes("[")) return 0;
  const [first, source] = [args.split(/[,\s]/)[0].replace(/[{}]/g, ""), args.split(",").slice(1).join(",")];
  if (!source.includes("[") || /^(str|stp|stur|st1)/.test(op)) return 0; // a store on x64 names memory first
  const width = { x: 16, y: 32, q: 16, d: 8 }[/^[xy]mm\d|^[qd]\d/.exec(first)?.[0][0]] ?? 0;
  if (/^v?movs[sd]$|^v(mul|add|sub)s[sd]$/.test(op)) return 0;
  return /^v?pmov[sz]x(bw|wd|dq)$/.test(op) ? width / 2 : width;
}
