/**
 * Leaves of attributes: a table sorted by hash from the front, names and values from the back. Big-endian.
 * Source: XFS Algorithms and Data Structures, "Leaf Attributes".
 */
import { viewOf } from '../../bytes/field.ts';
import { type Attribute, STORED_LOCALLY } from './attribute.ts';
import { encodeDaBlock } from './da-block.ts';
import type { ForkBlocks } from './da-node.ts';
import { BLOCK_SIZE } from './geometry.ts';

export const ATTRIBUTE_LEAF_MAGIC = 0x3bee;

const HEADER_SIZE = 0x50;
const ENTRY_SIZE = 8;

/** Entries from this size on have their value elsewhere: three quarters of a block, as Linux decides. */
const REMOTE_FROM: number = (BLOCK_SIZE * 3) / 4;

/** Value length, name length, name, value. */
function localSize({ name, value }: Attribute): number {
  return align(3 + name.length + value.length);
}

/** First block and length of the value, name length, name; and 2 bytes that a compiler's padding once brought in for good. */
function remoteSize({ name }: Attribute): number {
  return align(9 + name.length + 2);
}

function align(size: number): number {
  return Math.ceil(size / 4) * 4;
}

export function isRemote(attribute: Attribute): boolean {
  return localSize(attribute) >= REMOTE_FROM;
}

/** Bytes an attribute takes of a leaf. */
export function leafSize(attribute: Attribute): number {
  return ENTRY_SIZE + (isRemote(attribute) ? remoteSize(attribute) : localSize(attribute));
}

export const LEAF_ROOM: number = BLOCK_SIZE - HEADER_SIZE;

/** `attributes` in the order of their hashes; `valueBlock` gives the block within the fork where a remote value begins. */
export function encodeAttributeLeaf(
  attributes: readonly Attribute[],
  self: number,
  siblings: { readonly previous: number; readonly next: number },
  fork: ForkBlocks,
  valueBlock: (attribute: Attribute) => number,
): Uint8Array {
  const header = { magic: ATTRIBUTE_LEAF_MAGIC, self, ...siblings, uuid: fork.uuid, inode: fork.inode };
  return encodeDaBlock(header, (view, data) => {
    let end = BLOCK_SIZE;
    for (const [index, attribute] of attributes.entries()) {
      const { name, value, namespace, hash } = attribute;
      const remote = isRemote(attribute);
      end -= remote ? remoteSize(attribute) : localSize(attribute);
      const entry = HEADER_SIZE + index * ENTRY_SIZE;
      view.setUint32(entry, hash);
      view.setUint16(entry + 4, end);
      view.setUint8(entry + 6, namespace | (remote ? 0 : STORED_LOCALLY));
      if (remote) {
        view.setUint32(end, valueBlock(attribute));
        view.setUint32(end + 4, value.length);
        view.setUint8(end + 8, name.length);
        data.set(name, end + 9);
      } else {
        view.setUint16(end, value.length);
        view.setUint8(end + 2, name.length);
        data.set(name, end + 3);
        data.set(value, end + 3 + name.length);
      }
    }
    const table = HEADER_SIZE + attributes.length * ENTRY_SIZE;
    view.setUint16(0x38, attributes.length);
    view.setUint16(0x3a, BLOCK_SIZE - end); // bytes of names and values
    view.setUint16(0x3c, end); // where they begin
    // One free run of three that could be listed.
    view.setUint16(0x40, table);
    view.setUint16(0x42, end - table);
  });
}

export interface DecodedAttribute {
  readonly flags: number;
  readonly name: Uint8Array;
  readonly value:
    | { readonly kind: 'local'; readonly data: Uint8Array }
    | { readonly kind: 'remote'; readonly block: number; readonly size: number };
}

/** `undefined` when an entry is not sound. */
export function decodeAttributeLeaf(data: Uint8Array): DecodedAttribute[] | undefined {
  const view = viewOf(data);
  const count = view.getUint16(0x38);
  if (HEADER_SIZE + count * ENTRY_SIZE > data.length) return undefined;
  const found: DecodedAttribute[] = [];
  for (let index = 0; index < count; index++) {
    const entry = HEADER_SIZE + index * ENTRY_SIZE;
    const at = view.getUint16(entry + 4);
    const flags = view.getUint8(entry + 6);
    const local = (flags & STORED_LOCALLY) !== 0;
    const nameAt = at + (local ? 3 : 9);
    if (nameAt > data.length) return undefined;
    const nameEnd = nameAt + view.getUint8(nameAt - 1);
    const end = nameEnd + (local ? view.getUint16(at) : 0);
    if (end > data.length) return undefined;
    found.push({
      flags,
      name: data.subarray(nameAt, nameEnd),
      value: local
        ? { kind: 'local', data: data.subarray(nameEnd, end) }
        : { kind: 'remote', block: view.getUint32(at), size: view.getUint32(at + 4) },
    });
  }
  return found;
}
