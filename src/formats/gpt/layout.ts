/** Both copies of a GPT as placements on a disk. The protective MBR is `formats/mbr`'s. */
import { ofMemory, type Placement } from '../../bytes/bytes.ts';
import { crc32 } from '../../bytes/crc32.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { Guid } from './guid.ts';
import { encodeHeader, type GptHeader } from './header.ts';
import { ENTRY_SIZE, encodePartition, type Partition } from './partition.ts';

export interface GptOptions {
  /** Bytes; 512 unless given. */
  readonly sectorSize?: number;
  /** Entries of each copy, in use or not; 128 unless given (ISO: 248). */
  readonly entryCount?: number;
  /** Where the first copy's entries begin; 2 unless given. Those of the second copy end right before its header. */
  readonly entriesLba?: number;
  /** First sector for partitions; right behind the entries unless given. */
  readonly firstUsable?: number;
  /** Last sector for partitions; right before the second copy unless given. */
  readonly lastUsable?: number;
}

export interface GptGeometry extends Required<GptOptions> {
  /** Sectors of one copy's entries. */
  readonly entrySectors: number;
  /** The disk's last sector, where the second header lies. */
  readonly lastLba: number;
}

/** The options with all that follows from them and from the disk's size in bytes. Throws `invalid-input` when it does not fit. */
export function gptGeometry(diskSize: number, options: GptOptions = {}): GptGeometry {
  const { sectorSize = 512, entryCount = 128, entriesLba = 2 } = options;
  if (![512, 1024, 2048, 4096].includes(sectorSize)) {
    throw new ImagerError('unsupported', `GPT sector size ${sectorSize}: want 512, 1024, 2048 or 4096`);
  }
  if (!Number.isInteger(entryCount) || entryCount < 1) throw invalid(`GPT entry count ${entryCount}: want 1 or more`);
  const entrySectors = Math.ceil((entryCount * ENTRY_SIZE) / sectorSize);
  const lastLba = Math.floor(diskSize / sectorSize) - 1;
  const { firstUsable = entriesLba + entrySectors, lastUsable = lastLba - entrySectors - 1 } = options;
  const ordered = entriesLba >= 2 && firstUsable >= entriesLba + entrySectors && lastUsable < lastLba - entrySectors;
  if (!ordered || firstUsable > lastUsable) {
    throw invalid(
      `GPT on ${diskSize} bytes: usable sectors ${firstUsable}..${lastUsable} leave no room for its tables`,
    );
  }
  return { sectorSize, entryCount, entriesLba, firstUsable, lastUsable, entrySectors, lastLba };
}

/**
 * Primary header and entries, backup entries and header, on a disk of `diskSize` bytes. Partitions take entries 1, 2, ... in the
 * given order. Throws `invalid-input` when a partition lies outside the usable sectors or over another one.
 */
export function layoutGpt(
  diskSize: number,
  diskGuid: Guid,
  partitions: readonly Partition[],
  options: GptOptions = {},
): Placement[] {
  const geometry = gptGeometry(diskSize, options);
  checkPartitions(partitions, geometry);
  const { sectorSize, entryCount, entriesLba, firstUsable, lastUsable, entrySectors, lastLba } = geometry;
  const entries = new Uint8Array(entryCount * ENTRY_SIZE);
  for (const [index, partition] of partitions.entries()) entries.set(encodePartition(partition), index * ENTRY_SIZE);
  const primary: GptHeader = {
    lba: 1,
    alternateLba: lastLba,
    firstUsable,
    lastUsable,
    diskGuid,
    entriesLba,
    entryCount,
    entrySize: ENTRY_SIZE,
    entriesCrc: crc32(entries),
  };
  const backupEntriesLba = lastLba - entrySectors;
  const backup: GptHeader = { ...primary, lba: lastLba, alternateLba: 1, entriesLba: backupEntriesLba };
  return [
    { at: sectorSize, bytes: ofMemory(encodeHeader(primary)) },
    { at: entriesLba * sectorSize, bytes: ofMemory(entries) },
    { at: backupEntriesLba * sectorSize, bytes: ofMemory(entries) },
    { at: lastLba * sectorSize, bytes: ofMemory(encodeHeader(backup)) },
  ];
}

function checkPartitions(partitions: readonly Partition[], geometry: GptGeometry): void {
  const { entryCount, firstUsable, lastUsable } = geometry;
  if (partitions.length > entryCount) throw invalid(`GPT: ${partitions.length} partitions, want at most ${entryCount}`);
  const sorted = [...partitions].sort((a, b) => a.firstLba - b.firstLba);
  let free = firstUsable;
  for (const { name, firstLba, lastLba } of sorted) {
    if (firstLba < free || lastLba < firstLba || lastLba > lastUsable) {
      throw invalid(
        `GPT partition "${name}": sectors ${firstLba}..${lastLba}, want them within ${free}..${lastUsable}`,
      );
    }
    free = lastLba + 1;
  }
}
