/**
 * The Talos ADV block: 256 KiB of tagged records between two magics, with a digest over all of it. Integers are big-endian.
 *
 *     0x00000  magic 5a4b3c2d
 *     0x00004  records: u32 tag, u32 length, value; tag 0 ends the list
 *     0x3ffdc  SHA-256 of the block with these 32 bytes zero
 *     0x3fffc  magic a5b4c3d2
 *
 * Source: spec profiles-and-inputs 5.4, boot-and-images 6.7.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, ofMemory, place } from '../bytes/bytes.ts';
import { structure, viewOf } from '../bytes/field.ts';
import { invalid } from '../errors.ts';
import { checkMetaKey } from './key.ts';

export interface AdvRecord {
  /** 1..255 when writing; readers truncate the field to 8 bits, so 0 can be read. */
  readonly tag: number;
  readonly value: Uint8Array;
}

export const ADV_BLOCK_SIZE: number = 256 * 1024;

const HEAD_MAGIC = 0x5a4b3c2d;
const TAIL_MAGIC = 0xa5b4c3d2;
const RECORDS_START = 4;
const RECORD_HEADER = 8;
const DIGEST_SIZE = 32;
const DIGEST_START: number = ADV_BLOCK_SIZE - 36;
const TAIL_START: number = ADV_BLOCK_SIZE - 4;

/** Bytes for records, their 8-byte headers included: 262104. */
export const ADV_CAPACITY: number = DIGEST_START - RECORDS_START;

/**
 * A block with the records in ascending order of tag (upstream's order is that of a hash map); of several with one tag the last wins.
 * Throws `invalid-input` for a tag outside 1..255 and for records that do not fit.
 */
export function layoutAdvBlock(records: readonly AdvRecord[]): Bytes {
  const { sorted, used } = orderAdvRecords(records);
  const head = structure(RECORDS_START + used);
  head.view.setUint32(0, HEAD_MAGIC);
  let position = RECORDS_START;
  for (const [tag, value] of sorted) {
    head.view.setUint32(position, tag);
    head.view.setUint32(position + 4, value.length);
    head.data.set(value, position + RECORD_HEADER);
    position += RECORD_HEADER + value.length;
  }
  const tail = structure(DIGEST_SIZE + 4);
  tail.view.setUint32(DIGEST_SIZE, TAIL_MAGIC);
  const gap = new Uint8Array(DIGEST_START - head.data.length);
  tail.data.set(sha256.create().update(head.data).update(gap).update(tail.data).digest());
  return place(ADV_BLOCK_SIZE, [
    { at: 0, bytes: ofMemory(head.data) },
    { at: DIGEST_START, bytes: ofMemory(tail.data) },
  ]);
}

/** The records as a block has them, and their bytes with headers. Throws as `layoutAdvBlock`, without the digest it takes so long to make. */
export function orderAdvRecords(records: readonly AdvRecord[]): {
  readonly sorted: readonly (readonly [number, Uint8Array])[];
  readonly used: number;
} {
  const byTag = new Map<number, Uint8Array>();
  for (const { tag, value } of records) {
    checkMetaKey(tag);
    byTag.set(tag, value);
  }
  const sorted = [...byTag].sort(([a], [b]) => a - b);
  const used = sorted.reduce((sum, [, value]) => sum + RECORD_HEADER + value.length, 0);
  if (used > ADV_CAPACITY) {
    throw invalid(`meta values: ${used} bytes with their headers, want at most ${ADV_CAPACITY}`, {
      hint: 'each value takes its length in bytes and 8 more',
    });
  }
  return { sorted, used };
}

export interface AdvBlock {
  /** In their order. */
  readonly records: readonly AdvRecord[];
  /** False when a record reaches past the area: those before it are in `records`, and Talos goes on with the other copy. */
  readonly complete: boolean;
}

/** `undefined` when magics or digest are wrong. */
export function decodeAdvBlock(block: Uint8Array): AdvBlock | undefined {
  if (block.length !== ADV_BLOCK_SIZE) return undefined;
  const view = viewOf(block);
  if (view.getUint32(0) !== HEAD_MAGIC || view.getUint32(TAIL_START) !== TAIL_MAGIC) return undefined;
  return hasDigest(block) ? decodeAdvRecords(block.subarray(RECORDS_START, DIGEST_START)) : undefined;
}

/** The record list of a block, without magics and digest. */
export function decodeAdvRecords(area: Uint8Array): AdvBlock {
  const view = viewOf(area);
  const records: AdvRecord[] = [];
  for (let position = 0; position + RECORD_HEADER <= area.length; ) {
    const tag = view.getUint32(position);
    if (tag === 0) break;
    const start = position + RECORD_HEADER;
    const end = start + view.getUint32(position + 4);
    if (end > area.length) return { records, complete: false };
    records.push({ tag: tag & 0xff, value: new Uint8Array(area.subarray(start, end)) });
    position = end;
  }
  return { records, complete: true };
}

function hasDigest(block: Uint8Array): boolean {
  const hash = sha256.create().update(block.subarray(0, DIGEST_START));
  const want = hash.update(new Uint8Array(DIGEST_SIZE)).update(block.subarray(TAIL_START)).digest();
  return want.every((byte, index) => byte === block[DIGEST_START + index]);
}
