/**
 * One file with holes as an archive of its own, as `tar --sparse --owner=0 --group=0 --numeric-owner` of GNU tar writes it: GNU format, the map
 * in the header and the blocks behind it (GNU tar manual, "Old GNU Format"; spec boot-and-images 7.4).
 */
import { type Bytes, concat, ofMemory, padToMultiple, slice, zeros } from '../../bytes/bytes.ts';
import { putAscii } from '../../bytes/field.ts';
import { BLOCK_SIZE, checksumOf, FIELDS, MAGIC_OFFSET, TYPE_OFFSET } from './block.ts';
import { OLD_BLOCK, OLD_HEADER, OLD_REAL_SIZE, type OldMapLayout, type SparsePart } from './sparse.ts';

export interface SparseMember {
  /** At most 99 ASCII characters. */
  readonly name: string;
  readonly content: Bytes;
  /** Permission bits. */
  readonly mode: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

/** What file systems keep holes in, and so what GNU tar finds: 4 KiB. */
const HOLE_SIZE = 4096;
/** GNU tar's default record: archives are padded to whole ones. */
const RECORD_SIZE = 20 * BLOCK_SIZE;
const NUMBER_WIDTH = 12;

/** The archive. Zeros that `content` knows of are not in it. Throws `invalid-input` for a name that does not fit. */
export function layoutSparseTar({ name, content, mode, mtime }: SparseMember): Bytes {
  const parts = storedParts(content);
  const isSparse = parts[0]!.length < content.size;
  const stored = parts.reduce((sum, { length }) => sum + length, 0);
  const header = new Uint8Array(BLOCK_SIZE);
  putAscii(header, FIELDS.name[0], FIELDS.name[1] - 1, name);
  for (const [field, value] of [
    ['mode', mode],
    ['uid', 0],
    ['gid', 0],
    ['size', stored],
    ['mtime', mtime],
  ] as const)
    putNumber(header, ...FIELDS[field], value);
  putAscii(header, TYPE_OFFSET, 1, isSparse ? 'S' : '0');
  putAscii(header, MAGIC_OFFSET, 8, 'ustar  ');
  const extension = isSparse ? putMap(header, parts, content.size) : [];
  const [checksum] = FIELDS.checksum;
  // Six digits, NUL, blank: the one field with another end.
  putAscii(header, checksum, 8, `${checksumOf(header).toString(8).padStart(6, '0')}\0 `);
  const data = parts.map(({ at, length }) => padToMultiple(slice(content, at, at + length), BLOCK_SIZE));
  const archive = concat([...[header, ...extension].map(ofMemory), ...data, zeros(2 * BLOCK_SIZE)]);
  return padToMultiple(archive, RECORD_SIZE);
}

/** Everything that is not a hole, ascending. Where there are holes, GNU tar has an empty part at the end, whatever comes before. */
function storedParts(content: Bytes): SparsePart[] {
  const parts: { at: number; length: number }[] = [];
  for (const [index, extent] of content.extents.entries()) {
    if (extent.kind === 'zeros') continue;
    const start = content.starts[index]!;
    const at = start - (start % HOLE_SIZE);
    const end = Math.min(Math.ceil((start + extent.length) / HOLE_SIZE) * HOLE_SIZE, content.size);
    const last = parts.at(-1);
    if (last !== undefined && last.at + last.length >= at) last.length = end - last.at;
    else parts.push({ at, length: end - at });
  }
  const isWhole = parts.length === 1 && parts[0]!.length === content.size;
  return isWhole ? parts : [...parts, { at: content.size, length: 0 }];
}

/** Writes the map's start and the size into the header; gives the blocks with what did not fit there. */
function putMap(header: Uint8Array, parts: readonly SparsePart[], size: number): Uint8Array[] {
  putNumber(header, OLD_REAL_SIZE, NUMBER_WIDTH, size);
  const blocks: Uint8Array[] = [];
  let block = header;
  let layout: OldMapLayout = OLD_HEADER;
  for (let done = 0; ; ) {
    const pairs = parts.slice(done, done + layout.count);
    for (const [index, { at, length }] of pairs.entries()) {
      const offset = layout.pairs + index * 2 * NUMBER_WIDTH;
      putNumber(block, offset, NUMBER_WIDTH, at);
      putNumber(block, offset + NUMBER_WIDTH, NUMBER_WIDTH, length);
    }
    done += pairs.length;
    if (done === parts.length) return blocks;
    block[layout.extended] = 1;
    block = new Uint8Array(BLOCK_SIZE);
    blocks.push(block);
    layout = OLD_BLOCK;
  }
}

/** Octal with a NUL, or where that does not fit base-256, big-endian. */
function putNumber(block: Uint8Array, offset: number, width: number, value: number): void {
  if (value < 8 ** (width - 1)) {
    putAscii(block, offset, width - 1, value.toString(8).padStart(width - 1, '0'));
    return;
  }
  let rest = value;
  for (let index = offset + width - 1; index > offset; index--) {
    block[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  block[offset] = 0x80;
}
