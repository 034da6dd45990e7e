/** Tables whose entries are found by number: see `lookup-table.ts`. */
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { getU64, viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { METADATA_SIZE } from './metadata.ts';
import { type MetadataBlocks, MetadataReader } from './metadata-reader.ts';

/** All `count` entries of `entrySize` bytes, which divides 8 KiB; the positions of their blocks begin at `start`. Throws `invalid-input`. */
export async function readLookupTable(
  image: Bytes,
  blocks: MetadataBlocks,
  start: number,
  count: number,
  entrySize: number,
): Promise<Uint8Array> {
  const size = count * entrySize;
  const blockCount = Math.ceil(size / METADATA_SIZE);
  if (start + blockCount * 8 > image.size) throw invalid(`squashfs table at ${start}: ${count} entries pass the end`);
  const positions = viewOf(await read(slice(image, start, start + blockCount * 8)));
  const entries = new Uint8Array(size);
  for (let index = 0; index < blockCount; index++) {
    const reader = new MetadataReader(blocks, getU64(positions, index * 8, true), { block: 0, offset: 0 });
    const at = index * METADATA_SIZE;
    entries.set(await reader.read(Math.min(METADATA_SIZE, size - at)), at);
  }
  return entries;
}
