/** Reading a volume, hostile ones included: descriptors, Rock Ridge tree, boot catalog, and the view of a partition at block 16. */
import { type Bytes, concat, slice } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { type Attributes, type Entry, type Tree, treeOf } from '../../tree/tree.ts';
import { BLOCK_SIZE } from './block.ts';
import { type DirectoryRecord, decodeDirectoryRecord, FLAG } from './directory-record.ts';
import { type BootImage, decodeBootCatalog } from './el-torito.ts';
import { type IsoRange, PARTITION_OFFSET, SYSTEM_AREA_BLOCKS } from './layout.ts';
import { decodePathTable, type PathTableRecord } from './path-table.ts';
import { decodeExtensionReference, decodeRockRidge, type RockRidge } from './rock-ridge.ts';
import { decodeContinuation, decodeFields, type Field } from './system-use.ts';
import {
  decodeBootRecord,
  decodePrimaryDescriptor,
  descriptorType,
  type PrimaryDescriptor,
  TYPE,
} from './volume-descriptor.ts';

export interface IsoVolume {
  readonly descriptor: PrimaryDescriptor;
  /** Names, modes, owners, times and links of Rock Ridge where it has them; else identifiers, 0555 and 0444, record times. */
  readonly tree: Tree;
  /** The pieces each non-empty file lies in, by path. */
  readonly files: ReadonlyMap<string, readonly IsoRange[]>;
  /** ISO identifiers of all entries but the root, by path. */
  readonly identifiers: ReadonlyMap<string, string>;
  /** Identifier of the extension the root names, such as `RRIP_1991A`. */
  readonly extension: string | undefined;
  /** Both forms agree. */
  readonly pathTable: readonly PathTableRecord[];
}

export interface IsoImage extends IsoVolume {
  readonly boot: { readonly catalogBlock: number; readonly images: readonly BootImage[] } | undefined;
  /** The volume as the partition that begins at block 16 shows it. */
  readonly partitionView: IsoVolume | undefined;
}

/** A terminator comes within this many blocks. */
const MAXIMUM_DESCRIPTORS = 64;
/** Bytes of directories and path tables that are looked at: 200 000 entries. */
const MAXIMUM_DIRECTORY_BYTES = 1 << 26;
const MAXIMUM_DEPTH = 256;
/** Areas one record goes on in; the longest link target takes three. */
const MAXIMUM_AREAS = 16;

/**
 * The image of a volume. What is read is bounded, whatever the image says of itself; file contents are ranges of `image`.
 * Throws `invalid-input` for anything that contradicts itself or lies outside the image.
 */
export async function decodeIso9660(image: Bytes): Promise<IsoImage> {
  let descriptor: Uint8Array | undefined;
  let catalogBlock: number | undefined;
  for (let index = 0; index < MAXIMUM_DESCRIPTORS; index++) {
    const block = await readBlock(image, SYSTEM_AREA_BLOCKS + index);
    const type = descriptorType(block);
    if (type === undefined) throw invalid(`ISO 9660: no volume descriptor in block ${SYSTEM_AREA_BLOCKS + index}`);
    if (type === TYPE.terminator) break;
    if (type === TYPE.primary) descriptor ??= block;
    if (type === TYPE.bootRecord) catalogBlock ??= decodeBootRecord(block);
  }
  if (descriptor === undefined) throw invalid('ISO 9660: no primary volume descriptor');
  const volume = await decodeVolume(image, descriptor, 0);
  const boot =
    catalogBlock === undefined
      ? undefined
      : { catalogBlock, images: decodeBootCatalog(await readBlock(image, catalogBlock)) };
  return { ...volume, boot, partitionView: await decodePartitionView(image) };
}

async function decodePartitionView(image: Bytes): Promise<IsoVolume | undefined> {
  const block = PARTITION_OFFSET + SYSTEM_AREA_BLOCKS;
  if ((block + 1) * BLOCK_SIZE > image.size) return undefined;
  const descriptor = await readBlock(image, block);
  return descriptorType(descriptor) === TYPE.primary ? decodeVolume(image, descriptor, PARTITION_OFFSET) : undefined;
}

