/**
 * System Use Sharing Protocol: tagged fields behind a directory record, continued elsewhere when they do not fit.
 * Source: SUSP 1.12 sections 4, 5. Offsets are from the start of a field: signature, length, version, data.
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { BLOCK_SIZE, blocksOf, getBothU32, putBothU32 } from './block.ts';

const HEADER_SIZE = 4;
const CONTINUATION_SIZE = 28;

export interface Field {
  /** Two letters. */
  readonly signature: string;
  readonly version: number;
  readonly data: Uint8Array;
}

/** Throws `invalid-input` when the data do not fit one field. */
export function encodeField(signature: string, data: Uint8Array): Uint8Array {
  const size = HEADER_SIZE + data.length;
  if (size > 255) throw invalid(`SUSP field ${signature} of ${size} bytes: want at most 255`);
  const field = new Uint8Array(size);
  field.set([signature.charCodeAt(0), signature.charCodeAt(1), size, 1]);
  field.set(data, HEADER_SIZE);
  return field;
}

/** `SP`: the first field of a volume, in the root's own record. Nothing is skipped. */
export function encodeIndicator(): Uint8Array {
  return encodeField('SP', Uint8Array.of(0xbe, 0xef, 0));
}

/** A run of fields somewhere behind a directory; never across a block boundary, which Linux refuses. */
export interface Area {
  readonly block: number;
  /** Bytes from the start of the block. */
  readonly offset: number;
  readonly size: number;
}

/** `CE`: the fields go on in `area`. */
export function encodeContinuation({ block, offset, size }: Area): Uint8Array {
  const { data, view } = structure(24);
  putBothU32(view, 0, block);
  putBothU32(view, 8, offset);
  putBothU32(view, 16, size);
  return encodeField('CE', data);
}

export function decodeContinuation({ data }: Field): Area {
  if (data.length < 24) throw invalid(`SUSP field CE of ${data.length + HEADER_SIZE} bytes: want 28`);
  const view = viewOf(data);
  return {
    block: getBothU32(view, 0, 'continuation block'),
    offset: getBothU32(view, 8, 'continuation offset'),
    size: getBothU32(view, 16, 'continuation size'),
  };
}

export interface SplitFields {
  readonly inRecord: readonly Uint8Array[];
  /** One list per area; each leaves room in its block for the `CE` that leads to the next. */
  readonly continued: readonly (readonly Uint8Array[])[];
}

/** As many fields as fit `room` bytes stay in the record, in order; the others go to areas of at most a block. */
export function splitFields(fields: readonly Uint8Array[], room: number): SplitFields {
  if (sizeOf(fields) <= room) return { inRecord: fields, continued: [] };
  const kept = countFitting(fields, room - CONTINUATION_SIZE);
  const continued: Uint8Array[][] = [];
  for (let rest = fields.slice(kept); rest.length > 0; ) {
    const count = countFitting(rest, BLOCK_SIZE - CONTINUATION_SIZE);
    continued.push(rest.slice(0, count));
    rest = rest.slice(count);
  }
  return { inRecord: fields.slice(0, kept), continued };
}

/** Bytes of the fields that stay in the record, with the `CE` if there is one. */
export function inRecordSize({ inRecord, continued }: SplitFields): number {
  return sizeOf(inRecord) + (continued.length > 0 ? CONTINUATION_SIZE : 0);
}

/** Bytes of area `index`, with the `CE` that leads to the next. */
export function areaSize({ continued }: SplitFields, index: number): number {
  return sizeOf(continued[index]!) + (index + 1 < continued.length ? CONTINUATION_SIZE : 0);
}

/** Places areas one after the other, each within a block. */
export interface AreaAllocator {
  /** Bytes from the start of the first block. */
  allocate(size: number): number;
  /** Blocks in use so far. */
  blocks(): number;
}

export function areaAllocator(): AreaAllocator {
  let position = 0;
  return {
    allocate(size) {
      const left = BLOCK_SIZE - (position % BLOCK_SIZE);
      const at = size > left ? position + left : position;
      position = at + size;
      return at;
    },
    blocks: () => blocksOf(position),
  };
}

/** The fields in `data`, up to `ST`, the end, or what is too short to be one. Throws `invalid-input` for a length that does not fit. */
export function decodeFields(data: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at + HEADER_SIZE <= data.length; ) {
    const size = data[at + 2]!;
    const signature = String.fromCharCode(data[at]!, data[at + 1]!);
    if (signature === 'ST' || size === 0) break;
    if (size < HEADER_SIZE || at + size > data.length) {
      throw invalid(
        `SUSP field ${JSON.stringify(signature)} of ${size} bytes: does not fit the ${data.length - at} left`,
      );
    }
    fields.push({ signature, version: data[at + 3]!, data: data.subarray(at + HEADER_SIZE, at + size) });
    at += size;
  }
  return fields;
}

function sizeOf(fields: readonly Uint8Array[]): number {
  return fields.reduce((sum, field) => sum + field.length, 0);
}

function countFitting(fields: readonly Uint8Array[], room: number): number {
  let size = 0;
  const first = fields.findIndex((field) => {
    size += field.length;
    return size > room;
  });
  return first < 0 ? fields.length : first;
}
