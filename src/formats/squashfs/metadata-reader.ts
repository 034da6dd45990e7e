/** Reading metadata by position, hostile one included: a block is unpacked when something in it is wanted, and the latest are kept. */
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import type { UnpackBlock } from './compressor.ts';
import { METADATA_HEADER_SIZE, METADATA_SIZE, STORED_METADATA } from './metadata.ts';
import type { Reference } from './superblock.ts';

interface MetadataBlock {
  readonly content: Uint8Array;
  /** Position of the block behind it. */
  readonly next: number;
}

/** As many as a directory with its inodes and attributes takes, several times over: 4 MiB. */
const KEPT = 512;

/** The metadata blocks of an image. */
export class MetadataBlocks {
  readonly #image: Bytes;
  readonly #unpack: UnpackBlock;
  /** By position; the latest used last. */
  readonly #kept = new Map<number, MetadataBlock>();

  constructor(image: Bytes, unpack: UnpackBlock) {
    this.#image = image;
    this.#unpack = unpack;
  }

  /** The block at `position` of the image. Throws `invalid-input` when there is none, `io`. */
  async at(position: number): Promise<MetadataBlock> {
    const kept = this.#kept.get(position);
    if (kept !== undefined) {
      this.#kept.delete(position);
      this.#kept.set(position, kept);
      return kept;
    }
    const block = await this.#read(position);
    this.#kept.set(position, block);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return block;
  }

  async #read(position: number): Promise<MetadataBlock> {
    const { size } = this.#image;
    const start = position + METADATA_HEADER_SIZE;
    if (start > size) throw invalid(`squashfs metadata block at ${position}: the image ends at ${size}`);
    const data = await read(slice(this.#image, position, Math.min(size, start + METADATA_SIZE)));
    const field = viewOf(data).getUint16(0, true);
    const stored = field & ~STORED_METADATA;
    if (stored === 0 || stored > METADATA_SIZE || start + stored > size) {
      throw invalid(`squashfs metadata block at ${position}: ${stored} bytes`);
    }
    const packed = data.subarray(METADATA_HEADER_SIZE, METADATA_HEADER_SIZE + stored);
    const content = (field & STORED_METADATA) !== 0 ? packed : await this.#unpack(packed, METADATA_SIZE);
    return { content, next: start + stored };
  }
}

/** Reads on from a place in a table, from block to block. */
export class MetadataReader {
  readonly #blocks: MetadataBlocks;
  #position: number;
  #offset: number;

  /** `table` is the position of the table in the image. */
  constructor(blocks: MetadataBlocks, table: number, { block, offset }: Reference) {
    this.#blocks = blocks;
    this.#position = table + block;
    this.#offset = offset;
  }

  /** Throws `invalid-input` where the metadata ends before. */
  async read(length: number): Promise<Uint8Array> {
    const data = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { content, next } = await this.#blocks.at(this.#position);
      if (this.#offset >= content.length) {
        // Only a full block has one behind it.
        if (content.length < METADATA_SIZE || this.#offset > METADATA_SIZE) {
          throw invalid(`squashfs metadata block at ${this.#position}: ends before ${this.#offset}`);
        }
        this.#position = next;
        this.#offset = 0;
        continue;
      }
      const piece = content.subarray(this.#offset, this.#offset + length - done);
      data.set(piece, done);
      done += piece.length;
      this.#offset += piece.length;
    }
    return data;
  }
}
