/** Master boot record: boot code, disk signature, four partition entries, 55 AA. 512 bytes whatever the sector size. */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import {
  addressesOf,
  decodePartitionEntry,
  ENTRY_SIZE,
  type EntryAddresses,
  encodePartitionEntry,
  type Geometry,
  ISO_GEOMETRY,
  type PartitionEntry,
} from './partition-entry.ts';

export const MBR_SIZE = 512;

/** Where boot code ends: 4 bytes of disk signature and 2 reserved ones follow, then the table. */
export const BOOT_CODE_SIZE = 440;

/** Code that does not care for the disk signature may go on to the table. */
const BOOT_AREA_SIZE = 446;

const TABLE_OFFSET = 446;

export interface MbrOptions {
  /** Up to 446 bytes from the start, disk signature included; zeros unless given. Longer code is cut: GRUB's images are whole sectors. */
  readonly bootCode?: Uint8Array;
  /** 64 heads of 32 sectors, as xorriso, unless given. */
  readonly geometry?: Geometry;
}

/** An MBR with up to four partitions. Throws `invalid-input` for more, and for positions above 32 bits. */
export function encodeMbr(partitions: readonly PartitionEntry[], options: MbrOptions = {}): Uint8Array {
  if (partitions.length > 4) throw invalid(`MBR: ${partitions.length} partitions, want at most 4`);
  const geometry = options.geometry ?? ISO_GEOMETRY;
  return encodeTable(
    partitions.map((entry) => encodePartitionEntry(entry, addressesOf(entry, geometry))),
    options.bootCode,
  );
}

export interface ProtectiveOptions extends MbrOptions {
  /**
   * `disk` (unless given): last address FF FF FF, as go-blockdevice writes it.
   * `iso`: the address of the last sector, as xorriso writes it.
   */
  readonly form?: 'disk' | 'iso';
}

/**
 * The MBR before a GPT: one partition of type 0xEE over the whole disk. `lastLba` counts sectors of the medium, from 0; where it exceeds
 * 32 bits the entry says as much as it can.
 */
export function encodeProtectiveMbr(lastLba: number, options: ProtectiveOptions = {}): Uint8Array {
  const entry = { bootable: false, type: 0xee, start: 1, count: Math.min(lastLba, 0xffffffff) };
  // Sector 1 is always said to be at cylinder 0, head 0, sector 2 (UEFI 2.10, table 5.4).
  const first = Uint8Array.of(0x00, 0x02, 0x00);
  const geometry = options.geometry ?? ISO_GEOMETRY;
  const last = options.form === 'iso' ? addressesOf(entry, geometry).last : Uint8Array.of(0xff, 0xff, 0xff);
  return encodeTable([encodePartitionEntry(entry, { first, last })], options.bootCode);
}

function encodeTable(entries: readonly Uint8Array[], bootCode: Uint8Array = new Uint8Array()): Uint8Array {
  const { data } = structure(MBR_SIZE);
  data.set(bootCode.subarray(0, BOOT_AREA_SIZE));
  for (const [index, entry] of entries.entries()) data.set(entry, TABLE_OFFSET + index * ENTRY_SIZE);
  data.set([0x55, 0xaa], 0x1fe);
  return data;
}

export interface Mbr {
  /** 440 bytes. */
  readonly bootCode: Uint8Array;
  readonly diskSignature: number;
  /** In use, by their place 0..3. */
  readonly partitions: ReadonlyMap<number, PartitionEntry & EntryAddresses>;
}

/** Throws `invalid-input` for fewer than 512 bytes and without 55 AA. */
export function decodeMbr(data: Uint8Array): Mbr {
  if (data.length < MBR_SIZE) throw invalid(`MBR: ${data.length} bytes, want ${MBR_SIZE}`);
  const view = viewOf(data);
  if (view.getUint16(0x1fe, true) !== 0xaa55) throw invalid('MBR: no 55 AA at its end');
  const partitions = new Map<number, PartitionEntry & EntryAddresses>();
  for (let index = 0; index < 4; index++) {
    const at = TABLE_OFFSET + index * ENTRY_SIZE;
    const entry = decodePartitionEntry(data.subarray(at, at + ENTRY_SIZE));
    if (entry !== undefined) partitions.set(index, entry);
  }
  return { bootCode: data.slice(0, BOOT_CODE_SIZE), diskSignature: view.getUint32(BOOT_CODE_SIZE, true), partitions };
}
