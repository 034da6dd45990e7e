/** The few places of a module that are looked at, read with few requests: most modules are small, and a request costs as much as many bytes. */
import type { Bytes } from '../../bytes/bytes.ts';
import { memoryAt, readInto } from '../../bytes/read.ts';

/** Modules up to this size are read at once, bytes: what platforms read without leaving their thread. */
export const READ_AT_ONCE: number = 64 << 10;
/** Of larger ones at least this much at a time, bytes. */
const READ_AHEAD: number = 4 << 10;
/** Room for the places of most modules, bytes; others get memory of their own. */
const BUFFER_SIZE: number = 512 << 10;

interface Piece {
  readonly offset: number;
  readonly data: Uint8Array;
}

/** Memory for one module after the other. */
export function moduleBuffer(): Uint8Array {
  return new Uint8Array(BUFFER_SIZE);
}

export class ModuleWindow {
  readonly size: number;
  readonly #content: Bytes;
  readonly #buffer: Uint8Array;
  #used = 0;
  readonly #pieces: Piece[] = [];

  /** What is read holds as long as `buffer` is not given to another. */
  constructor(content: Bytes, buffer: Uint8Array) {
    this.size = content.size;
    this.#content = content;
    this.#buffer = buffer;
  }

  /** A view of `size` bytes from `offset`, which must lie inside. */
  at(offset: number, size: number): Uint8Array | Promise<Uint8Array> {
    // Not asynchronous: nearly always it is there, and thousands of modules are asked ten times each.
    for (const piece of this.#pieces) {
      const start = offset - piece.offset;
      if (start >= 0 && start + size <= piece.data.length) return piece.data.subarray(start, start + size);
    }
    return this.#read(offset, size);
  }

  async #read(offset: number, size: number): Promise<Uint8Array> {
    const piece = await this.#pieceFor(offset, size);
    this.#pieces.push(piece);
    return piece.data.subarray(offset - piece.offset, offset - piece.offset + size);
  }

  async #pieceFor(offset: number, size: number): Promise<Piece> {
    if (size === 0) return { offset, data: new Uint8Array() };
    const whole = memoryAt(this.#content, 0, this.size);
    if (whole !== undefined) return { offset: 0, data: whole };
    const isSmall = this.size <= READ_AT_ONCE;
    const start = isSmall ? 0 : offset;
    const data = this.#memory(isSmall ? this.size : Math.min(Math.max(size, READ_AHEAD), this.size - offset));
    await readInto(this.#content, start, data);
    return { offset: start, data };
  }

  #memory(size: number): Uint8Array {
    if (this.#used + size > this.#buffer.length) return new Uint8Array(size);
    this.#used += size;
    return this.#buffer.subarray(this.#used - size, this.#used);
  }
}
