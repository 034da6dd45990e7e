/**
 * Metadata: inodes, listings and tables are written one after the other into blocks of 8 KiB, each compressed on its own behind 16 bits with its size
 * (little-endian). What is in them is found by the position of the block and the offset in its content; it may go on in the next block.
 */
import { joinMemory, viewOf } from '../../bytes/field.ts';
import type { BlockEncoder } from './compressor.ts';
import type { Reference } from './superblock.ts';

export const METADATA_SIZE = 8192;
export const METADATA_HEADER_SIZE = 2;
/** In the size of a block that is stored as it is. */
export const STORED_METADATA = 0x8000;

/** Collects metadata and packs each block when it is full: where what follows will be depends on it. */
export class MetadataWriter {
  readonly #pack: BlockEncoder['pack'];
  readonly #blocks: Uint8Array[] = [];
  readonly #pending: Uint8Array = new Uint8Array(METADATA_SIZE);
  #filled = 0;
  #size = 0;

  constructor(pack: BlockEncoder['pack']) {
    this.#pack = pack;
  }

  /** Where what is written next will be. */
  get position(): Reference {
    return { block: this.#size, offset: this.#filled };
  }

  async write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const length = Math.min(data.length - done, METADATA_SIZE - this.#filled);
      this.#pending.set(data.subarray(done, done + length), this.#filled);
      this.#filled += length;
      done += length;
      if (this.#filled === METADATA_SIZE) await this.#packPending();
    }
  }

  /** All blocks; nothing may be written afterwards. */
  async finish(): Promise<Uint8Array> {
    if (this.#filled > 0) await this.#packPending();
    return joinMemory(this.#blocks);
  }

  async #packPending(): Promise<void> {
    const block = await encodeMetadataBlock(this.#pending.slice(0, this.#filled), this.#pack);
    this.#blocks.push(block);
    this.#size += block.length;
    this.#filled = 0;
  }
}

/** At most 8 KiB as a block. */
export async function encodeMetadataBlock(data: Uint8Array, pack: BlockEncoder['pack']): Promise<Uint8Array> {
  const packed = await pack(data);
  return packed.length < data.length ? withSize(packed, packed.length) : storedMetadataBlock(data);
}

export function storedMetadataBlock(data: Uint8Array): Uint8Array {
  return withSize(data, data.length | STORED_METADATA);
}

function withSize(data: Uint8Array, size: number): Uint8Array {
  const block = new Uint8Array(METADATA_HEADER_SIZE + data.length);
  viewOf(block).setUint16(0, size, true);
  block.set(data, METADATA_HEADER_SIZE);
  return block;
}
