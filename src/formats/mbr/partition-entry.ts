/** One of the four 16-byte entries of a master boot record, little-endian, and the cylinder-head-sector addresses in it. */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

/** What cylinder-head-sector addresses count in: firmware that cares takes it from the entries themselves. */
export interface Geometry {
  /** 1..255. */
  readonly heads: number;
  /** 1..63. */
  readonly sectorsPerTrack: number;
}

/** What xorriso counts in for images up to 1 GiB: a cylinder is 1 MiB (spec boot-and-images 5.5). */
export const ISO_GEOMETRY: Geometry = { heads: 64, sectorsPerTrack: 32 };

export interface PartitionEntry {
  readonly bootable: boolean;
  /** 0x83 Linux, 0xEF EFI system partition, 0xEE the whole disk under a GPT. */
  readonly type: number;
  /** Sectors of the medium. */
  readonly start: number;
  readonly count: number;
}

/** Three bytes each, as they are stored: head, sector with the high cylinder bits, low cylinder bits. */
export interface EntryAddresses {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export const ENTRY_SIZE = 16;

const MAXIMUM_CYLINDER = 1023;

/** Three bytes. What lies beyond cylinder 1023 gets the last address the geometry has, as xorriso does (255 by 63: FE FF FF). */
export function encodeAddress(sector: number, { heads, sectorsPerTrack }: Geometry): Uint8Array {
  const track = Math.floor(sector / sectorsPerTrack);
  const cylinder = Math.floor(track / heads);
  return cylinder > MAXIMUM_CYLINDER
    ? packAddress(MAXIMUM_CYLINDER, heads - 1, sectorsPerTrack)
    : packAddress(cylinder, track % heads, (sector % sectorsPerTrack) + 1);
}

function packAddress(cylinder: number, head: number, sector: number): Uint8Array {
  return Uint8Array.of(head, sector | ((cylinder >> 8) << 6), cylinder & 0xff);
}

export function addressesOf(entry: PartitionEntry, geometry: Geometry): EntryAddresses {
  return {
    first: encodeAddress(entry.start, geometry),
    last: encodeAddress(entry.start + entry.count - 1, geometry),
  };
}

/** Throws `invalid-input` when start or count need more than 32 bits. */
export function encodePartitionEntry(entry: PartitionEntry, addresses: EntryAddresses): Uint8Array {
  for (const [what, value] of [
    ['start', entry.start],
    ['count', entry.count],
  ] as const) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw invalid(`MBR partition ${what} ${value}: want 32 bits`);
    }
  }
  const { data, view } = structure(ENTRY_SIZE);
  view.setUint8(0, entry.bootable ? 0x80 : 0);
  data.set(addresses.first, 1);
  view.setUint8(4, entry.type);
  data.set(addresses.last, 5);
  view.setUint32(8, entry.start, true);
  view.setUint32(12, entry.count, true);
  return data;
}

/** `undefined` for an entry that is not in use (type 0). */
export function decodePartitionEntry(data: Uint8Array): (PartitionEntry & EntryAddresses) | undefined {
  const view = viewOf(data);
  const type = view.getUint8(4);
  if (type === 0) return undefined;
  return {
    bootable: view.getUint8(0) === 0x80,
    first: data.slice(1, 4),
    type,
    last: data.slice(5, 8),
    start: view.getUint32(8, true),
    count: view.getUint32(12, true),
  };
}
