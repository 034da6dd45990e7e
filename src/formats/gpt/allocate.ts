/** Where partitions of given sizes come to lie: one after the other, each from an aligned sector on (spec boot-and-images 6.1). */
import { alignUp } from '../../bytes/bytes.ts';
import { MIB } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { Guid } from './guid.ts';
import { type GptGeometry, gptGeometry } from './layout.ts';
import type { Partition } from './partition.ts';

/** Partitions begin at multiples of this, whatever the sector size. */
export const PARTITION_ALIGNMENT: number = MIB;

export interface WantedPartition {
  readonly type: Guid;
  readonly guid: Guid;
  readonly name: string;
  readonly attributes?: bigint;
  /** Bytes; a partial sector is cut. 0: all that is left, down to a whole alignment unit. */
  readonly size: number;
}

export interface DiskOptions {
  /** Bytes; 512 unless given. */
  readonly sectorSize?: number;
  /** Sectors by which the table's entries are moved back, to make room for what an overlay puts before them; 0 unless given. */
  readonly entriesOffset?: number;
}

/** Dimensions of the table of a disk image: 128 entries, partitions from the first aligned sector behind them. */
export function diskGeometry(diskSize: number, options: DiskOptions = {}): GptGeometry {
  const { sectorSize = 512, entriesOffset = 0 } = options;
  const entriesLba = 2 + entriesOffset;
  const entrySectors = Math.ceil((128 * 128) / sectorSize);
  const firstUsable = alignUp(entriesLba + entrySectors, PARTITION_ALIGNMENT / sectorSize);
  return gptGeometry(diskSize, { sectorSize, entriesLba, firstUsable });
}

/** Partitions with their places, in the given order. Throws `install` when they do not fit. */
export function allocatePartitions(wanted: readonly WantedPartition[], geometry: GptGeometry): Partition[] {
  const { sectorSize, firstUsable, lastUsable } = geometry;
  const alignment = PARTITION_ALIGNMENT / sectorSize;
  let free = firstUsable;
  return wanted.map(({ size, ...rest }) => {
    if (!Number.isSafeInteger(size) || size < 0) throw invalid(`partition ${rest.name}: ${size} is no byte count`);
    const firstLba = alignUp(free, alignment);
    const lastLba =
      size === 0 ? Math.floor(lastUsable / alignment) * alignment - 1 : firstLba + Math.floor(size / sectorSize) - 1;
    if (lastLba > lastUsable || lastLba < firstLba) {
      const left = Math.max(0, lastUsable + 1 - firstLba) * sectorSize;
      throw new ImagerError('install', `partition ${rest.name}: ${size} bytes, but only ${left} are left on the disk`);
    }
    free = lastLba + 1;
    return { ...rest, firstLba, lastLba };
  });
}
