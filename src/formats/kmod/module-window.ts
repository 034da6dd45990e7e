/** The few places of a module that are looked at, read with few requests: most modules are small, and a request costs as much as many bytes. */
import type { Bytes } from '../../bytes/bytes.ts';
import { memoryAt, read, readInto } from '../../bytes/read.ts';

/** Modules up to this size are read at once, bytes. */
const READ_AT_ONCE: number = 256 << 10;
/** Of larger ones at least this much at a time, bytes. */
const READ_AHEAD: number = 16 << 10;

interface Piece {
  readonly offset: number;
  readonly data: Uint8Array;
}

/** Memory for one small module after the other. */
export function moduleBuffer(): Uint8Array {
  return new Uint8Array(READ_AT_ONCE);
}

export class ModuleWindow {
  readonly size: number;
  readonly #content: Bytes;
  readonly #buffer: Uint8Array;
  readonly #pieces: Piece[] = [];

  /** What is read holds as long as `buffer` is not given to another. */
  constructor(content: Bytes, buffer: Uint8Array) {
    this.size = content.size;
    this.#content = content;
    this.#buffer = buffer;
  }

  /** A view of `size` bytes from `offset`, which must lie inside. */
  async at(offset: number, size: number): Promise<Uint8Array> {
    const known = this.#pieces.find(
      (piece) => offset >= piece.offset && offset + size <= piece.offset + piece.data.length,
    );
    const piece = known ?? (await this.#read(offset, size));
    return piece.data.subarray(offset - piece.offset, offset - piece.offset + size);
  }

  async #read(offset: number, size: number): Promise<Piece> {
    const piece = await this.#pieceFor(offset, size);
    this.#pieces.push(piece);
    return piece;
  }

  async #pieceFor(offset: number, size: number): Promise<Piece> {
    if (size === 0) return { offset, data: new Uint8Array() };
    const whole = memoryAt(this.#content, 0, this.size);
    if (whole !== undefined) return { offset: 0, data: whole };
    if (this.size > this.#buffer.length) {
      const end = Math.min(offset + Math.max(size, READ_AHEAD), this.size);
      return { offset, data: await read(this.#content, offset, end - offset) };
    }
    const data = this.#buffer.subarray(0, this.size);
    await readInto(this.#content, 0, data);
    return { offset: 0, data };
  }
}
