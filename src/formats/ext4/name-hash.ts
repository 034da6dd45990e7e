/**
 * The hash by which large directories are sorted: half of MD4 over 32 bytes of the name at a time (`half_md4`).
 * Source: Linux `Documentation/filesystems/ext4/directory.rst`, "Hash Tree Directories"; the rounds are those of RFC 1320.
 */
import { viewOf } from '../../bytes/field.ts';

/** Number of the hash in super block and directories. Whether bytes are signed is said by the flags of the volume. */
export const HALF_MD4 = 1;

/** A position in a directory that the kernel keeps for its end. */
const END_OF_DIRECTORY = 0xfffffffe;

/** Four words of 32 bits. */
type State = readonly [number, number, number, number];

const START: State = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];

const CHUNK = 32;

/** RFC 1320's functions and constants, with the order of words and the rotations that are left of its rounds. */
const ROUNDS = [
  {
    mix: (x: number, y: number, z: number): number => z ^ (x & (y ^ z)),
    constant: 0,
    words: [0, 1, 2, 3, 4, 5, 6, 7],
    turns: [3, 7, 11, 19],
  },
  {
    mix: (x: number, y: number, z: number): number => (x & y) + ((x ^ y) & z),
    constant: 0x5a827999,
    words: [1, 3, 5, 7, 0, 2, 4, 6],
    turns: [3, 5, 9, 13],
  },
  {
    mix: (x: number, y: number, z: number): number => x ^ y ^ z,
    constant: 0x6ed9eba1,
    words: [3, 7, 2, 6, 1, 5, 0, 4],
    turns: [3, 9, 11, 15],
  },
] as const;

/** 32 bits whose lowest is 0. `seed` has 16 bytes; all zeros stand for none. Bytes of the name are signed, as on x86. */
export function hashName(name: Uint8Array, seed: Uint8Array): number {
  let state = seed.some((byte) => byte !== 0) ? stateOf(seed) : START;
  const words = new Int32Array(CHUNK / 4);
  for (let at = 0; at < name.length; at += CHUNK) {
    packWords(name, at, words);
    state = transformed(state, words);
  }
  const hash = (state[1] & ~1) >>> 0;
  return hash === END_OF_DIRECTORY ? END_OF_DIRECTORY - 2 : hash;
}

function stateOf(seed: Uint8Array): State {
  const view = viewOf(seed);
  return [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true), view.getUint32(12, true)];
}

/** Up to 32 bytes from `at`, four to a word, the first the highest; places without a byte are filled with the length of the rest. */
function packWords(name: Uint8Array, at: number, words: Int32Array): void {
  const rest = name.length - at;
  const fill = (rest & 0xff) * 0x01010101;
  for (let index = 0; index < words.length; index++) {
    let word = fill;
    for (let byte = index * 4; byte < Math.min(rest, index * 4 + 4); byte++) {
      word = (word << 8) + ((name[at + byte]! << 24) >> 24);
    }
    words[index] = word;
  }
}

function transformed(state: State, words: Int32Array): State {
  let [a, b, c, d] = state;
  for (const { mix, constant, words: order, turns } of ROUNDS) {
    for (let step = 0; step < order.length; step++) {
      const sum = (a + mix(b, c, d) + words[order[step]!]! + constant) | 0;
      const turn = turns[step % 4]!;
      [a, b, c, d] = [d, (sum << turn) | (sum >>> (32 - turn)), b, c];
    }
  }
  return [(state[0] + a) | 0, (state[1] + b) | 0, (state[2] + c) | 0, (state[3] + d) | 0];
}
