/** Names of symbols as numbers: a tree of modules says the same ones hundreds of thousands of times. */
import { invalid } from '../../errors.ts';
import { byteTextOf } from './byte-text.ts';

/** All different names together, bytes: a hundred times those of a distribution's kernel. */
const MAX_BYTES: number = 64 << 20;

/** Longer ones are refused, bytes; Linux stops at 512 (KSYM_NAME_LEN). */
const MAX_NAME = 1024;

/** Numbers count from 0 in the order of first use. */
export class NamePool {
  #bytes = new Uint8Array(1 << 16);
  #used = 0;
  /** Where each name begins; it ends where the next begins. */
  #starts = new Int32Array(1 << 12);
  #count = 0;
  /** Open addressing: number + 1, 0 is free. */
  #table = new Int32Array(1 << 13);

  /** How many names there are. */
  get size(): number {
    return this.#count;
  }

  /** The number of the name from `start` up to a NUL or the end of `data`. Throws `invalid-input` for endless names, and too many. */
  add(data: Uint8Array, start: number): number {
    let hash = HASH_START;
    let end = start;
    for (; end < data.length; end++) {
      const byte = data[end]!;
      if (byte === 0) break;
      hash = Math.imul(hash ^ byte, HASH_FACTOR);
    }
    if (end - start > MAX_NAME) throw invalid(`a symbol's name of ${end - start} bytes, want at most ${MAX_NAME}`);
    const mask = this.#table.length - 1;
    let slot = mixed(hash) & mask;
    for (let entry = this.#table[slot]!; entry !== 0; entry = this.#table[slot]!) {
      if (this.#isName(entry - 1, data, start, end)) return entry - 1;
      slot = (slot + 1) & mask;
    }
    this.#table[slot] = this.#append(data, start, end) + 1;
    if (this.#count * 2 > this.#table.length) this.#rehash();
    return this.#count - 1;
  }

  nameOf(number: number): string {
    return byteTextOf(this.#bytes.subarray(this.#starts[number], this.#starts[number + 1]));
  }

  #isName(number: number, data: Uint8Array, start: number, end: number): boolean {
    const at = this.#starts[number]!;
    if (this.#starts[number + 1]! - at !== end - start) return false;
    for (let index = start; index < end; index++) {
      if (this.#bytes[at + index - start] !== data[index]) return false;
    }
    return true;
  }

  #append(data: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (this.#used + length > MAX_BYTES) throw invalid(`modules: names of symbols of more than ${MAX_BYTES} bytes`);
    while (this.#used + length > this.#bytes.length)
      this.#bytes = grown(this.#bytes, new Uint8Array(this.#bytes.length * 2));
    if (this.#count + 2 > this.#starts.length)
      this.#starts = grown(this.#starts, new Int32Array(this.#starts.length * 2));
    this.#bytes.set(data.subarray(start, end), this.#used);
    this.#used += length;
    this.#count++;
    this.#starts[this.#count] = this.#used;
    return this.#count - 1;
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    const mask = this.#table.length - 1;
    for (let number = 0; number < this.#count; number++) {
      let hash = HASH_START;
      const end = this.#starts[number + 1]!;
      for (let at = this.#starts[number]!; at < end; at++) hash = Math.imul(hash ^ this.#bytes[at]!, HASH_FACTOR);
      let slot = mixed(hash) & mask;
      while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
      this.#table[slot] = number + 1;
    }
  }
}

function grown<T extends Uint8Array | Int32Array>(old: T, wider: T): T {
  wider.set(old);
  return wider;
}

/** FNV-1a. */
const HASH_START = 0x811c9dc5 | 0;
const HASH_FACTOR = 0x01000193;

/** The table looks at the low bits. */
function mixed(hash: number): number {
  return hash ^ (hash >>> 15);
}
