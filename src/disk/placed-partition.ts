/** Where a partition lies, in bytes of the disk. */
import { partitionRange } from '../formats/gpt/decode.ts';
import type { GptGeometry } from '../formats/gpt/layout.ts';
import type { Partition } from '../formats/gpt/partition.ts';

export interface PlacedPartition {
  /** Bytes. */
  readonly offset: number;
  readonly size: number;
  readonly sectorSize: number;
}

export function placedPartition(partition: Partition, geometry: GptGeometry): PlacedPartition {
  return { ...partitionRange(geometry, partition), sectorSize: geometry.sectorSize };
}
