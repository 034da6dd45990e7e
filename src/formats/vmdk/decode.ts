/** Reading streamOptimized VMDK images, hostile ones included. */
import { type Bytes, concat, ofSource, zeros } from '../../bytes/bytes.ts';
import { viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import type { Source } from '../../platform/types.ts';
import { decodeMarker, MARKER_SIZE } from './grain.ts';
import {
  decodeSparseHeader,
  GRAIN_SECTORS,
  GRAIN_SIZE,
  grainTableCount,
  SECTOR,
  TABLE_ENTRIES,
} from './sparse-header.ts';

/** The content of a whole zlib stream; `invalid-input` for damage and for more than `limit` bytes. */
export type Inflate = (data: Uint8Array, limit: number) => Uint8Array | Promise<Uint8Array>;

export interface VmdkReadOptions {
  /** Names the content of the file: same key, same bytes. */
  readonly key: string;
}

const DESCRIPTOR_LIMIT = 1 << 20;
/** Compressed bytes of a grain: no compressor makes it twice as large. */
const STREAM_LIMIT: number = 2 * GRAIN_SIZE;

export interface Vmdk {
  readonly descriptor: string;
  /** Grains are inflated when they are read, and the last one is kept. */
  readonly disk: Bytes;
}

/** Throws `invalid-input` for a damaged file, `unsupported` for VMDKs of other kinds. Damage in a grain shows when it is read. */
export async function decodeVmdk(file: Bytes, inflate: Inflate, options: VmdkReadOptions): Promise<Vmdk> {
  if (file.size < SECTOR) throw invalid(`VMDK: ${file.size} bytes hold no header`);
  const header = decodeSparseHeader(await read(file, 0, SECTOR));
  const text = await readSectors(file, header.descriptorOffset, header.descriptorSectors * SECTOR, DESCRIPTOR_LIMIT);
  const end = text.indexOf(0);
  const descriptor = new TextDecoder().decode(end < 0 ? text : text.subarray(0, end));
  const positions = await readTables(file, header.directoryOffset, grainTableCount(header.capacity));
  const source = grainSource(file, positions, header.capacity * SECTOR, inflate, options.key);
  return { descriptor, disk: mapGrains(source, positions) };
}

async function readSectors(file: Bytes, sector: number, size: number, limit: number): Promise<Uint8Array> {
  const at = sector * SECTOR;
  if (size > limit || at + size > file.size)
    throw invalid(`VMDK: ${size} bytes at sector ${sector} lie outside the file`);
  return read(file, at, size);
}

/** The sectors of all stored grains by number. */
async function readTables(file: Bytes, directoryOffset: number, tables: number): Promise<Map<number, number>> {
  const positions = new Map<number, number>();
  const directory = viewOf(await readSectors(file, directoryOffset, tables * 4, file.size));
  const used = new Set<number>();
  for (let index = 0; index < tables; index++) {
    const sector = directory.getUint32(index * 4, true);
    if (sector === 0) continue;
    // One table used again and again would make a small file say very much.
    if (used.has(sector)) throw invalid(`VMDK: grain table at sector ${sector} is used twice`);
    used.add(sector);
    const table = viewOf(await readSectors(file, sector, TABLE_ENTRIES * 4, file.size));
    for (let entry = 0; entry < TABLE_ENTRIES; entry++) {
      const position = table.getUint32(entry * 4, true);
      // 1 is a grain of zeros that is said to be there.
      if (position > 1) positions.set(index * TABLE_ENTRIES + entry, position);
    }
  }
  return positions;
}

/** The whole disk as a source: a read inflates the grains that it touches. */
function grainSource(
  file: Bytes,
  positions: ReadonlyMap<number, number>,
  size: number,
  inflate: Inflate,
  key: string,
): Source {
  let last: { readonly number: number; readonly data: Promise<Uint8Array> } | undefined;
  const grain = async (number: number): Promise<Uint8Array> => {
    if (last?.number !== number) {
      const wanted = Math.min(GRAIN_SIZE, size - number * GRAIN_SIZE);
      last = { number, data: readGrain(file, number, positions.get(number), wanted, inflate) };
    }
    return last.data;
  };
  return {
    key: JSON.stringify(['vmdk', key]),
    label: 'VMDK',
    size,
    async read(position, into) {
      for (let done = 0; done < into.length; ) {
        const at = position + done;
        const number = Math.floor(at / GRAIN_SIZE);
        const skip = at - number * GRAIN_SIZE;
        const length = Math.min(GRAIN_SIZE - skip, into.length - done);
        into.set((await grain(number)).subarray(skip, skip + length), done);
        done += length;
      }
    },
  };
}

async function readGrain(
  file: Bytes,
  number: number,
  sector: number | undefined,
  wanted: number,
  inflate: Inflate,
): Promise<Uint8Array> {
  if (sector === undefined) return new Uint8Array(GRAIN_SIZE);
  const marker = decodeMarker(await readSectors(file, sector, MARKER_SIZE, MARKER_SIZE));
  if (marker.sector !== number * GRAIN_SECTORS) {
    throw invalid(`VMDK: grain ${number} has the marker of sector ${marker.sector}, want ${number * GRAIN_SECTORS}`);
  }
  const at = sector * SECTOR + MARKER_SIZE;
  if (marker.size > STREAM_LIMIT || at + marker.size > file.size) {
    throw invalid(`VMDK: grain ${number} of ${marker.size} compressed bytes lies outside the file or is too large`);
  }
  const data = await inflate(await read(file, at, marker.size), GRAIN_SIZE);
  // qemu-img cuts the last grain where the disk ends.
  if (data.length < wanted) throw invalid(`VMDK: grain ${number} has ${data.length} bytes, want ${wanted}`);
  return data;
}

function mapGrains(source: Source, positions: ReadonlyMap<number, number>): Bytes {
  const parts: Bytes[] = [];
  let done = 0;
  for (const number of positions.keys()) {
    const at = number * GRAIN_SIZE;
    // Table entries behind the end of the disk say nothing.
    if (at >= source.size) break;
    const end = Math.min(at + GRAIN_SIZE, source.size);
    parts.push(zeros(at - done), ofSource(source, at, end - at));
    done = end;
  }
  return concat([...parts, zeros(source.size - done)]);
}