interface Walk {
  readonly image: Bytes;
  /** Blocks before the volume. */
  readonly base: number;
  readonly entries: Entry[];
  readonly files: Map<string, readonly IsoRange[]>;
  readonly identifiers: Map<string, string>;
  /** First blocks of directories, so that none is read twice. */
  readonly seen: Set<number>;
  budget: number;
}

async function decodeVolume(image: Bytes, block: Uint8Array, base: number): Promise<IsoVolume> {
  const descriptor = decodePrimaryDescriptor(block);
  const walk: Walk = {
    image,
    base,
    entries: [],
    files: new Map(),
    identifiers: new Map(),
    seen: new Set(),
    budget: MAXIMUM_DIRECTORY_BYTES,
  };
  const records = await readDirectory(walk, descriptor.root);
  const fields = await readFields(walk, records[0]!);
  walk.entries.push({ kind: 'directory', path: '', ...attributesOf(records[0]!, decodeRockRidge(fields)) });
  await visit(walk, records, '', 0);
  const reference = fields.find(({ signature }) => signature === 'ER');
  return {
    descriptor,
    tree: treeOf(walk.entries),
    files: walk.files,
    identifiers: walk.identifiers,
    extension: reference === undefined ? undefined : decodeExtensionReference(reference),
    pathTable: await readPathTable(walk, descriptor),
  };
}

async function visit(walk: Walk, records: readonly DirectoryRecord[], directory: string, depth: number): Promise<void> {
  if (depth > MAXIMUM_DEPTH) throw invalid(`ISO 9660: directories are nested deeper than ${MAXIMUM_DEPTH}`);
  for (let index = 2; index < records.length; index++) {
    const record = records[index]!;
    const sections = [record];
    while ((records[index]!.flags & FLAG.multiExtent) !== 0) {
      index++;
      const next = records[index];
      if (next === undefined || next.identifier !== record.identifier) {
        throw invalid(`ISO 9660 file ${shown(record.identifier)}: its last section is missing`);
      }
      sections.push(next);
    }
    const ridge = decodeRockRidge(await readFields(walk, record));
    const name = checkName(ridge.name ?? record.identifier.replace(/\.?;\d*$/, ''));
    const path = directory === '' ? name : `${directory}/${name}`;
    walk.identifiers.set(path, record.identifier);
    const entry = entryOf(walk, path, sections, ridge);
    walk.entries.push(entry);
    if (entry.kind === 'directory') await visit(walk, await readDirectory(walk, record), path, depth + 1);
  }
}

function entryOf(walk: Walk, path: string, sections: readonly DirectoryRecord[], ridge: RockRidge): Entry {
  const record = sections[0]!;
  const isDirectory = (record.flags & FLAG.directory) !== 0;
  const kind = ridge.kind ?? (isDirectory ? 'directory' : 'file');
  if ((kind === 'directory') !== isDirectory) throw invalid(`ISO 9660 entry "${path}": its flags and its mode differ`);
  const attributes = attributesOf(record, ridge);
  switch (kind) {
    case 'directory':
    case 'fifo':
      return { kind, path, ...attributes };
    case 'symlink':
      if (ridge.target === undefined) throw invalid(`ISO 9660 link "${path}": has no target`);
      return { kind, path, target: ridge.target, ...attributes };
    case 'character':
    case 'block':
      return { kind, path, ...(ridge.device ?? { major: 0, minor: 0 }), ...attributes };
    case 'file': {
      const ranges = sections
        .filter(({ size }) => size > 0)
        .map(({ block, size }) => ({ offset: (block + walk.base) * BLOCK_SIZE, size }));
      for (const { offset, size } of ranges) {
        if (offset + size > walk.image.size) throw invalid(`ISO 9660 file "${path}": lies outside the image`);
      }
      if (ranges.length > 0) walk.files.set(path, ranges);
      const content = concat(ranges.map(({ offset, size }) => slice(walk.image, offset, offset + size)));
      return { kind, path, content, ...attributes };
    }
  }
}

