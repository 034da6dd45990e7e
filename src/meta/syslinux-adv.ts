/**
 * The legacy syslinux ADV, 512 bytes twice at the very end of the META partition: head magic, u32 checksum, records of u8 tag, u8 length and
 * value, tag 0 ends. Talos only reads it, the first copy, without looking at magics or checksum; so do we.
 * Source: spec profiles-and-inputs 5.4.
 */
import type { AdvRecord } from './adv.ts';

/** Both copies. */
export const SYSLINUX_ADV_SIZE = 1024;

const RECORDS_START = 8;
const RECORDS_END = 508;

/** `area` is the last 1024 bytes of the partition. A record past the area ends the list. */
export function decodeSyslinuxAdv(area: Uint8Array): AdvRecord[] {
  const records: AdvRecord[] = [];
  for (let position = RECORDS_START; position + 2 <= RECORDS_END; ) {
    const tag = area[position]!;
    if (tag === 0) break;
    const end = position + 2 + area[position + 1]!;
    if (end > RECORDS_END) break;
    records.push({ tag, value: new Uint8Array(area.subarray(position + 2, end)) });
    position = end;
  }
  return records;
}
