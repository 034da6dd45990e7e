/**
 * Inodes of version 3: a core of 176 bytes, and behind it the data fork and the attribute fork, which share what is left of 512 bytes.
 * Big-endian but for the checksum. Source: XFS Algorithms and Data Structures, "On-disk Inode".
 */
import { getU64, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { StatFields } from '../volume/inode-entry.ts';
import { NULL_32 } from './agi.ts';
import { isSealed, seal } from './checksum.ts';
import { INODE_SIZE } from './geometry.ts';
import { decodeTime } from './timestamp.ts';

const MAGIC = 0x494e;
const CHECKSUM_OFFSET = 0x64;

export const CORE_SIZE = 0xb0;

/** Bytes for both forks. */
export const LITERAL_SIZE: number = INODE_SIZE - CORE_SIZE;

/** How a fork holds its content. */
export const FORMAT = { device: 0, local: 1, extents: 2, tree: 3 } as const;
export type Format = (typeof FORMAT)[keyof typeof FORMAT];

/** Bits of `di_flags2`. */
const FLAGS2 = { bigtime: 8, nrext64: 0x10 } as const;

/** Bits of `di_flags`. */
const REAL_TIME = 1;

/** On the bitmap of real-time sections, an empty one too, that its new form is in use. */
export const NEW_BITMAP = 4;

export interface Fork {
  readonly format: Format;
  /** What lies in the inode: content, extents, or the root of a tree of extents. */
  readonly literal: Uint8Array;
  /** Extents, wherever they lie. */
  readonly extents: number;
}

export interface InodeCore extends Omit<StatFields, 'modified'> {
  /** Blocks that the inode owns, whatever for. */
  readonly blocks: number;
  readonly generation: number;
  /** `di_flags`. */
  readonly flags: number;
  /** As `encodeBigTime` gives them. */
  readonly modified: bigint;
  readonly changed: bigint;
}

/**
 * Fills `into`, 512 zero bytes. `attributeOffset` is where the attribute fork begins, in bytes after the core: a multiple of 8, or 0 for none.
 */
export function encodeInode(
  into: Uint8Array,
  core: InodeCore,
  data: Fork,
  attributes: Fork | undefined,
  attributeOffset: number,
  options: { readonly uuid: Uint8Array; readonly nrext64: boolean },
): void {
  const view = viewOf(into);
  view.setUint16(0x00, MAGIC);
  view.setUint16(0x02, core.mode);
  view.setUint8(0x04, 3);
  view.setUint8(0x05, data.format);
  view.setUint32(0x08, core.uid);
  view.setUint32(0x0c, core.gid);
  view.setUint32(0x10, core.links);
  view.setBigUint64(0x20, core.changed);
  view.setBigUint64(0x28, core.modified);
  view.setBigUint64(0x30, core.changed);
  view.setBigUint64(0x38, BigInt(core.size));
  view.setBigUint64(0x40, BigInt(core.blocks));
  if (options.nrext64) {
    view.setBigUint64(0x18, BigInt(data.extents));
    view.setUint32(0x4c, attributes?.extents ?? 0);
  } else {
    view.setUint32(0x4c, data.extents);
    view.setUint16(0x50, attributes?.extents ?? 0);
  }
  view.setUint8(0x52, attributeOffset / 8);
  view.setUint8(0x53, attributes?.format ?? FORMAT.extents);
  view.setUint16(0x5a, core.flags);
  view.setUint32(0x5c, core.generation);
  view.setUint32(0x60, NULL_32); // next in the list of deleted inodes
  view.setBigUint64(0x68, 1n); // changes
  view.setBigUint64(0x78, BigInt(FLAGS2.bigtime | (options.nrext64 ? FLAGS2.nrext64 : 0)));
  view.setBigUint64(0x90, core.changed); // creation
  view.setBigUint64(0x98, BigInt(core.number));
  into.set(options.uuid, 0xa0);
  into.set(data.literal, CORE_SIZE);
  if (attributes !== undefined) into.set(attributes.literal, CORE_SIZE + attributeOffset);
  seal(into, CHECKSUM_OFFSET);
}

/** Fills `into`, 512 zero bytes, with an inode that nobody uses. */
export function encodeFreeInode(into: Uint8Array, number: number, generation: number, uuid: Uint8Array): void {
  const view = viewOf(into);
  view.setUint16(0x00, MAGIC);
  view.setUint8(0x04, 3);
  view.setUint32(0x5c, generation);
  view.setUint32(0x60, NULL_32);
  view.setBigUint64(0x98, BigInt(number));
  into.set(uuid, 0xa0);
  seal(into, CHECKSUM_OFFSET);
}

export interface DecodedInode extends StatFields {
  readonly generation: number;
  /** The content lies in a section of its own. */
  readonly realTime: boolean;
  readonly data: Fork;
  /** `undefined` without an attribute fork. */
  readonly attributes: Fork | undefined;
}

/** Throws `invalid-input` for what is no sound inode of version 3 with this number. */
export function decodeInode(
  bytes: Uint8Array,
  number: number,
  { checksums }: { readonly checksums: boolean },
): DecodedInode {
  const view = viewOf(bytes);
  const say = (what: string): Error => invalid(`XFS inode ${number}: ${what}`);
  if (view.getUint16(0x00) !== MAGIC) throw say('no inode is there');
  if (view.getUint8(0x04) !== 3) throw say(`version ${view.getUint8(0x04)}, want 3`);
  if (checksums && !isSealed(bytes, CHECKSUM_OFFSET)) throw say('its checksum does not match');
  if (view.getBigUint64(0x98) !== BigInt(number)) throw say(`says it is ${view.getBigUint64(0x98)}`);
  const flags2 = getU64(view, 0x78, false);
  const many = (flags2 & FLAGS2.nrext64) !== 0;
  const attributeOffset = view.getUint8(0x52) * 8;
  const literal = bytes.subarray(CORE_SIZE);
  if (attributeOffset >= literal.length) throw say(`attributes at ${attributeOffset} of ${literal.length} bytes`);
  const data: Fork = {
    format: formatOf(view.getUint8(0x05), say),
    literal: attributeOffset === 0 ? literal : literal.subarray(0, attributeOffset),
    extents: many ? getU64(view, 0x18, false) : view.getUint32(0x4c),
  };
  const attributes: Fork = {
    format: formatOf(view.getUint8(0x53), say),
    literal: literal.subarray(attributeOffset),
    extents: many ? view.getUint32(0x4c) : view.getUint16(0x50),
  };
  return {
    number,
    mode: view.getUint16(0x02),
    uid: view.getUint32(0x08),
    gid: view.getUint32(0x0c),
    links: view.getUint32(0x10),
    size: getU64(view, 0x38, false),
    modified: decodeTime(view.getBigUint64(0x28), (flags2 & FLAGS2.bigtime) !== 0),
    generation: view.getUint32(0x5c),
    realTime: (view.getUint16(0x5a) & REAL_TIME) !== 0,
    data,
    attributes: attributeOffset === 0 ? undefined : attributes,
  };
}

function formatOf(value: number, say: (what: string) => Error): Format {
  if (value > FORMAT.tree) throw say(`fork of format ${value}`);
  return value as Format;
}
