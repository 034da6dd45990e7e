/**
 * What blocks of hash trees, of directories and of attributes, begin with: siblings, magic, checksum, place, owner; 56 bytes, big-endian
 * but for the checksum. Block numbers are those within the fork. Source: XFS Algorithms and Data Structures, "Variable Length Record B+trees".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { isSealed, seal } from './checksum.ts';
import { BLOCK_SIZE, diskAddress } from './geometry.ts';

const CHECKSUM_OFFSET = 0x0c;

export interface DaHeader {
  readonly magic: number;
  /** Volume block. */
  readonly self: number;
  /** Siblings; 0 for none, which no sibling's number is. */
  readonly previous: number;
  readonly next: number;
  readonly uuid: Uint8Array;
  readonly inode: number;
}

/** A block with this header; `fill` writes the rest before it is sealed. */
export function encodeDaBlock(header: DaHeader, fill: (view: DataView, data: Uint8Array) => void): Uint8Array {
  const { data, view } = structure(BLOCK_SIZE);
  view.setUint32(0x00, header.next);
  view.setUint32(0x04, header.previous);
  view.setUint16(0x08, header.magic);
  view.setBigUint64(0x10, BigInt(diskAddress(header.self)));
  data.set(header.uuid, 0x20);
  view.setBigUint64(0x30, BigInt(header.inode));
  fill(view, data);
  seal(data, CHECKSUM_OFFSET);
  return data;
}

export interface DecodedDaHeader {
  readonly magic: number;
  readonly next: number;
}

/** `undefined` when the block is another inode's or damaged. */
export function decodeDaHeader(
  data: Uint8Array,
  inode: number,
  { checksums }: { readonly checksums: boolean },
): DecodedDaHeader | undefined {
  const view = viewOf(data);
  if (view.getBigUint64(0x30) !== BigInt(inode) || (checksums && !isSealed(data, CHECKSUM_OFFSET))) return undefined;
  return { magic: view.getUint16(0x08), next: view.getUint32(0x00) };
}
