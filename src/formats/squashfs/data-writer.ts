/** Blocks of content in the order they are given, several compressed at once, each written as soon as those before it are. */

import type { StreamSink } from '../../bytes/write.ts';
import { stopIfAborted } from '../../errors.ts';
import type { BlockEncoder } from './compressor.ts';
import { STORED_BLOCK } from './inode.ts';

/** Told where a block came to be and what its size field says. */
export type OnPlaced = (position: number, sizeField: number) => void;

interface Waiting {
  readonly buffer: Uint8Array;
  /** The filled part of the buffer. */
  readonly data: Uint8Array;
  readonly packed: Promise<Uint8Array>;
  readonly onPlaced: OnPlaced;
}

/** Blocks under way at once, waiting and packed ones too: twice the threads of Node's pool, so that none is idle while the first block takes long. With the largest blocks they are 16 MiB. */
const UNDER_WAY = 8;

export interface DataWriterOptions {
  /** Bytes. */
  readonly blockSize: number;
  readonly pack: BlockEncoder['pack'];
  /** Calls of `pack` at once. */
  readonly parallelism: number;
  readonly signal: AbortSignal | undefined;
}

export class DataWriter {
  readonly #sink: StreamSink;
  readonly #pack: BlockEncoder['pack'];
  readonly #signal: AbortSignal | undefined;
  readonly #blockSize: number;
  readonly #waiting: Waiting[] = [];
  /** Used again and again: thousands of new ones would be garbage faster than it is collected. */
  readonly #free: Uint8Array[] = [];
  #position: number;

  /** `position` is where in the image the sink stands. */
  constructor(sink: StreamSink, position: number, { blockSize, pack, parallelism, signal }: DataWriterOptions) {
    this.#sink = sink;
    this.#blockSize = blockSize;
    this.#position = position;
    this.#pack = limited(pack, parallelism);
    this.#signal = signal;
  }

  /** Where in the image what comes next will be, once all blocks are written. */
  get position(): number {
    return this.#position;
  }

  /** Memory for a block, to be handed over to `push` or given back. */
  takeBuffer(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(this.#blockSize);
  }

  giveBack(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }

  /** Begins to compress the first `length` bytes of the buffer, and waits while too much is under way. Throws what packing and the sink throw. */
  async push(buffer: Uint8Array, length: number, onPlaced: OnPlaced): Promise<void> {
    stopIfAborted(this.#signal, 'packing');
    const data = buffer.subarray(0, length);
    const packed = this.#pack(data);
    // A rejection is reported when its turn comes, not as an unhandled one before.
    packed.catch(() => undefined);
    this.#waiting.push({ buffer, data, packed, onPlaced });
    while (this.#waiting.length >= UNDER_WAY) await this.#writeFirst();
  }

  /** Waits until all blocks are written. */
  async settle(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeFirst();
  }

  async #writeFirst(): Promise<void> {
    const { buffer, data, packed, onPlaced } = this.#waiting.shift()!;
    const block = await packed;
    const isSmaller = block.length < data.length;
    // The sink may hold on to what it gets.
    const written = isSmaller ? block : data.slice();
    this.giveBack(buffer);
    onPlaced(this.#position, isSmaller ? written.length : written.length | STORED_BLOCK);
    this.#position += written.length;
    await this.#sink.write(written);
  }
}

/** `pack` with at most `limit` calls at once; the others wait for their turn. */
function limited(pack: BlockEncoder['pack'], limit: number): BlockEncoder['pack'] {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (data) => {
    if (running < limit) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await pack(data);
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
