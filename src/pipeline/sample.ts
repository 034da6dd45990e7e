/** Whether content is compressed already, by a look at some of it: names and magic numbers are not asked. */
import type { Bytes } from '../bytes/bytes.ts';
import { readInto } from '../bytes/read.ts';
import { KIB } from '../bytes/units.ts';

const WINDOW: number = 4 * KIB;
const WINDOWS = 16;

/**
 * True when, in 64 KiB taken evenly from all of `content`, every byte value is about equally frequent. For counts c of n bytes the entropy is short of
 * 8 bits by about (256 * sum(c^2) / n^2 - 1) / (2 ln 2): 1.05 times the least sum means that a compressor would gain 0.5 %. Whole numbers only,
 * so that every machine decides the same. Content of less than 64 KiB is worth a try whatever it is. Throws what reading throws.
 */
export async function seemsCompressed(content: Bytes): Promise<boolean> {
  const size = WINDOW * WINDOWS;
  if (content.size < size) return false;
  const stride = Math.floor(content.size / WINDOWS);
  const sample = new Uint8Array(size);
  await Promise.all(
    Array.from({ length: WINDOWS }, (_, index) =>
      readInto(content, index * stride, sample.subarray(index * WINDOW, (index + 1) * WINDOW)),
    ),
  );
  const counts = new Uint32Array(256);
  for (let index = 0; index < sample.length; index++) counts[sample[index]!]!++;
  const sum = counts.reduce((total, count) => total + count * count, 0);
  return sum * 256 * 100 < size * size * 105;
}
