/** The two B+trees of free extents: by place (`bnobt`) and by length (`cntbt`). Source: XFS Algorithms and Data Structures, "AG Free Space B+trees". */
import type { TreeKind } from './btree.ts';

export interface FreeExtent {
  /** AG block. */
  readonly start: number;
  /** Blocks. */
  readonly count: number;
}

export const FREE_BY_BLOCK: TreeKind<FreeExtent> = kindOf(0x41423342);
export const FREE_BY_SIZE: TreeKind<FreeExtent> = kindOf(0x41423343);

/** The order of the tree by length. */
export function compareBySize(a: FreeExtent, b: FreeExtent): number {
  return a.count - b.count || a.start - b.start;
}

function kindOf(magic: number): TreeKind<FreeExtent> {
  const encodeRecord = (view: DataView, at: number, { start, count }: FreeExtent): void => {
    view.setUint32(at, start);
    view.setUint32(at + 4, count);
  };
  return {
    magic,
    recordSize: 8,
    keySize: 8,
    encodeRecord,
    encodeKey: (view, at, records) => encodeRecord(view, at, records[0]!),
  };
}