function attributesOf(record: DirectoryRecord, ridge: RockRidge): Attributes {
  const isDirectory = (record.flags & FLAG.directory) !== 0;
  return {
    mode: ridge.mode ?? (isDirectory ? 0o555 : 0o444),
    uid: ridge.uid ?? 0,
    gid: ridge.gid ?? 0,
    mtime: ridge.mtime ?? record.time,
  };
}

/** The records of a directory, itself and its parent first. */
async function readDirectory(walk: Walk, directory: DirectoryRecord): Promise<DirectoryRecord[]> {
  const { block, size } = directory;
  if (walk.seen.has(block)) throw invalid(`ISO 9660: the directory at block ${block} has two parents`);
  walk.seen.add(block);
  const data = await readBounded(walk, block, size, 'directory');
  const records: DirectoryRecord[] = [];
  for (let at = 0; at < data.length; ) {
    const blockEnd = Math.min(data.length, (Math.floor(at / BLOCK_SIZE) + 1) * BLOCK_SIZE);
    if (data[at] === 0) {
      at = blockEnd;
      continue;
    }
    records.push(decodeDirectoryRecord(data.subarray(at, blockEnd)));
    at += data[at]!;
  }
  if (records.length < 2) throw invalid(`ISO 9660: the directory at block ${block} lacks its own records`);
  return records;
}

/** System use fields of a record, with those it goes on in. */
async function readFields(walk: Walk, record: DirectoryRecord): Promise<Field[]> {
  const fields: Field[] = [];
  let data = record.systemUse;
  for (let areas = 0; ; areas++) {
    const found = decodeFields(data);
    fields.push(...found.filter(({ signature }) => signature !== 'CE'));
    const more = found.find(({ signature }) => signature === 'CE');
    if (more === undefined) return fields;
    if (areas === MAXIMUM_AREAS) throw invalid(`ISO 9660 entry ${shown(record.identifier)}: continued too often`);
    const { block, offset, size } = decodeContinuation(more);
    if (offset + size > BLOCK_SIZE) {
      throw invalid(`ISO 9660 entry ${shown(record.identifier)}: continued across the end of a block`);
    }
    data = (await readBounded(walk, block, offset + size, 'continuation')).subarray(offset);
  }
}

async function readPathTable(walk: Walk, descriptor: PrimaryDescriptor): Promise<PathTableRecord[]> {
  const size = descriptor.pathTableSize;
  const little = decodePathTable(await readBounded(walk, descriptor.littlePathTable, size, 'path table'), 'little');
  const big = decodePathTable(await readBounded(walk, descriptor.bigPathTable, size, 'path table'), 'big');
  const differs = little.some((record, index) => record.block !== big[index]?.block);
  if (differs || little.length !== big.length) throw invalid('ISO 9660: the two path tables differ');
  return little;
}

async function readBounded(walk: Walk, block: number, size: number, what: string): Promise<Uint8Array> {
  const at = (block + walk.base) * BLOCK_SIZE;
  if (at + size > walk.image.size) throw invalid(`ISO 9660 ${what} at block ${block}: lies outside the image`);
  walk.budget -= size;
  if (walk.budget < 0) throw invalid(`ISO 9660: more than ${MAXIMUM_DIRECTORY_BYTES} bytes of directories`);
  return read(walk.image, at, size);
}

async function readBlock(image: Bytes, block: number): Promise<Uint8Array> {
  const at = block * BLOCK_SIZE;
  if (at + BLOCK_SIZE > image.size) throw invalid(`ISO 9660: block ${block} lies outside the image`);
  return read(image, at, BLOCK_SIZE);
}

function checkName(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
    throw invalid(`ISO 9660 file name ${shown(name)}: want a name without slashes`);
  }
  return name;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
