/** Small directories, which lie in their inode. Big-endian. Source: XFS Algorithms and Data Structures, "Short Form Directories". */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { type DecodedSlot, HEADER_SIZE, slotSize } from './directory-data.ts';
import type { DirectoryContent } from './directory-item.ts';

/** Offsets within a block, were it one: `.` and `..` come first there. */
const FIRST_OFFSET: number = HEADER_SIZE + slotSize(1) + slotSize(2);

/** Bytes in the inode. May be far more than there is room for. */
export function shortFormSize(content: DirectoryContent): number {
  const width = inodeWidth(content);
  return content.items.reduce((sum, { name }) => sum + 4 + name.length + width, 2 + width);
}

/** All inode numbers are of 32 bits, unless one needs more. */
function inodeWidth({ parent, items }: DirectoryContent): 4 | 8 {
  return parent > 0xffffffff || items.some(({ inode }) => inode > 0xffffffff) ? 8 : 4;
}

export function encodeShortForm(content: DirectoryContent): Uint8Array {
  const { parent, items } = content;
  const width = inodeWidth(content);
  const { data, view } = structure(shortFormSize(content));
  const putInode = (at: number, inode: number): void => {
    if (width === 4) view.setUint32(at, inode);
    else view.setBigUint64(at, BigInt(inode));
  };
  view.setUint8(0, items.length);
  // How many of the numbers need 64 bits; what counts is whether it is none.
  const large = [parent, ...items.map(({ inode }) => inode)].filter((inode) => inode > 0xffffffff).length;
  view.setUint8(1, large);
  putInode(2, parent);
  let at = 2 + width;
  let offset = FIRST_OFFSET;
  for (const { name, inode, type } of items) {
    view.setUint8(at, name.length);
    view.setUint16(at + 1, offset);
    data.set(name, at + 3);
    view.setUint8(at + 3 + name.length, type);
    putInode(at + 4 + name.length, inode);
    at += 4 + name.length + width;
    offset += slotSize(name.length);
  }
  return data;
}

/** `data` is the directory's size. Throws `invalid-input` when its entries are not sound. */
export function decodeShortForm(data: Uint8Array, inode: number): DecodedSlot[] {
  const wrong = (): Error => invalid(`XFS directory ${inode}: its entries in the inode are damaged`);
  const view = viewOf(data);
  if (data.length < 6) throw wrong();
  const count = view.getUint8(0);
  const width = view.getUint8(1) === 0 ? 4 : 8;
  const slots: DecodedSlot[] = [];
  let at = 2 + width;
  for (let index = 0; index < count; index++) {
    const nameLength = at < data.length ? view.getUint8(at) : 0;
    const end = at + 4 + nameLength + width;
    if (nameLength === 0 || end > data.length) throw wrong();
    const numberAt = end - width;
    slots.push({
      name: data.subarray(at + 3, at + 3 + nameLength),
      inode: width === 4 ? BigInt(view.getUint32(numberAt)) : view.getBigUint64(numberAt),
    });
    at = end;
  }
  return slots;
}
