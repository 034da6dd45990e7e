/** How often each byte value comes: a quick look at whether content is compressed already. */

/**
 * Whether all byte values are about equally frequent. For such counts c of n bytes the entropy is short of 8 bits by (256 * sum(c^2) / n^2 - 1) / (2 ln 2):
 * a sum of 1.05 times its least means that Huffman codes would save 0.5 %. Whole numbers only, so that every machine decides the same.
 */
export function isFlat(data: Uint8Array): boolean {
  const counts = new Uint32Array(256);
  for (let index = 0; index < data.length; index++) counts[data[index]!]!++;
  let sum = 0;
  for (const count of counts) sum += count * count;
  return sum * 256 * 100 < data.length * data.length * 105;
}
