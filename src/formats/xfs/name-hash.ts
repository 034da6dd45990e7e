/** The hash that directories and attributes are sorted by. Source: XFS Algorithms and Data Structures, "Hash Functions" of directories. */

/** 32 bits: the hash so far turned left by 28, and four characters of 7 bits each into the place that came free; the rest likewise. */
export function hashName(name: Uint8Array): number {
  let hash = 0;
  let index = 0;
  for (; index + 4 <= name.length; index += 4) {
    const four = (name[index]! << 21) ^ (name[index + 1]! << 14) ^ (name[index + 2]! << 7) ^ name[index + 3]!;
    hash = four ^ rotateLeft(hash, 28);
  }
  const rest = name.length - index;
  if (rest === 0) return hash >>> 0;
  let tail = 0;
  for (; index < name.length; index++) tail = (tail << 7) ^ name[index]!;
  return (tail ^ rotateLeft(hash, 7 * rest)) >>> 0;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
