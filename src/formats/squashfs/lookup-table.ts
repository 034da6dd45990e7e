/** Tables whose entries are found by number: metadata blocks, then the 64-bit positions of these blocks in the image (little-endian). */
import { joinMemory, putU64, structure } from '../../bytes/field.ts';
import type { BlockEncoder } from './compressor.ts';
import { encodeMetadataBlock, METADATA_SIZE } from './metadata.ts';

export interface LookupTable {
  readonly blocks: Uint8Array;
  /** Of the blocks, to be written behind them or further on. */
  readonly positions: Uint8Array;
}

/** `entries` of all, joined; their size divides 8 KiB. The blocks will be at `start` of the image. */
export async function encodeLookupTable(
  entries: Uint8Array,
  start: number,
  pack: BlockEncoder['pack'],
): Promise<LookupTable> {
  const count = Math.ceil(entries.length / METADATA_SIZE);
  const { data: positions, view } = structure(count * 8);
  const blocks: Uint8Array[] = [];
  let position = start;
  for (let index = 0; index < count; index++) {
    putU64(view, index * 8, position, true);
    const content = entries.subarray(index * METADATA_SIZE, (index + 1) * METADATA_SIZE);
    const block = await encodeMetadataBlock(content, pack);
    blocks.push(block);
    position += block.length;
  }
  return { blocks: joinMemory(blocks), positions };
}
