/** Path table: every directory with its place and parent, breadth first. Source: ECMA-119 section 9.4. */
import { joinMemory, structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

const FIXED_SIZE = 8;
/** Parents are 16-bit numbers. */
const MAXIMUM_PARENT = 0xffff;

export interface PathTableRecord {
  /** `\0` for the root. */
  readonly identifier: string;
  /** First block of the directory, counted from the start of the volume. */
  readonly block: number;
  /** Number of the parent's record, from 1; the root is its own. */
  readonly parent: number;
}

export type ByteOrder = 'little' | 'big';

/** Bytes of a table with these identifiers. */
export function pathTableSize(identifiers: readonly string[]): number {
  return identifiers.reduce((sum, identifier) => sum + recordSize(identifier.length), 0);
}

/** Throws `invalid-input` when a parent's number does not fit 16 bits. */
export function encodePathTable(records: readonly PathTableRecord[], order: ByteOrder): Uint8Array {
  return joinMemory(records.map((record) => encodeRecord(record, order === 'little')));
}

function encodeRecord({ identifier, block, parent }: PathTableRecord, littleEndian: boolean): Uint8Array {
  if (parent > MAXIMUM_PARENT) throw invalid(`ISO 9660: more than ${MAXIMUM_PARENT} directories have content`);
  const { data, view } = structure(recordSize(identifier.length));
  view.setUint8(0, identifier.length);
  view.setUint32(2, block, littleEndian);
  view.setUint16(6, parent, littleEndian);
  for (let index = 0; index < identifier.length; index++) data[FIXED_SIZE + index] = identifier.charCodeAt(index);
  return data;
}

/** Throws `invalid-input` for a record that does not fit and for a parent that does not come before its child. */
export function decodePathTable(data: Uint8Array, order: ByteOrder): PathTableRecord[] {
  const view = viewOf(data);
  const records: PathTableRecord[] = [];
  for (let at = 0; at < data.length; ) {
    const size = data[at]!;
    if (size === 0 || at + FIXED_SIZE + size > data.length) {
      throw invalid(`ISO 9660 path table: record ${records.length + 1} does not fit`);
    }
    const parent = view.getUint16(at + 6, order === 'little');
    if (parent < 1 || parent > Math.max(1, records.length)) {
      throw invalid(`ISO 9660 path table: record ${records.length + 1} has parent ${parent}`);
    }
    records.push({
      identifier: String.fromCharCode(...data.subarray(at + FIXED_SIZE, at + FIXED_SIZE + size)),
      block: view.getUint32(at + 2, order === 'little'),
      parent,
    });
    at += recordSize(size);
  }
  return records;
}

function recordSize(identifierSize: number): number {
  return FIXED_SIZE + identifierSize + (identifierSize % 2);
}
