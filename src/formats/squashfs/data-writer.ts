/** Blocks of content in the order they are given, several compressed at once, each written as soon as those before it are. */
import type { StreamSink } from '../../bytes/write.ts';
import type { BlockEncoder } from './compressor.ts';
import { STORED_BLOCK } from './inode.ts';

/** Told where a block came to be and what its size field says. */
export type OnPlaced = (position: number, sizeField: number) => void;

interface Waiting {
  readonly data: Uint8Array;
  readonly packed: Promise<Uint8Array>;
  readonly onPlaced: OnPlaced;
}

/** Blocks under way at once: twice the threads of Node's pool, so that none waits while the first block takes long. With the largest blocks they are 16 MiB. */
const UNDER_WAY = 8;

export class DataWriter {
  readonly #sink: StreamSink;
  readonly #pack: BlockEncoder['pack'];
  readonly #signal: AbortSignal | undefined;
  readonly #waiting: Waiting[] = [];
  #position: number;

  /** `position` is where in the image the sink stands. */
  constructor(sink: StreamSink, position: number, pack: BlockEncoder['pack'], signal: AbortSignal | undefined) {
    this.#sink = sink;
    this.#position = position;
    this.#pack = pack;
    this.#signal = signal;
  }

  /** Where in the image what comes next will be, once all blocks are written. */
  get position(): number {
    return this.#position;
  }

  /** Begins to compress `data`, which must not change any more, and waits while too much is under way. Throws what packing and the sink throw. */
  async push(data: Uint8Array, onPlaced: OnPlaced): Promise<void> {
    this.#signal?.throwIfAborted();
    const packed = this.#pack(data);
    // A rejection is reported when its turn comes, not as an unhandled one before.
    packed.catch(() => undefined);
    this.#waiting.push({ data, packed, onPlaced });
    while (this.#waiting.length >= UNDER_WAY) await this.#writeFirst();
  }

  /** Waits until all blocks are written. */
  async settle(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeFirst();
  }

  async #writeFirst(): Promise<void> {
    const { data, packed, onPlaced } = this.#waiting.shift()!;
    const block = await packed;
    const isSmaller = block.length < data.length;
    const written = isSmaller ? block : data;
    onPlaced(this.#position, isSmaller ? written.length : written.length | STORED_BLOCK);
    this.#position += written.length;
    await this.#sink.write(written);
  }
}
