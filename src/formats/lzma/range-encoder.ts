/** The binary range encoder of LZMA: 32-bit range, carry resolved by holding back a run of 0xFF bytes. */
import { ADAPTION_SHIFT, PROBABILITY_BITS, TOP_RANGE } from './model.ts';

const CARRY = 0x100000000;

export class RangeEncoder {
  readonly #probabilities: Uint16Array;
  #output: Uint8Array;
  #length = 0;
  /** Up to 33 bits while a carry is pending, therefore a plain number and never a bit operation on it. */
  #low = 0;
  #range = 0xffffffff;
  /** The last byte that a carry can still change, and how many bytes wait behind (it and 0xFF ones). */
  #held = 0;
  #heldCount = 1;

  constructor(probabilities: Uint16Array, expectedSize: number) {
    this.#probabilities = probabilities;
    this.#output = new Uint8Array(expectedSize);
  }

  /** One bit with the adaptive probability at `index`, which learns from it. */
  bit(index: number, value: number): void {
    const probability = this.#probabilities[index]!;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    if (value === 0) {
      this.#range = bound;
      this.#probabilities[index] = probability + (((1 << PROBABILITY_BITS) - probability) >>> ADAPTION_SHIFT);
    } else {
      this.#low += bound;
      this.#range -= bound;
      this.#probabilities[index] = probability - (probability >>> ADAPTION_SHIFT);
    }
    if (this.#range < TOP_RANGE) {
      this.#range *= 256;
      this.#shift();
    }
  }

  /** `bits` bits of `value`, highest first, down the tree at `base`. */
  tree(base: number, bits: number, value: number): void {
    let node = 1;
    for (let index = bits - 1; index >= 0; index--) {
      const bit = (value >>> index) & 1;
      this.bit(base + node, bit);
      node = (node << 1) | bit;
    }
  }

  /** `bits` bits of `value`, lowest first, down the tree at `base`. */
  reverseTree(base: number, bits: number, value: number): void {
    let node = 1;
    for (let index = 0; index < bits; index++) {
      const bit = (value >>> index) & 1;
      this.bit(base + node, bit);
      node = (node << 1) | bit;
    }
  }

  /** `bits` bits of `value` at even chances, highest first. */
  direct(value: number, bits: number): void {
    for (let index = bits - 1; index >= 0; index--) {
      this.#range >>>= 1;
      if (((value >>> index) & 1) !== 0) this.#low += this.#range;
      if (this.#range < TOP_RANGE) {
        this.#range *= 256;
        this.#shift();
      }
    }
  }

  /** Everything so far, closed so that a decoder can read its five bytes ahead. */
  finish(): Uint8Array {
    for (let count = 0; count < 5; count++) this.#shift();
    return this.#output.slice(0, this.#length);
  }

  #shift(): void {
    if (this.#low < 0xff000000 || this.#low >= CARRY) {
      const carry = this.#low >= CARRY ? 1 : 0;
      this.#write((this.#held + carry) & 0xff);
      for (; this.#heldCount > 1; this.#heldCount--) this.#write((0xff + carry) & 0xff);
      this.#held = Math.floor(this.#low / TOP_RANGE) & 0xff;
      this.#heldCount = 0;
    }
    this.#heldCount++;
    this.#low = (this.#low % TOP_RANGE) * 256;
  }

  #write(byte: number): void {
    if (this.#length === this.#output.length) {
      const larger = new Uint8Array(this.#output.length * 2 + 64);
      larger.set(this.#output);
      this.#output = larger;
    }
    this.#output[this.#length++] = byte;
  }
}
