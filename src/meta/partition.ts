/**
 * The META partition: two equal ADV blocks at its start, zeros, and the legacy syslinux area at its end.
 * Source: spec profiles-and-inputs 5.4, boot-and-images 6.7.
 */
import { type Bytes, concat, padTo, zeros } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { ADV_BLOCK_SIZE, type AdvRecord, decodeAdvBlock, layoutAdvBlock, orderAdvRecords } from './adv.ts';
import { decodeSyslinuxAdv, SYSLINUX_ADV_SIZE } from './syslinux-adv.ts';
import { encodeMetaText, type MetaValue } from './value.ts';

/** Bytes. */
export const META_PARTITION_SIZE: number = MIB;

/**
 * The whole partition. `undefined` leaves it all zero, as upstream does when nobody gave values; an empty list writes blocks without records.
 * Throws `invalid-input` for keys outside 1..255 and values that do not fit.
 */
export function layoutMetaPartition(values: readonly MetaValue[] | undefined): Bytes {
  if (values === undefined) return zeros(META_PARTITION_SIZE);
  const block = layoutAdvBlock(values.map(recordOf));
  return padTo(concat([block, block]), META_PARTITION_SIZE);
}

/** Throws what `layoutMetaPartition` would. */
export function checkMetaPartition(values: readonly MetaValue[] | undefined): void {
  if (values !== undefined) orderAdvRecords(values.map(recordOf));
}

function recordOf(meta: MetaValue): AdvRecord {
  return { tag: meta.key, value: encodeMetaText(meta) };
}

export interface MetaPartition {
  /** Which ADV block was intact; with `none` there may still be values, from damaged records and the legacy area. */
  readonly copy: 'first' | 'second' | 'none';
  /** By ascending key; of several records with one key the last, and the legacy area only where the ADV has none. */
  readonly values: readonly { readonly key: number; readonly value: Uint8Array }[];
}

/**
 * What Talos reads from a partition. Throws `invalid-input` when it is too short to hold the block that would be read; damage is not an error
 * but `copy: 'none'`, as for Talos.
 */
export function decodeMetaPartition(partition: Uint8Array): MetaPartition {
  const first = decodeAdvBlock(blockAt(partition, 0));
  const second = first?.complete === true ? undefined : decodeAdvBlock(blockAt(partition, ADV_BLOCK_SIZE));
  const records = [...legacyRecords(partition), ...(first?.records ?? []), ...(second?.records ?? [])];
  const byKey = new Map<number, Uint8Array>();
  for (const { tag, value } of records) byKey.set(tag, value);
  return {
    copy: first?.complete === true ? 'first' : second?.complete === true ? 'second' : 'none',
    values: [...byKey].sort(([a], [b]) => a - b).map(([key, value]) => ({ key, value })),
  };
}

function blockAt(partition: Uint8Array, start: number): Uint8Array {
  if (partition.length < start + ADV_BLOCK_SIZE) {
    throw invalid(`META partition: ${partition.length} bytes, want at least ${start + ADV_BLOCK_SIZE}`);
  }
  return partition.subarray(start, start + ADV_BLOCK_SIZE);
}

/** A partition that ends within the ADV blocks has no legacy area of its own. */
function legacyRecords(partition: Uint8Array): AdvRecord[] {
  const start = partition.length - SYSLINUX_ADV_SIZE;
  return start < 2 * ADV_BLOCK_SIZE ? [] : decodeSyslinuxAdv(partition.subarray(start));
}
