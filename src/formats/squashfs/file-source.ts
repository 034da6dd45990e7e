/** File contents, unpacked block by block when they are read. */
import { type Bytes, concat, ofSource, slice, zeros } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { MIB } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import type { Source } from '../../platform/types.ts';
import type { UnpackBlock } from './compressor.ts';
import { type FileInode, STORED_BLOCK } from './inode.ts';

/** A stored or compressed block in the image. */
export interface BlockPlace {
  readonly position: number;
  /** As in the lists of blocks. */
  readonly sizeField: number;
}

/** Unpacked blocks that are kept: bytes. Those of a file that is read piece by piece, and fragments of which the neighbours come next. */
const KEPT: number = 8 * MIB;

/** The blocks of an image. */
export class DataBlocks {
  readonly image: Bytes;
  readonly blockSize: number;
  readonly #unpack: UnpackBlock;
  readonly #kept = new Map<number, Promise<Uint8Array>>();

  constructor(image: Bytes, blockSize: number, unpack: UnpackBlock) {
    this.image = image;
    this.blockSize = blockSize;
    this.#unpack = unpack;
  }

  /** The content of a block. Throws `invalid-input` on damage, `io`. */
  unpacked(place: BlockPlace): Promise<Uint8Array> {
    const { position } = place;
    const kept = this.#kept.get(position);
    this.#kept.delete(position);
    const block = kept ?? this.#read(place);
    this.#kept.set(position, block);
    // What failed may be tried again.
    block.catch(() => this.#kept.delete(position));
    if (this.#kept.size * this.blockSize > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return block;
  }

  /** Where the block lies. Throws `invalid-input` when that is outside the image, or when it is larger than a block. */
  stored({ position, sizeField }: BlockPlace): Bytes {
    const size = sizeField & ~STORED_BLOCK;
    if (size > this.blockSize || position + size > this.image.size) {
      throw invalid(`squashfs block at ${position}: ${size} bytes, in an image of ${this.image.size}`);
    }
    return slice(this.image, position, position + size);
  }

  async #read(place: BlockPlace): Promise<Uint8Array> {
    const data = await read(this.stored(place));
    return isStored(place) ? data : this.#unpack(data, this.blockSize);
  }
}

export function isStored({ sizeField }: BlockPlace): boolean {
  return (sizeField & STORED_BLOCK) !== 0;
}

/** A part of a file: in a block or in a fragment, from `offset` of its unpacked content. */
interface Piece extends BlockPlace {
  readonly offset: number;
}

/**
 * The content of a file: blocks that are stored are ranges of the image, zeros are zeros, the rest is a source that unpacks. `key` names image
 * and file. Throws `invalid-input` for blocks outside the image.
 */
export function fileContent(
  blocks: DataBlocks,
  { size, start, blocks: sizeFields, fragment }: FileInode,
  fragments: readonly BlockPlace[],
  key: string,
): Bytes {
  const { blockSize } = blocks;
  const positions = new Float64Array(sizeFields.length);
  let position = start;
  for (let index = 0; index < sizeFields.length; index++) {
    positions[index] = position;
    position += sizeFields[index]! & ~STORED_BLOCK;
  }
  if (position > blocks.image.size) throw invalid(`squashfs file: its blocks end at ${position}, behind the image`);
  const pieceAt = (index: number): Piece => {
    if (index < sizeFields.length) return { position: positions[index]!, sizeField: sizeFields[index]!, offset: 0 };
    const place = fragments[fragment!.index];
    if (place === undefined) throw invalid(`squashfs file: fragment ${fragment!.index} of ${fragments.length}`);
    return { ...place, offset: fragment!.offset };
  };
  const source = unpackingSource(blocks, size, pieceAt, key);
  const parts: Bytes[] = [];
  // Neighbours of one kind are one part: a file of zeros may have millions of blocks.
  let partStart = 0;
  let partKind: 'zeros' | 'packed' | undefined;
  const endPart = (at: number): void => {
    if (partKind === 'zeros') parts.push(zeros(at - partStart));
    else if (partKind === 'packed') parts.push(ofSource(source, partStart, at - partStart));
    partStart = at;
    partKind = undefined;
  };
  for (let at = 0, index = 0; at < size; at += blockSize, index++) {
    const piece = pieceAt(index);
    const kind = piece.sizeField === 0 ? 'zeros' : isStored(piece) ? 'stored' : 'packed';
    if (kind === partKind) continue;
    endPart(at);
    if (kind === 'stored') parts.push(storedPiece(blocks, piece, Math.min(blockSize, size - at)));
    else partKind = kind;
    partStart = kind === 'stored' ? Math.min(size, at + blockSize) : at;
  }
  endPart(size);
  return concat(parts);
}

function storedPiece(blocks: DataBlocks, piece: Piece, length: number): Bytes {
  const stored = blocks.stored(piece);
  const { offset } = piece;
  if (offset + length <= stored.size) return slice(stored, offset, offset + length);
  throw invalid(`squashfs file: a block of ${stored.size} bytes, want ${offset + length}`);
}

function unpackingSource(blocks: DataBlocks, size: number, pieceAt: (index: number) => Piece, key: string): Source {
  const { blockSize } = blocks;
  return {
    key,
    label: key,
    size,
    async read(position, into) {
      for (let done = 0; done < into.length; ) {
        const index = Math.floor((position + done) / blockSize);
        const skip = position + done - index * blockSize;
        const length = Math.min(blockSize - skip, into.length - done);
        const piece = pieceAt(index);
        const content = await blocks.unpacked(piece);
        const from = piece.offset + skip;
        if (from + length > content.length) {
          throw invalid(`${key}: the block at ${piece.position} has ${content.length} bytes, want ${from + length}`);
        }
        into.set(content.subarray(from, from + length), done);
        done += length;
      }
    },
  };
}
