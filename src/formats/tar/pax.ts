/** PAX extended header records, `<length> <key>=<value>\n` (POSIX.1-2024 pax, "pax Extended Header"). Values are raw bytes. */
import { joinMemory } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { decodeUtf8 } from './text.ts';

export interface PaxRecord {
  readonly key: string;
  /** Empty: the record takes back what an earlier one said. */
  readonly value: Uint8Array;
}

const BLANK = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/** All records in order, repeated keys included. Throws `invalid-input` when a length or a separator is wrong. */
export function decodePaxRecords(data: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  let position = 0;
  while (position < data.length) {
    const blank = data.indexOf(BLANK, position);
    const length = blank < 0 ? Number.NaN : decimal(data.subarray(position, blank));
    const end = position + length;
    if (!(end <= data.length && end > blank + 1 && data[end - 1] === NEWLINE)) {
      throw invalid(`tar extended header: the record at byte ${position} has a wrong length`);
    }
    const equals = data.indexOf(EQUALS, blank + 1);
    if (equals < 0 || equals >= end - 1 || equals === blank + 1) {
      throw invalid(`tar extended header: the record at byte ${position} is not key=value`);
    }
    const key = decodeUtf8(data.subarray(blank + 1, equals), 'tar extended header: key');
    if (key.includes('\0')) throw invalid('tar extended header: a key contains NUL');
    records.push({ key, value: data.subarray(equals + 1, end - 1) });
    position = end;
  }
  return records;
}

/** Records in the order given. */
export function encodePaxRecords(records: readonly PaxRecord[]): Uint8Array {
  return joinMemory(records.map(encodeRecord));
}

function encodeRecord({ key, value }: PaxRecord): Uint8Array {
  const head = new TextEncoder().encode(` ${key}=`);
  const rest = head.length + value.length + 1;
  // The length counts its own digits: adding them may need one digit more.
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return joinMemory([new TextEncoder().encode(String(length)), head, value, Uint8Array.of(NEWLINE)]);
}

/** Ten digits are 9.9 GB: longer headers are refused long before. */
function decimal(digits: Uint8Array): number {
  if (digits.length === 0 || digits.length > 10) return Number.NaN;
  let value = 0;
  for (const digit of digits) {
    if (digit < 0x30 || digit > 0x39) return Number.NaN;
    value = value * 10 + (digit - 0x30);
  }
  return value;
}
