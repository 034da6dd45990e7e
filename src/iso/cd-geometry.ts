/** What the cylinder-head-sector addresses of an ISO's partition table count in. Source: spec boot-and-images 5.5. */
import { type Geometry, ISO_GEOMETRY } from '../formats/mbr/partition-entry.ts';

const CYLINDERS = 1024;
const MAXIMUM_HEADS = 255;

/** For images of more than 1 GiB as many heads as it takes to reach their end, as xorriso counts. Alignment stays 1 MiB: nothing needs more. */
export function isoGeometry(sectors: number): Geometry {
  const { heads, sectorsPerTrack } = ISO_GEOMETRY;
  const needed = Math.max(heads, Math.ceil(sectors / (sectorsPerTrack * CYLINDERS)));
  return needed <= MAXIMUM_HEADS ? { heads: needed, sectorsPerTrack } : { heads: MAXIMUM_HEADS, sectorsPerTrack: 63 };
}
