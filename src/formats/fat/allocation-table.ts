/** The allocation table: which cluster follows which. Entries are 12, 16 or 32 bits, little-endian, packed. */
import { type Bytes, ofMemory, place } from '../../bytes/bytes.ts';
import { structure, viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { clusterCount, fatOffset, type Volume } from './volume.ts';

/** Clusters in a row that belong to one file or directory. */
export interface Run {
  /** Clusters count from 2. */
  readonly first: number;
  readonly count: number;
}

/** One copy of a 32-bit table in which each run is a chain of its own; only used parts occupy memory. */
export function encodeFat32Table(volume: Volume, runs: readonly Run[]): Bytes {
  const head = structure(8);
  head.view.setUint32(0, 0x0fffff00 | volume.media, true);
  head.view.setUint32(4, 0x0fffffff, true);
  return place(volume.fatSectors * volume.bytesPerSector, [
    { at: 0, bytes: ofMemory(head.data) },
    ...runs.map((run) => ({ at: run.first * 4, bytes: ofMemory(encodeChain32(run)) })),
  ]);
}

function encodeChain32({ first, count }: Run): Uint8Array {
  const { data, view } = structure(count * 4);
  for (let index = 0; index < count - 1; index++) view.setUint32(index * 4, first + index + 1, true);
  // mkfs.fat ends a root directory of one cluster with ...F8; mtools ends everything it allocates with ...FF.
  view.setUint32((count - 1) * 4, first === 2 && count === 1 ? 0x0ffffff8 : 0x0fffffff, true);
  return data;
}

/** One copy of a 12-bit table. */
export function encodeFat12Table(volume: Volume, runs: readonly Run[]): Bytes {
  const data = new Uint8Array(volume.fatSectors * volume.bytesPerSector);
  putEntry12(data, 0, 0xf00 | volume.media);
  putEntry12(data, 1, 0xfff);
  for (const { first, count } of runs) {
    for (let index = 0; index < count; index++) {
      putEntry12(data, first + index, index === count - 1 ? 0xfff : first + index + 1);
    }
  }
  return ofMemory(data);
}

function putEntry12(data: Uint8Array, cluster: number, value: number): void {
  const at = Math.floor((cluster * 3) / 2);
  if (cluster % 2 === 0) {
    data[at] = value & 0xff;
    data[at + 1] = (data[at + 1]! & 0xf0) | (value >>> 8);
  } else {
    data[at] = (data[at]! & 0x0f) | ((value << 4) & 0xf0);
    data[at + 1] = value >>> 4;
  }
}

/** Bytes of table read at a time: a multiple of 3, so that no 12-bit entry lies across two pages. */
const PAGE_SIZE = 3 * 16384;

/** Follows chains in the first copy of a table; reads only the pages it meets. */
export interface TableReader {
  /**
   * The chain from `first`, as runs. Throws `invalid-input` when it leaves the volume, meets a free or bad cluster, is longer than
   * `maximum` clusters, or when all chains asked for hold more clusters than the volume has: then some are used twice.
   */
  chain(first: number, maximum: number): Promise<Run[]>;
  /** Clusters in the chains followed so far. */
  used(): number;
}

export function tableReader(bytes: Bytes, volume: Volume): TableReader {
  const clusters = clusterCount(volume);
  const start = fatOffset(volume, 0);
  const end = fatOffset(volume, 1);
  const pages = new Map<number, DataView>();
  let budget = clusters;

  async function pageOf(number: number): Promise<DataView> {
    const found = pages.get(number);
    if (found !== undefined) return found;
    const at = start + number * PAGE_SIZE;
    const view = viewOf(await read(bytes, at, Math.min(PAGE_SIZE, end - at)));
    pages.set(number, view);
    return view;
  }

  function positionOf(cluster: number): number {
    return volume.type === 12 ? Math.floor((cluster * 3) / 2) : (cluster * volume.type) / 8;
  }

  function next(page: DataView, cluster: number): number {
    const at = positionOf(cluster) % PAGE_SIZE;
    if (volume.type === 32) return page.getUint32(at, true) & 0x0fffffff;
    const value = page.getUint16(at, true);
    if (volume.type === 16) return value;
    return cluster % 2 === 0 ? value & 0xfff : value >>> 4;
  }

  // The eight highest values end a chain, whatever the width.
  const endMark = volume.type === 32 ? 0x0ffffff8 : 2 ** volume.type - 8;

  async function chain(first: number, maximum: number): Promise<Run[]> {
    const runs: { first: number; count: number }[] = [];
    let length = 0;
    let page: DataView | undefined;
    let pageNumber = -1;
    for (let cluster = first; cluster < endMark; cluster = next(page, cluster)) {
      if (cluster < 2 || cluster > clusters + 1) {
        throw invalid(`FAT chain from cluster ${first}: leads to ${cluster}, want 2..${clusters + 1}`);
      }
      length++;
      budget--;
      if (length > maximum) throw invalid(`FAT chain from cluster ${first}: want at most ${maximum} clusters`);
      if (budget < 0) throw invalid(`FAT chain from cluster ${first}: some of its clusters are used twice`);
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.count === cluster) last.count++;
      else runs.push({ first: cluster, count: 1 });
      // Waiting once per page, not once per cluster: a chain can have hundreds of thousands.
      const number = Math.floor(positionOf(cluster) / PAGE_SIZE);
      if (page === undefined || number !== pageNumber) page = await pageOf(number);
      pageNumber = number;
    }
    return runs;
  }

  return { chain, used: () => clusters - budget };
}
