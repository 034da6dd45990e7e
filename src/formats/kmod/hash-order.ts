/**
 * The order in which kmod's hash tables are walked. Index files list in it what has no other order: symbols, and modules that `modules.order`
 * does not name. Source: kmod, shared/hash.c, whose function is Paul Hsieh's SuperFastHash with other constants.
 */

/** By the `bucketCount` (a power of two) buckets of the table, and within one by bytes. The names must differ. */
export function inHashOrder(names: readonly string[], bucketCount: number): string[] {
  const buckets: string[][] = Array.from({ length: bucketCount }, () => []);
  for (const name of names) buckets[hashOf(name) & (bucketCount - 1)]!.push(name);
  return buckets.flatMap((bucket) => bucket.sort());
}

/** As a little-endian machine whose characters are signed computes it: kmod reads pairs of bytes in the order of its machine. */
export function hashOf(name: string): number {
  const end = name.length & ~3;
  let hash = name.length;
  for (let at = 0; at < end; at += 4) {
    hash = (hash + pairAt(name, at)) | 0;
    const mixed = (pairAt(name, at + 2) << 11) ^ hash;
    hash = (hash << 16) ^ mixed;
    hash = (hash + (hash >>> 11)) | 0;
  }
  switch (name.length & 3) {
    case 3:
      hash = (hash + pairAt(name, end)) | 0;
      hash ^= hash << 16;
      hash ^= signedAt(name, end + 2) << 18;
      hash = (hash + (hash >>> 11)) | 0;
      break;
    case 2:
      hash = (hash + pairAt(name, end)) | 0;
      hash ^= hash << 11;
      hash = (hash + (hash >>> 17)) | 0;
      break;
    case 1:
      hash = (hash + signedAt(name, end)) | 0;
      hash ^= hash << 10;
      hash = (hash + (hash >>> 1)) | 0;
      break;
  }
  hash ^= hash << 3;
  hash = (hash + (hash >>> 5)) | 0;
  hash ^= hash << 4;
  hash = (hash + (hash >>> 17)) | 0;
  hash ^= hash << 25;
  return (hash + (hash >>> 6)) >>> 0;
}

function pairAt(name: string, at: number): number {
  return name.charCodeAt(at) | (name.charCodeAt(at + 1) << 8);
}

function signedAt(name: string, at: number): number {
  return (name.charCodeAt(at) << 24) >> 24;
}
