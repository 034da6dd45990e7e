/** Reading qcow2 images, hostile ones included. */
import { type Bytes, concat, slice, zeros } from '../../bytes/bytes.ts';
import { viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { clusterOffset, ENTRY_SIZE, l2TableOffset } from './cluster-table.ts';
import { decodeHeader, HEADER_READ_SIZE } from './header.ts';

/** Bytes of L2 tables: 8 Mi clusters, 512 GiB of data in clusters of 64 KiB. */
const MAXIMUM_L2_SIZE = 64 << 20;

/**
 * The disk inside, as slices of the file and zeros. Throws `invalid-input` for a damaged file, `unsupported` for features this reader has not
 * (backing files, encryption, compressed clusters, extended L2 entries). Refcounts are not looked at.
 */
export async function decodeQcow2(file: Bytes): Promise<Bytes> {
  const header = decodeHeader(await read(file, 0, Math.min(HEADER_READ_SIZE, file.size)));
  const clusterSize = 2 ** header.clusterBits;
  const entries = clusterSize / ENTRY_SIZE;
  const needed = Math.ceil(header.size / (clusterSize * entries));
  if (header.l1Size < needed) throw invalid(`qcow2: L1 table of ${header.l1Size} entries, want ${needed}`);
  const tableSize = needed * ENTRY_SIZE;
  if (header.l1Offset % clusterSize !== 0 || header.l1Offset + tableSize > file.size) {
    throw invalid(`qcow2: L1 table at ${header.l1Offset} lies outside the file or between clusters`);
  }
  const l1 = viewOf(await read(file, header.l1Offset, tableSize));
  const parts: Bytes[] = [];
  const used = new Set<number>();
  for (let index = 0; index < needed; index++) {
    const start = index * clusterSize * entries;
    const size = Math.min(clusterSize * entries, header.size - start);
    const offset = l2TableOffset(l1, index, clusterSize);
    if (offset === 0) {
      parts.push(zeros(size));
      continue;
    }
    // One table mapped again and again would make a small file say very much.
    if (used.has(offset)) throw invalid(`qcow2: L2 table at ${offset} is used twice`);
    used.add(offset);
    if (used.size * clusterSize > MAXIMUM_L2_SIZE)
      throw invalid(`qcow2: L2 tables of more than ${MAXIMUM_L2_SIZE} bytes`);
    if (offset + clusterSize > file.size) throw invalid(`qcow2: L2 table at ${offset} lies outside the file`);
    parts.push(mapClusters(file, await read(file, offset, clusterSize), clusterSize, size));
  }
  return concat(parts);
}

/** The `size` bytes of the disk that one L2 table maps. */
function mapClusters(file: Bytes, table: Uint8Array, clusterSize: number, size: number): Bytes {
  const view = viewOf(table);
  const parts: Bytes[] = [];
  for (let done = 0, index = 0; done < size; done += clusterSize, index++) {
    const length = Math.min(clusterSize, size - done);
    const offset = clusterOffset(view, index, clusterSize);
    // QEMU may leave the last cluster of a file short; what the disk has of it must be there.
    if (offset !== 0 && offset + length > file.size) throw invalid(`qcow2: cluster at ${offset} lies outside the file`);
    parts.push(offset === 0 ? zeros(length) : slice(file, offset, offset + length));
  }
  return concat(parts);
}
