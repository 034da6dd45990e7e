/** Reading extended attributes, in whichever form they are. */
import type { Bytes } from '../../bytes/bytes.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { fullNameOf } from './attribute.ts';
import { ATTRIBUTE_LEAF_MAGIC, type DecodedAttribute, decodeAttributeLeaf } from './attribute-leaf.ts';
import { decodeDaHeader } from './da-block.ts';
import { firstChild, NODE_MAGIC } from './da-node.ts';
import { type DecodedInode, FORMAT } from './inode.ts';
import { decodeRemote } from './remote-value.ts';
import { decodeShortAttributes } from './short-form-attributes.ts';
import { forkBytes, readExtents, type Volume } from './volume.ts';

/** Levels of a hash tree. */
const MAXIMUM_LEVELS = 5;

/** Of one attribute. */
const MAXIMUM_VALUE = 65536;

/** Bytes of names and values that may still be read; entries of a leaf may all lead to one value. */
export interface AttributeBudget {
  left: number;
}

/** By full name; those that users do not see are left out. Throws `invalid-input` when they are not sound. */
export async function readAttributes(
  volume: Volume,
  inode: DecodedInode,
  budget: AttributeBudget,
): Promise<Map<string, Uint8Array>> {
  const { attributes: fork, number } = inode;
  if (fork === undefined) return new Map();
  if (fork.format === FORMAT.local) return decodeShortAttributes(fork.literal, number);
  const extents = await readExtents(volume, number, fork);
  const last = extents.at(-1);
  if (last === undefined) return new Map();
  const { blockSize } = volume.superblock;
  const content = forkBytes(volume, number, extents, (last.offset + last.count) * blockSize);
  const found = new Map<string, Uint8Array>();
  for (const { flags, name, value } of await readLeaves(volume, number, content)) {
    const fullName = fullNameOf(flags, name);
    if (fullName === undefined) continue;
    budget.left -= name.length + (value.kind === 'local' ? value.data.length : value.size);
    if (budget.left < 0) throw invalid(`XFS inode ${number}: more attributes than are read of one volume`);
    const data = value.kind === 'local' ? value.data : await readRemote(volume, number, content, value);
    found.set(fullName, data.slice());
  }
  return found;
}

async function readLeaves(volume: Volume, inode: number, content: Bytes): Promise<DecodedAttribute[]> {
  const wrong = (): Error => invalid(`XFS inode ${inode}: its attributes are damaged`);
  const found: DecodedAttribute[] = [];
  const seen = new Set<number>();
  let block = 0;
  let levels = 0;
  do {
    const data = await readBlock(volume, content, block);
    const header = data === undefined ? undefined : decodeDaHeader(data, inode, { checksums: volume.checksums });
    if (data === undefined || header === undefined || seen.has(block)) throw wrong();
    seen.add(block);
    if (header.magic === NODE_MAGIC && found.length === 0 && levels < MAXIMUM_LEVELS) {
      levels++;
      block = firstChild(viewOf(data)) ?? 0;
      continue;
    }
    const entries = header.magic === ATTRIBUTE_LEAF_MAGIC ? decodeAttributeLeaf(data) : undefined;
    if (entries === undefined) throw wrong();
    found.push(...entries);
    block = header.next;
  } while (block !== 0);
  return found;
}

async function readBlock({ superblock }: Volume, content: Bytes, block: number): Promise<Uint8Array | undefined> {
  const { blockSize } = superblock;
  const at = block * blockSize;
  return at + blockSize > content.size ? undefined : read(content, at, blockSize);
}

async function readRemote(
  volume: Volume,
  inode: number,
  content: Bytes,
  { block, size }: { readonly block: number; readonly size: number },
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let done = 0;
  for (let index = block; done < size && size <= MAXIMUM_VALUE; index++) {
    const data = await readBlock(volume, content, index);
    const piece =
      data === undefined ? undefined : decodeRemote('attribute', data, inode, done, { checksums: volume.checksums });
    if (piece === undefined) break;
    pieces.push(piece);
    done += piece.length;
  }
  if (done !== size) throw invalid(`XFS inode ${inode}: the value of an attribute is damaged`);
  return joinMemory(pieces);
}
