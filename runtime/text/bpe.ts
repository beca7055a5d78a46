/** The merges of byte-pair encoding, on ids. */

export class MergeTable {
  readonly #vocabSize: number;
  /** left * vocabSize + right -> rank. */
  readonly #ranks = new Map<number, number>();
  /** rank -> id of left and right joined. */
  readonly #joined: Int32Array;
  #added = 0;

  /** Room for `count` merges of ids below `vocabSize`. */
  constructor(vocabSize: number, count: number) {
    this.#vocabSize = vocabSize;
    this.#joined = new Int32Array(count);
  }

  /** Adds the merge of the next rank. Of a pair that is added twice the first counts. */
  add(left: number, right: number, joined: number): void {
    const pair = left * this.#vocabSize + right;
    const rank = this.#added++;
    this.#joined[rank] = joined;
    if (!this.#ranks.has(pair)) this.#ranks.set(pair, rank);
  }

  /**
   * Merges the pair of the lowest rank, the leftmost of equals, until none is left. Works in place and returns how many
   * ids remain, in O(n log n): a queue holds the candidates, one number each, rank * length + position of the left id.
   * A candidate that another merge has overtaken shows another rank when its turn comes.
   */
  apply(ids: Int32Array): number {
    const length = ids.length;
    const next = new Int32Array(length);
    const previous = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    const rankAt = (left: number) =>
      next[left] < length ? this.#ranks.get(ids[left] * this.#vocabSize + ids[next[left]]) : undefined;
    const queue: number[] = [];
    const offer = (left: number) => {
      const rank = rankAt(left);
      if (rank !== undefined) push(queue, rank * length + left);
    };
    for (let i = 0; i < length; i++) offer(i);
    while (queue.length > 0) {
      const candidate = pop(queue);
      const left = candidate % length;
      const rank = (candidate - left) / length;
      if (rankAt(left) !== rank) continue;
      const right = next[left];
      ids[left] = this.#joined[rank];
      ids[right] = CONSUMED;
      next[left] = next[right];
      if (next[left] < length) previous[next[left]] = left;
      if (previous[left] >= 0) offer(previous[left]);
      offer(left);
    }
    let kept = 0;
    for (let i = 0; i < length; i = next[i]) ids[kept++] = ids[i];
    return kept;
  }
}

/** Marks an id that was merged into its left neighbour; as a left id it makes a pair below 0, which has no rank. */
const CONSUMED = -1;

/** Adds to a binary heap with the smallest number on top. */
function push(heap: number[], value: number): void {
  let hole = heap.push(value) - 1;
  while (hole > 0) {
    const parent = (hole - 1) >> 1;
    if (heap[parent] <= value) break;
    heap[hole] = heap[parent];
    hole = parent;
  }
  heap[hole] = value;
}

/** Removes and returns the smallest number of a heap that is not empty. */
function pop(heap: number[]): number {
  const smallest = heap[0];
  const value = heap.pop()!;
  const length = heap.length;
  if (length === 0) return smallest;
  let hole = 0;
  for (let child = 1; child < length; child = 2 * hole + 1) {
    if (child + 1 < length && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= value) break;
    heap[hole] = heap[child];
    hole = child;
  }
  heap[hole] = value;
  return smallest;
}
