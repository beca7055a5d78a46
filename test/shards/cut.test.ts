/** Shares of a model's weights: together they are all of it, and each reads what is its own. */

import { expect, test } from "vitest";
import type { ByteSource, Device } from "../../runtime/device.ts";
import { cutWeights, mostShares, shareOf } from "../../runtime/shards/cut.ts";
import type { Model } from "../../runtime/weights/model.ts";
import { type Linear, shapeOf, type WeightShape } from "../../runtime/weights/shape.ts";
import { TILE_ROWS } from "../../runtime/weights/tiles.ts";

const config = {
  ...{ hiddenSize: 192, intermediateSize: 768, layers: 2, heads: 4, headDim: 48, rotaryDim: 32, ropeBase: 10_000 },
  ...{ layerNormEpsilon: 1e-5, contextLength: 64, vocabSize: 333 },
};

function shape(qkv: readonly ("q4" | "q8")[]): WeightShape {
  const layer = { qkv, attnOutput: "q4", ffnUp: "q8", ffnDown: "q4m" } as const;
  return shapeOf(config, { layers: [layer, layer], output: "q4", embedding: { type: 2, rowBytes: 108 } });
}

const linears = ({ layers, output }: WeightShape): Linear[] => {
  return [...layers.flatMap(({ qkv, ffnUp, attnOutput, ffnDown }) => [qkv, ffnUp, attnOutput, ffnDown]), output];
};

test.each([
  ["one matrix for q, k and v", ["q4"], 2],
  ["three", ["q4", "q8", "q4"], 2],
  ["three shares", ["q4"], 3],
  ["as many as there can be", ["q4", "q4", "q8"], 6],
] as const)("every row is in one share: %s", (_, qkv, count) => {
  const whole = shape(qkv);
  expect(mostShares(whole)).toBeGreaterThanOrEqual(count);
  const shares = Array.from({ length: count }, (_, index) => cutWeights(whole, { index, count }).shape);
  linears(whole).forEach((linear, i) => {
    const owners = new Uint8Array(linear.parts.reduce((sum, { rows }) => sum + rows, 0));
    for (const share of shares) {
      const { parts, ...others } = linears(share)[i];
      expect(others).toEqual({ k: linear.k, n: linear.n, bias: linear.bias });
      for (const { firstRow, rows } of parts) {
        expect(rows).toBeGreaterThan(0);
        expect(firstRow % TILE_ROWS).toBe(0);
        for (let row = firstRow; row < firstRow + rows; row++) owners[row]++;
      }
    }
    expect(owners.every((owner) => owner === 1)).toBe(true);
  });
  expect(shares[0].embedding.bytes).toBe(whole.embedding.bytes);
  expect(shares[1].embedding.bytes).toBe(0);
});

test("a share's file has the bytes of its matrices, where its shape says", () => {
  const whole = shape(["q4", "q8", "q4"]);
  const dataOffset = 1000;
  const file = new Uint8Array(dataOffset + whole.bytes);
  for (let i = 0; i < file.length; i++) file[i] = (i * 7 + (i >> 8) * 13) & 255;
  let open = 0;
  const opened = (name: string): ByteSource => {
    open++;
    return {
      name,
      size: file.length,
      read: (offset, into) => into.set(file.subarray(offset, offset + into.length)),
      close: () => void open--,
    };
  };
  const model = { shape: whole, weights: { pack: { dataOffset, shape: whole } } } as unknown as Model;
  const device = { open: opened } as unknown as Device;
  const share = shareOf(device, model, { index: 1, count: 3 });
  expect(share.model.weights.pack).toMatchObject({ dataOffset: 0, shape: share.model.shape });
  const source = share.device.open("pack");
  const all = new Uint8Array(source.size);
  for (let at = 0; at < all.length; at += 50_000) source.read(at, all.subarray(at, at + 50_000));
  linears(whole).forEach((linear, i) => {
    linears(share.model.shape)[i].parts.forEach(({ offset, bytes, firstRow, rows }, part) => {
      const from = linear.parts[part];
      const rowBytes = from.bytes / from.rows;
      const start = dataOffset + from.offset + (firstRow - from.firstRow) * rowBytes;
      expect(bytes).toBe(rows * rowBytes);
      expect(Buffer.compare(all.subarray(offset, offset + bytes), file.subarray(start, start + bytes))).toBe(0);
    });
  });
  expect(
    Buffer.compare(all.subarray(0, whole.vectors.bytes), file.subarray(dataOffset, dataOffset + whole.vectors.bytes)),
  ).toBe(0);
  source.close();
  expect(open).toBe(0);
});
