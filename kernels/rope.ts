/**
 * Rotary position embedding of one head, in place, NeoX pairs: dimensions i and i + rotary/2 turn together for
 * i < rotary/2; the rest of the head stays as it is.
 * `table` f32[rows][rotary/2][cos, sin], of which the row `index` counts: a row a token, not a position, so that
 * positions may go on where the cache begins anew (roll.ts).
 */
export function rotate(head: usize, rotary: usize, table: usize, index: usize): void {
  const half = rotary << 1;
  let entry = table + index * (rotary << 2);
  for (let i: usize = 0; i < half; i += 4) {
    const a = load<f32>(head + i), b = load<f32>(head + half + i);
    const cos = load<f32>(entry), sin = load<f32>(entry, 4);
    store<f32>(head + i, a * cos - b * sin);
    store<f32>(head + half + i, b * cos + a * sin);
    entry += 8;
  }
}
