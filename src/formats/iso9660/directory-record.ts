/** Directory record: one file section or directory. Source: ECMA-119 section 9.1. */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { getBothU16, getBothU32, putBothU16, putBothU32 } from './block.ts';
import { decodeRecordTime, encodeRecordTime, RECORD_TIME_SIZE } from './timestamp.ts';

/** Where the identifier begins. */
const FIXED_SIZE = 33;
/** A record's length is a byte and even. */
export const MAXIMUM_RECORD_SIZE = 254;

export const FLAG = { hidden: 0x01, directory: 0x02, multiExtent: 0x80 } as const;

/** Identifiers of a directory itself and of its parent, which come first in it. */
export const SELF = '\0';
export const PARENT = '\x01';

export interface DirectoryRecord {
  /** ASCII, with `;1` for files; `SELF` or `PARENT`. */
  readonly identifier: string;
  /** First block, counted from the start of the volume. */
  readonly block: number;
  /** Bytes of this section. */
  readonly size: number;
  readonly flags: number;
  /** Seconds since 1970. */
  readonly time: number;
  /** SUSP fields that fit the record. */
  readonly systemUse: Uint8Array;
}

/** Bytes before the system use field: identifiers of even length are padded. */
export function systemUseOffset(identifier: string): number {
  return FIXED_SIZE + identifier.length + (identifier.length % 2 === 0 ? 1 : 0);
}

export function recordSize(identifier: string, systemUseSize: number): number {
  const size = systemUseOffset(identifier) + systemUseSize;
  return size + (size % 2);
}

/** Throws `invalid-input` when it would be longer than 254 bytes, or address and size need more than 32 bits. */
export function encodeDirectoryRecord(record: DirectoryRecord): Uint8Array {
  const size = recordSize(record.identifier, record.systemUse.length);
  if (size > MAXIMUM_RECORD_SIZE) throw invalid(`ISO 9660 directory record of ${size} bytes: want at most 254`);
  for (const value of [record.block, record.size]) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw invalid(`ISO 9660 directory record: ${value} does not fit 32 bits`);
    }
  }
  const { data, view } = structure(size);
  view.setUint8(0, size);
  putBothU32(view, 2, record.block);
  putBothU32(view, 10, record.size);
  data.set(encodeRecordTime(record.time), 18);
  view.setUint8(25, record.flags);
  putBothU16(view, 28, 1);
  view.setUint8(32, record.identifier.length);
  for (let index = 0; index < record.identifier.length; index++) {
    data[FIXED_SIZE + index] = record.identifier.charCodeAt(index);
  }
  data.set(record.systemUse, systemUseOffset(record.identifier));
  return data;
}

/** The record in `data`, which begins with it. Throws `invalid-input` when its lengths contradict each other. */
export function decodeDirectoryRecord(data: Uint8Array): DirectoryRecord {
  const size = data[0] ?? 0;
  const identifierSize = data[32] ?? 0;
  if (size > data.length || identifierSize === 0 || size < FIXED_SIZE + identifierSize) {
    throw invalid(`ISO 9660 directory record of ${size} bytes with an identifier of ${identifierSize}: does not fit`);
  }
  const view = viewOf(data);
  const identifier = String.fromCharCode(...data.subarray(FIXED_SIZE, FIXED_SIZE + identifierSize));
  getBothU16(view, 28, 'volume sequence number');
  return {
    identifier,
    block: getBothU32(view, 2, 'extent location') + data[1]!,
    size: getBothU32(view, 10, 'data length'),
    flags: view.getUint8(25),
    time: decodeRecordTime(data.subarray(18, 18 + RECORD_TIME_SIZE)),
    systemUse: data.subarray(Math.min(size, systemUseOffset(identifier)), size),
  };
}

/** Records one after the other; none crosses a block boundary. Bytes behind the last are zero, up to a whole block. */
export function packRecords(records: readonly Uint8Array[], blockSize: number): Uint8Array {
  const sizes = records.map(({ length }) => length);
  const data = new Uint8Array(packedSize(sizes, blockSize));
  for (const [index, position] of packedPositions(sizes, blockSize).entries()) data.set(records[index]!, position);
  return data;
}

/** Bytes that records of these sizes take: whole blocks. */
export function packedSize(sizes: readonly number[], blockSize: number): number {
  const last = packedPositions(sizes, blockSize).at(-1) ?? 0;
  return Math.ceil((last + (sizes.at(-1) ?? 0)) / blockSize) * blockSize;
}

function packedPositions(sizes: readonly number[], blockSize: number): number[] {
  let end = 0;
  return sizes.map((size) => {
    const left = blockSize - (end % blockSize);
    const position = size > left ? end + left : end;
    end = position + size;
    return position;
  });
}
