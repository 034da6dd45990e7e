/**
 * A disk as a streamOptimized VMDK (spec boot-and-images 7.3): header, descriptor, grain directory and grain tables in front, then the grains in the order of
 * the disk, without those that are zero. A reader may take it front to back or at random.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, concat, ofMemory, type Placement, place, slice, zeros } from '../../bytes/bytes.ts';
import { structure } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { CompressedGrains, StoredGrain } from './compressed-grains.ts';
import { DESCRIPTOR_OFFSET, DESCRIPTOR_SECTORS, encodeDescriptor } from './descriptor.ts';
import { encodeMarker, MARKER_SIZE, sectorsOf } from './grain.ts';
import { encodeSparseHeader, GRAIN_SECTORS, grainTableCount, SECTOR, TABLE_ENTRIES } from './sparse-header.ts';

const DIRECTORY_OFFSET: number = DESCRIPTOR_OFFSET + DESCRIPTOR_SECTORS;
const TABLE_SECTORS: number = (TABLE_ENTRIES * 4) / SECTOR;

/**
 * `diskSize` in bytes, `compressed` its grains. The identifiers come from the content. Throws `invalid-input` for a size that is no multiple of 512, for grains
 * behind it, and for a file above 2 TiB.
 */
export function layoutVmdk(diskSize: number, compressed: CompressedGrains): Bytes {
  if (diskSize % SECTOR !== 0) throw invalid(`VMDK: disk of ${diskSize} bytes, want a multiple of ${SECTOR}`);
  const capacity = diskSize / SECTOR;
  const { grains } = compressed;
  const last = grains.at(-1);
  if (last !== undefined && last.number * GRAIN_SECTORS >= capacity) {
    throw invalid(`VMDK: grain ${last.number} lies behind the ${capacity} sectors of the disk`);
  }
  const tables = grainTableCount(capacity);
  const firstTable = DIRECTORY_OFFSET + Math.ceil((tables * 4) / SECTOR);
  const overhead = firstTable + tables * TABLE_SECTORS;
  const header = encodeSparseHeader({
    capacity,
    descriptorOffset: DESCRIPTOR_OFFSET,
    descriptorSectors: DESCRIPTOR_SECTORS,
    directoryOffset: DIRECTORY_OFFSET,
    overhead,
  });
  const metadata = place(overhead * SECTOR, [
    { at: 0, bytes: ofMemory(header) },
    { at: DESCRIPTOR_OFFSET * SECTOR, bytes: ofMemory(encodeDescriptor(capacity, contentId(capacity, grains))) },
    { at: DIRECTORY_OFFSET * SECTOR, bytes: ofMemory(encodeDirectory(tables, firstTable)) },
    ...encodeTables(grains, firstTable, overhead),
  ]);
  // One sector of zeros is the end-of-stream marker.
  return concat([metadata, ...grainParts(compressed), zeros(SECTOR)]);
}

/** 16 bytes that are the same for the same disk, however it was compressed. */
function contentId(capacity: number, grains: readonly StoredGrain[]): Uint8Array {
  const { data, view } = structure(8 + grains.length * 8);
  view.setBigUint64(0, BigInt(capacity), true);
  for (const [index, { number, adler32 }] of grains.entries()) {
    view.setUint32(8 + index * 8, number, true);
    view.setUint32(12 + index * 8, adler32, true);
  }
  return sha256(data).subarray(0, 16);
}

function encodeDirectory(tables: number, firstTable: number): Uint8Array {
  const { data, view } = structure(tables * 4);
  for (let table = 0; table < tables; table++) view.setUint32(table * 4, firstTable + table * TABLE_SECTORS, true);
  return data;
}

/** Tables that name a grain; the others stay zeros. */
function* encodeTables(grains: readonly StoredGrain[], firstTable: number, overhead: number): Generator<Placement> {
  let position = overhead;
  for (let next = 0; next < grains.length; ) {
    const table = Math.floor(grains[next]!.number / TABLE_ENTRIES);
    const { data, view } = structure(TABLE_ENTRIES * 4);
    for (; next < grains.length; next++) {
      const { number, size } = grains[next]!;
      if (Math.floor(number / TABLE_ENTRIES) !== table) break;
      if (position > 0xffff_ffff) throw invalid('VMDK: more than 2 TiB of grains, want at most that');
      view.setUint32((number % TABLE_ENTRIES) * 4, position, true);
      position += sectorsOf(size);
    }
    yield { at: (firstTable + table * TABLE_SECTORS) * SECTOR, bytes: ofMemory(data) };
  }
}

/** The grains as the file has them: where one repeats an earlier one its stream is stored again, with a marker of its own. */
function* grainParts({ data, grains }: CompressedGrains): Generator<Bytes> {
  let written = 0;
  for (const { number, size, at } of grains) {
    const end = at + sectorsOf(size);
    if (at === written) {
      yield slice(data, at * SECTOR, end * SECTOR);
      written = end;
    } else {
      yield ofMemory(encodeMarker(number, size));
      yield slice(data, at * SECTOR + MARKER_SIZE, end * SECTOR);
    }
  }
}
