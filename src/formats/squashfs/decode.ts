/**
 * Reading squashfs images of version 4 into Trees, hostile ones included. Inodes and listings are read at once, contents when somebody reads them.
 */
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { getU64, viewOf } from '../../bytes/field.ts';
import { identityOf } from '../../bytes/identity.ts';
import { type ChunkOptions, read } from '../../bytes/read.ts';
import { MIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { invalid, stopIfAborted } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { type Entry, type Tree, treeOf } from '../../tree/tree.ts';
import { type ListedName, walkVolume } from '../volume/walk.ts';
import { blockDecoder } from './compressor.ts';
import { AttributeSets } from './decode-attributes.ts';
import { decodeInode } from './decode-inode.ts';
import { decodeListing } from './decode-listing.ts';
import { readLookupTable } from './decode-table.ts';
import { type BlockPlace, DataBlocks, fileContent } from './file-source.ts';
import type { Inode } from './inode.ts';
import { MetadataBlocks, MetadataReader } from './metadata-reader.ts';
import { decodeSuperblock, encodeReference, type Reference, SUPERBLOCK_SIZE, type Superblock } from './superblock.ts';

export interface SquashfsContent {
  readonly superblock: Superblock;
  readonly tree: Tree;
}

/** Of all files together: with blocks of 128 KiB content of 128 GiB. */
const MAXIMUM_BLOCKS: number = 1 << 20;
const MAXIMUM_FRAGMENTS: number = 1 << 20;
/** Targets of all links together: they may be repeated at hardly any cost. Bytes. */
const MAXIMUM_TARGETS: number = 128 * MIB;
/** What Linux follows. Bytes. */
const MAXIMUM_TARGET = 4095;

const FRAGMENT_ENTRY_SIZE = 16;
const ID_SIZE = 4;

/** Images in memory have nothing to be known by: each time one is decoded, its contents are their own. */
let decoded = 0;

/**
 * The tree of an image that begins at the start of `source`; what follows the image does not matter. Throws `invalid-input` for what is no sound image
 * and for one with sockets, `unsupported` for other versions and for compressors other than gzip, xz and zstd.
 */
export async function decodeSquashfs(
  source: Bytes,
  compression: Compression,
  { signal }: Pick<ChunkOptions, 'signal'> = {},
): Promise<SquashfsContent> {
  if (source.size < SUPERBLOCK_SIZE) throw invalid(`squashfs image: ${source.size} bytes`);
  const superblock = decodeSuperblock(await read(source, 0, SUPERBLOCK_SIZE), source.size);
  const { blockSize, idTable } = superblock;
  const image = slice(source, 0, superblock.size);
  const unpack = blockDecoder(superblock.compressor, compression);
  const metadata = new MetadataBlocks(image, unpack);
  const walk: Walk = {
    superblock,
    key: `squashfs ${identityOf(source) ?? `in memory ${decoded++}`}`,
    metadata,
    data: new DataBlocks(image, blockSize, unpack),
    fragments: await readFragments(image, metadata, superblock),
    ids: decodeIds(await readLookupTable(image, metadata, idTable, superblock.ids, ID_SIZE)),
    attributes: await AttributeSets.open(image, metadata, superblock.attributeTable),
    blocksLeft: MAXIMUM_BLOCKS,
    targetsLeft: MAXIMUM_TARGETS,
    signal,
  };
  const entries = await walkVolume<Reference, Inode>(
    {
      format: 'squashfs',
      whole: 'squashfs image',
      keyOf: encodeReference,
      readInode: (place) => readInode(walk, place),
      entryOf: (inode, place, path) => entryOf(walk, inode, place, path),
      listDirectory: (inode) => listDirectory(walk, inode),
      decodeName: (name, directory) => decodeName(name, directory.number),
    },
    superblock.rootInode,
  );
  return { superblock, tree: treeOf(entries) };
}

interface Walk {
  readonly superblock: Superblock;
  /** Names the image. */
  readonly key: string;
  readonly metadata: MetadataBlocks;
  readonly data: DataBlocks;
  readonly fragments: readonly BlockPlace[];
  readonly ids: readonly number[];
  readonly attributes: AttributeSets;
  /** Blocks that files may still have. */
  blocksLeft: number;
  /** Bytes that targets may still have. */
  targetsLeft: number;
  readonly signal: AbortSignal | undefined;
}

async function readFragments(
  image: Bytes,
  metadata: MetadataBlocks,
  { fragments, fragmentTable }: Superblock,
): Promise<BlockPlace[]> {
  if (fragments === 0 || fragmentTable === undefined) return [];
  if (fragments > MAXIMUM_FRAGMENTS) {
    throw invalid(`squashfs image: ${fragments} fragments, want at most ${MAXIMUM_FRAGMENTS}`);
  }
  const view = viewOf(await readLookupTable(image, metadata, fragmentTable, fragments, FRAGMENT_ENTRY_SIZE));
  return Array.from({ length: fragments }, (_, index) => {
    const at = index * FRAGMENT_ENTRY_SIZE;
    return { position: getU64(view, at, true), sizeField: view.getUint32(at + 8, true) };
  });
}

function decodeIds(table: Uint8Array): number[] {
  const view = viewOf(table);
  return Array.from({ length: table.length / ID_SIZE }, (_, index) => view.getUint32(index * ID_SIZE, true));
}

function listDirectory({ metadata, superblock }: Walk, inode: Inode): AsyncIterable<ListedName<Reference>> {
  if (inode.kind !== 'directory') throw invalid(`squashfs root: a ${inode.kind}, want a directory`);
  return decodeListing(new MetadataReader(metadata, superblock.directoryTable, inode.listing), inode);
}

function spendTarget(walk: Walk, bytes: number): void {
  walk.targetsLeft -= bytes;
  if (walk.targetsLeft < 0) throw invalid(`squashfs image: more than ${MAXIMUM_TARGETS} bytes of targets of links`);
}

async function readInode(walk: Walk, place: Reference): Promise<Inode> {
  stopIfAborted(walk.signal, 'squashfs image');
  const { inodeTable, blockSize } = walk.superblock;
  const limits = { blockSize, blocks: walk.blocksLeft, target: MAXIMUM_TARGET };
  const inode = await decodeInode(new MetadataReader(walk.metadata, inodeTable, place), limits);
  if (inode.kind === 'symlink') spendTarget(walk, inode.target.length);
  if (inode.kind === 'file') walk.blocksLeft -= inode.blocks.length;
  return inode;
}

function decodeName(data: Uint8Array, directory: number): string {
  const name = decodeUtf8(data, `squashfs directory, inode ${directory}: a name`);
  if (!/[/\0]/.test(name) && name !== '.' && name !== '..') return name;
  throw invalid(`squashfs directory, inode ${directory}: the name ${JSON.stringify(name)}`);
}

function idOf({ ids }: Walk, index: number): number {
  const id = ids[index];
  if (id === undefined) throw invalid(`squashfs image: owner ${index} of ${ids.length}`);
  return id;
}

async function entryOf(walk: Walk, inode: Inode, place: Reference, path: string): Promise<Entry> {
  const xattrs = inode.attributes === undefined ? undefined : await walk.attributes.get(inode.attributes);
  const common = {
    path,
    mode: inode.mode,
    uid: idOf(walk, inode.uidIndex),
    gid: idOf(walk, inode.gidIndex),
    mtime: inode.mtime,
    ...(xattrs === undefined || xattrs.size === 0 ? {} : { xattrs }),
  };
  switch (inode.kind) {
    case 'directory':
      return { kind: 'directory', ...common };
    case 'file': {
      const key = `${walk.key} inode at ${place.block}+${place.offset}`;
      const content = fileContent(walk.data, inode, walk.fragments, key);
      return {
        kind: 'file',
        ...common,
        content,
        ...(inode.links > 1 ? { inode: Symbol(`inode ${inode.number}`) } : {}),
      };
    }
    case 'symlink':
      return {
        kind: 'symlink',
        ...common,
        target: decodeUtf8(inode.target, `squashfs link "${common.path}": its target`),
      };
    case 'character':
    case 'block':
      return { kind: inode.kind, ...common, major: inode.major, minor: inode.minor };
    case 'fifo':
      return { kind: 'fifo', ...common };
    case 'socket':
      throw invalid(`squashfs entry "${common.path}": a socket, want files, directories, links, pipes and devices`);
  }
}
