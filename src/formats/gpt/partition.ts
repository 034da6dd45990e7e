/** One partition entry: 128 bytes, little-endian, name in UTF-16LE. Source: UEFI 2.10 section 5.3.3. */
import { getU64, putU64, putUtf16le, structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { decodeGuid, encodeGuid, type Guid, ZERO_GUID } from './guid.ts';

export const ENTRY_SIZE = 128;

/** UTF-16 units. */
const NAME_UNITS = 36;

export interface Partition {
  readonly type: Guid;
  readonly guid: Guid;
  /** Both inclusive, in sectors of the disk. */
  readonly firstLba: number;
  readonly lastLba: number;
  /** 64 bits; none unless given. */
  readonly attributes?: bigint;
  /** At most 36 UTF-16 units. */
  readonly name: string;
}

/** Bits of `attributes`: needed by the platform; a legacy BIOS may boot it; read-only (of basic data partitions). */
export const ATTRIBUTE: Readonly<Record<'required' | 'legacyBiosBootable' | 'readOnly', bigint>> = {
  required: 1n << 0n,
  legacyBiosBootable: 1n << 2n,
  readOnly: 1n << 60n,
};

export function encodePartition(partition: Partition): Uint8Array {
  if (partition.name.length > NAME_UNITS) {
    throw invalid(`GPT partition name "${partition.name}": want at most ${NAME_UNITS} UTF-16 units`);
  }
  const { data, view } = structure(ENTRY_SIZE);
  data.set(encodeGuid(partition.type), 0);
  data.set(encodeGuid(partition.guid), 16);
  putU64(view, 32, partition.firstLba, true);
  putU64(view, 40, partition.lastLba, true);
  putU64(view, 48, partition.attributes ?? 0n, true);
  putUtf16le(data, 56, NAME_UNITS * 2, partition.name);
  return data;
}

/** `undefined` for an entry that is not in use. Throws `invalid-input` for addresses above 2^53. */
export function decodePartition(data: Uint8Array): (Partition & { readonly attributes: bigint }) | undefined {
  const type = decodeGuid(data);
  if (type === ZERO_GUID) return undefined;
  const view = viewOf(data);
  return {
    type,
    guid: decodeGuid(data.subarray(16)),
    firstLba: getU64(view, 32, true),
    lastLba: getU64(view, 40, true),
    attributes: view.getBigUint64(48, true),
    name: decodeName(view),
  };
}

function decodeName(view: DataView): string {
  let name = '';
  for (let index = 0; index < NAME_UNITS; index++) {
    const unit = view.getUint16(56 + index * 2, true);
    if (unit === 0) break;
    name += String.fromCharCode(unit);
  }
  return name;
}
