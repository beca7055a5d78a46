/**
 * Rotary position embedding of one head, in place, NeoX pairs: dimensions i and i + rotary/2 turn together for
 * i < rotary/2; the rest of the head stays as it is.
 * `table` f32[position][rotary/2][cos, sin].
 */
export function rotate(head: usize, rotary: usize, table: usize, position: usize): void {
  const half = rotary << 1;
  let entry = table + position * (rotary << 2);
  for (let i: usize = 0; i < half; i += 4) {
    const a = load<f32>(head + i), b = load<f32>(head + half + i);
    const cos = load<f32>(entry), sin = load<f32>(entry, 4);
    store<f32>(head + i, a * cos - b * sin);
    store<f32>(head + half + i, b * cos + a * sin);
    entry += 8;
  }
}
