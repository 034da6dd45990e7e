/** Reading a GPT, hostile ones included. */
import type { Bytes } from '../../bytes/bytes.ts';
import { crc32 } from '../../bytes/crc32.ts';
import { read } from '../../bytes/read.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { decodeHeader, type GptHeader, looksLikeHeader } from './header.ts';
import { decodePartition, ENTRY_SIZE, type Partition } from './partition.ts';

export interface Gpt {
  /** Bytes. */
  readonly sectorSize: number;
  /** Which copy was read: the backup only when the primary is damaged. */
  readonly copy: 'primary' | 'backup';
  readonly header: GptHeader;
  /** In use, by entry number from 1. */
  readonly partitions: ReadonlyMap<number, Partition & { readonly attributes: bigint }>;
}

/** Bytes of entries: 8192 of the usual size, 64 times what anybody writes. */
const MAXIMUM_TABLE_SIZE = 1 << 20;

/**
 * The partition table of a disk. The sector size is found by where a header is, unless given. A damaged primary copy is passed over when
 * the backup in the last sector is sound; otherwise `invalid-input` says what is wrong with the primary.
 */
export async function decodeGpt(disk: Bytes, sectorSize?: number): Promise<Gpt> {
  const size = sectorSize ?? (await findSectorSize(disk));
  const lastLba = Math.floor(disk.size / size) - 1;
  if (lastLba < 2) throw invalid(`GPT: ${disk.size} bytes hold no table`);
  try {
    return await decodeCopy(disk, size, 1, 'primary');
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code !== 'invalid-input') throw error;
    try {
      return await decodeCopy(disk, size, lastLba, 'backup');
    } catch {
      throw error;
    }
  }
}

async function findSectorSize(disk: Bytes): Promise<number> {
  const sizes = [512, 4096, 2048, 1024];
  for (const size of sizes) {
    for (const at of [size, (Math.floor(disk.size / size) - 1) * size]) {
      if (at >= size && at + size <= disk.size && looksLikeHeader(await read(disk, at, 8))) return size;
    }
  }
  throw invalid('GPT: no header with 512, 1024, 2048 or 4096-byte sectors');
}

async function decodeCopy(disk: Bytes, sectorSize: number, lba: number, copy: Gpt['copy']): Promise<Gpt> {
  const header = decodeHeader(await read(disk, lba * sectorSize, sectorSize), lba);
  const { entriesLba, entryCount, entrySize, firstUsable, lastUsable } = header;
  if (entrySize < ENTRY_SIZE || entrySize % 8 !== 0)
    throw invalid(`GPT: entries of ${entrySize} bytes, want 128 or more`);
  const tableSize = entryCount * entrySize;
  if (tableSize > MAXIMUM_TABLE_SIZE)
    throw invalid(`GPT: ${tableSize} bytes of entries, want at most ${MAXIMUM_TABLE_SIZE}`);
  const at = entriesLba * sectorSize;
  if (at + tableSize > disk.size) throw invalid(`GPT: entries at sector ${entriesLba} lie outside the disk`);
  const entries = await read(disk, at, tableSize);
  if (crc32(entries) !== header.entriesCrc) throw invalid('GPT: the CRC of its entries is wrong');
  const partitions = new Map<number, Partition & { readonly attributes: bigint }>();
  for (let index = 0; index < entryCount; index++) {
    const partition = decodePartition(entries.subarray(index * entrySize, (index + 1) * entrySize));
    if (partition === undefined) continue;
    if (partition.firstLba < firstUsable || partition.lastLba > lastUsable || partition.lastLba < partition.firstLba) {
      throw invalid(
        `GPT partition ${index + 1}: sectors ${partition.firstLba}..${partition.lastLba}, want them within ${firstUsable}..${lastUsable}`,
      );
    }
    partitions.set(index + 1, partition);
  }
  return { sectorSize, copy, header, partitions };
}

/** Where a partition's content lies, in bytes from the start of the disk. */
export function partitionRange(
  { sectorSize }: Pick<Gpt, 'sectorSize'>,
  { firstLba, lastLba }: Partition,
): { readonly offset: number; readonly size: number } {
  return { offset: firstLba * sectorSize, size: (lastLba + 1 - firstLba) * sectorSize };
}
