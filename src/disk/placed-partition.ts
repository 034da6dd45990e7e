/** Where a partition lies, in bytes of the disk. */
import type { GptGeometry } from '../formats/gpt/layout.ts';
import type { Partition } from '../formats/gpt/partition.ts';

export interface PlacedPartition {
  /** Bytes. */
  readonly offset: number;
  readonly size: number;
  readonly sectorSize: number;
}

export function placedPartition({ firstLba, lastLba }: Partition, { sectorSize }: GptGeometry): PlacedPartition {
  return { offset: firstLba * sectorSize, size: (lastLba + 1 - firstLba) * sectorSize, sectorSize };
}
