/** Inodes as they are read: see `inode.ts`. */
import { getU64, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { decodeDeviceNumber, EXTENDED, type Inode, type InodeKind, NONE, TYPE, UNLISTED_SIZE } from './inode.ts';
import type { MetadataReader } from './metadata-reader.ts';

/** Bounds on what one inode may claim: what the limits of the image leave. */
export interface InodeLimits {
  readonly blockSize: number;
  /** Blocks of one file. */
  readonly blocks: number;
  /** Bytes of the target of a link. */
  readonly target: number;
}

const COMMON_SIZE = 16;

/** The inode at the reader's position. Indexes of directories are not read: listings are read whole. Throws `invalid-input`. */
export async function decodeInode(reader: MetadataReader, limits: InodeLimits): Promise<Inode> {
  const view = viewOf(await reader.read(COMMON_SIZE));
  const type = view.getUint16(0, true);
  const number = view.getUint32(12, true);
  const extended = type > EXTENDED;
  const common = {
    mode: view.getUint16(2, true) & 0o7777,
    uidIndex: view.getUint16(4, true),
    gidIndex: view.getUint16(6, true),
    mtime: view.getUint32(8, true),
    number,
  };
  const kind = kindOf(extended ? type - EXTENDED : type, number);
  switch (kind) {
    case 'file':
      return { kind, ...common, ...(await decodeFile(reader, extended, number, limits)) };
    case 'directory':
      return { kind, ...common, ...(await decodeDirectory(reader, extended)) };
    case 'symlink': {
      const fields = viewOf(await reader.read(8));
      const size = fields.getUint32(4, true);
      if (size < 1 || size > limits.target) throw invalid(`squashfs link, inode ${number}: a target of ${size} bytes`);
      const target = await reader.read(size);
      return {
        kind,
        ...common,
        links: fields.getUint32(0, true),
        target,
        attributes: await attributesOf(reader, extended),
      };
    }
    case 'block':
    case 'character': {
      const fields = viewOf(await reader.read(8));
      const device = decodeDeviceNumber(fields.getUint32(4, true));
      return {
        kind,
        ...common,
        links: fields.getUint32(0, true),
        ...device,
        attributes: await attributesOf(reader, extended),
      };
    }
    case 'fifo':
    case 'socket': {
      const links = viewOf(await reader.read(4)).getUint32(0, true);
      return { kind, ...common, links, attributes: await attributesOf(reader, extended) };
    }
  }
}

function kindOf(type: number, number: number): InodeKind {
  for (const [kind, known] of Object.entries(TYPE)) if (known === type) return kind as InodeKind;
  throw invalid(`squashfs inode ${number}: type ${type}`);
}

/** Behind all else in extended inodes without a place of their own for it. */
async function attributesOf(reader: MetadataReader, extended: boolean): Promise<number | undefined> {
  return extended ? unlessNone(viewOf(await reader.read(4)).getUint32(0, true)) : undefined;
}

function unlessNone(value: number): number | undefined {
  return value === NONE ? undefined : value;
}

type FileFields = Omit<
  Extract<Inode, { kind: 'file' }>,
  'kind' | 'mode' | 'uidIndex' | 'gidIndex' | 'mtime' | 'number'
>;

async function decodeFile(
  reader: MetadataReader,
  extended: boolean,
  number: number,
  limits: InodeLimits,
): Promise<FileFields> {
  const view = viewOf(await reader.read(extended ? 40 : 16));
  const fields = extended
    ? {
        start: getU64(view, 0, true),
        size: getU64(view, 8, true),
        sparse: 0,
        links: view.getUint32(24, true),
        attributes: unlessNone(view.getUint32(36, true)),
      }
    : { start: view.getUint32(0, true), size: view.getUint32(12, true), sparse: 0, links: 1, attributes: undefined };
  const fragmentAt = extended ? 28 : 4;
  const index = unlessNone(view.getUint32(fragmentAt, true));
  const fragment = index === undefined ? undefined : { index, offset: view.getUint32(fragmentAt + 4, true) };
  const { blockSize } = limits;
  const count = fragment === undefined ? Math.ceil(fields.size / blockSize) : Math.floor(fields.size / blockSize);
  if (count > limits.blocks) throw invalid(`squashfs inode ${number}: a file of ${fields.size} bytes, too many blocks`);
  const data = viewOf(await reader.read(count * 4));
  const blocks = new Uint32Array(count);
  for (let block = 0; block < count; block++) blocks[block] = data.getUint32(block * 4, true);
  return { ...fields, fragment, blocks };
}

type DirectoryFields = Omit<
  Extract<Inode, { kind: 'directory' }>,
  'kind' | 'mode' | 'uidIndex' | 'gidIndex' | 'mtime' | 'number'
>;

async function decodeDirectory(reader: MetadataReader, extended: boolean): Promise<DirectoryFields> {
  const view = viewOf(await reader.read(extended ? 24 : 16));
  const fields = extended
    ? {
        links: view.getUint32(0, true),
        size: view.getUint32(4, true),
        listing: { block: view.getUint32(8, true), offset: view.getUint16(18, true) },
        parent: view.getUint32(12, true),
        attributes: unlessNone(view.getUint32(20, true)),
      }
    : {
        links: view.getUint32(4, true),
        size: view.getUint16(8, true),
        listing: { block: view.getUint32(0, true), offset: view.getUint16(10, true) },
        parent: view.getUint32(12, true),
        attributes: undefined,
      };
  // Some writers say 0 for an empty directory.
  return { ...fields, size: Math.max(0, fields.size - UNLISTED_SIZE), index: [] };
}
