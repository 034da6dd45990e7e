/** Few attributes, which lie in their inode. Big-endian. Source: XFS Algorithms and Data Structures, "Short Form Attributes". */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { type Attribute, fullNameOf } from './attribute.ts';

const HEADER_SIZE = 4;
const ENTRY_HEADER_SIZE = 3;

/** Bytes in the inode, or `undefined` when this form cannot hold them, however much room there is. */
export function shortAttributesSize(attributes: readonly Attribute[]): number | undefined {
  if (attributes.length > 255 || attributes.some(({ value }) => value.length > 255)) return undefined;
  return attributes.reduce((sum, { name, value }) => sum + ENTRY_HEADER_SIZE + name.length + value.length, HEADER_SIZE);
}

export function encodeShortAttributes(attributes: readonly Attribute[]): Uint8Array {
  const { data, view } = structure(shortAttributesSize(attributes)!);
  view.setUint16(0, data.length);
  view.setUint8(2, attributes.length);
  let at = HEADER_SIZE;
  for (const { namespace, name, value } of attributes) {
    view.setUint8(at, name.length);
    view.setUint8(at + 1, value.length);
    view.setUint8(at + 2, namespace);
    data.set(name, at + ENTRY_HEADER_SIZE);
    data.set(value, at + ENTRY_HEADER_SIZE + name.length);
    at += ENTRY_HEADER_SIZE + name.length + value.length;
  }
  return data;
}

/** Those that users see. Throws `invalid-input` when the entries are not sound. */
export function decodeShortAttributes(literal: Uint8Array, inode: number): Map<string, Uint8Array> {
  const wrong = (): Error => invalid(`XFS inode ${inode}: its attributes are damaged`);
  if (literal.length < HEADER_SIZE) throw wrong();
  const view = viewOf(literal);
  const size = view.getUint16(0);
  if (size > literal.length) throw wrong();
  const found = new Map<string, Uint8Array>();
  let at = HEADER_SIZE;
  for (let left = view.getUint8(2); left > 0; left--) {
    if (at + ENTRY_HEADER_SIZE > size) throw wrong();
    const nameAt = at + ENTRY_HEADER_SIZE;
    const valueAt = nameAt + view.getUint8(at);
    const end = valueAt + view.getUint8(at + 1);
    if (end > size) throw wrong();
    const name = fullNameOf(view.getUint8(at + 2), literal.subarray(nameAt, valueAt));
    if (name !== undefined) found.set(name, literal.slice(valueAt, end));
    at = end;
  }
  return found;
}
