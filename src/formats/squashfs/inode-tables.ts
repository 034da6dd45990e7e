/** The tables of inodes and listings, and those made on the way: positions by number, identifiers, attributes. */
import { putU64, structure } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { AttributeTable } from './attribute-table.ts';
import type { BlockEncoder } from './compressor.ts';
import type { PlacedContent } from './contents.ts';
import { type DirectoryEntry, type DirectoryIndex, encodeListing } from './directory.ts';
import { encodeInode, type Inode, type InodeCommon } from './inode.ts';
import { MetadataWriter } from './metadata.ts';
import { type Child, type DirectoryNode, isDirectory, type Node, type Nodes } from './nodes.ts';
import { encodeReference, type Reference } from './superblock.ts';

export const ID_SIZE = 4;
const REFERENCE_SIZE = 8;
/** They are counted with 16 bits. */
const MAXIMUM_IDS = 65535;

export interface InodeTables {
  readonly inodes: Uint8Array;
  readonly directories: Uint8Array;
  readonly root: Reference;
  /** Of the inodes, by number, 64 bits each. */
  readonly references: Uint8Array;
  /** Users and groups, 32 bits each. */
  readonly ids: Uint8Array;
  readonly attributes: AttributeTable;
}

/** Inodes and listings: what is in a directory before the directory itself, which says where its listing is, which says where they are. */
export async function encodeInodes(
  nodes: Nodes,
  placed: ReadonlyMap<Node, PlacedContent>,
  { pack }: BlockEncoder,
): Promise<InodeTables> {
  const inodes = new MetadataWriter(pack);
  const directories = new MetadataWriter(pack);
  const attributes = new AttributeTable(pack);
  const ids = new Map<number, number>();
  const positions = new Map<Node, Reference>();

  const write = async (node: Node, rest: Rest): Promise<void> => {
    const { mode, uid, gid, mtime, xattrs, path } = node.entry;
    const common = {
      mode,
      uidIndex: idIndex(ids, uid),
      gidIndex: idIndex(ids, gid),
      mtime: checkTime(mtime, `squashfs entry "${path}"`),
      number: node.number,
      attributes: await attributes.add(xattrs),
    };
    positions.set(node, inodes.position);
    await inodes.write(encodeInode({ ...common, ...rest } as Inode));
  };
  const writeDirectory = async (directory: DirectoryNode): Promise<void> => {
    const { children, parent } = directory;
    const below = children.map(({ node }) => node).filter(isDirectory);
    // Directories first, so that the other inodes of this one are together and share headers of the listing.
    for (const node of below) await writeDirectory(node);
    for (const { node } of children) {
      if (!isDirectory(node) && !positions.has(node)) await write(node, restOf(node, placed.get(node)));
    }
    const { data, indexed } = encodeListing(children.map((child) => entryOf(child, positions)));
    const listing = directories.position;
    const index: DirectoryIndex[] = [];
    let done = 0;
    for (const { at, name } of indexed) {
      await directories.write(data.subarray(done, at));
      index.push({ at, name, block: directories.position.block });
      done = at;
    }
    await directories.write(data.subarray(done));
    await write(directory, {
      kind: 'directory',
      links: 2 + below.length,
      listing,
      size: data.length,
      // The root's is one that nobody has.
      parent: parent?.number ?? nodes.all.length + 1,
      index,
    });
  };
  await writeDirectory(nodes.root);

  return {
    inodes: await inodes.finish(),
    directories: await directories.finish(),
    root: positions.get(nodes.root)!,
    references: encodeReferences(nodes.all.map((node) => positions.get(node)!)),
    ids: encodeIds([...ids.keys()]),
    attributes,
  };
}

/** What an inode has besides what all have: of anything but a directory. */
type Rest = Inode extends infer Kind
  ? Kind extends Inode
    ? Omit<Kind, Exclude<keyof InodeCommon, 'links'>>
    : never
  : never;

function restOf({ entry, names }: Node, placed: PlacedContent | undefined): Rest {
  switch (entry.kind) {
    case 'file':
      return { kind: 'file', links: names, ...placed! };
    case 'symlink':
      return { kind: 'symlink', links: names, target: encodeTarget(entry.path, entry.target) };
    case 'character':
    case 'block':
      return { kind: entry.kind, links: names, major: entry.major, minor: entry.minor };
    case 'fifo':
      return { kind: 'fifo', links: names };
    case 'directory':
      throw new Error('directories are written behind their listing');
  }
}

/** PATH_MAX of Linux counts the NUL. */
const MAXIMUM_TARGET = 4095;

function encodeTarget(path: string, target: string): Uint8Array {
  const data = new TextEncoder().encode(target);
  if (data.length > 0 && data.length <= MAXIMUM_TARGET) return data;
  throw invalid(`squashfs link "${path}" to ${data.length} bytes: want 1 to ${MAXIMUM_TARGET}`);
}

/** The format would take one more, Linux does not. */
const MAXIMUM_NAME = 255;

function entryOf({ name, node }: Child, positions: ReadonlyMap<Node, Reference>): DirectoryEntry {
  const data = new TextEncoder().encode(name);
  if (data.length > MAXIMUM_NAME) throw invalid(`squashfs name "${name}": want at most ${MAXIMUM_NAME} bytes`);
  return { name: data, kind: node.entry.kind, inode: positions.get(node)!, number: node.number };
}

/** Seconds since 1970 in 32 bits. Throws `invalid-input` for what does not fit. */
export function checkTime(seconds: number, what: string): number {
  if (Number.isInteger(seconds) && seconds >= 0 && seconds < 2 ** 32) return seconds;
  throw invalid(`${what}: time ${seconds}, want whole seconds from 0 to ${2 ** 32 - 1}`);
}

/** Users and groups share the table. */
function idIndex(ids: Map<number, number>, id: number): number {
  const known = ids.get(id);
  if (known !== undefined) return known;
  if (!Number.isInteger(id) || id < 0 || id >= 2 ** 32) throw invalid(`owner ${id}: want 0 to ${2 ** 32 - 1}`);
  if (ids.size === MAXIMUM_IDS) throw invalid(`squashfs image: more than ${MAXIMUM_IDS} different owners`);
  ids.set(id, ids.size);
  return ids.size - 1;
}

function encodeIds(ids: readonly number[]): Uint8Array {
  const { data, view } = structure(ids.length * ID_SIZE);
  for (const [index, id] of ids.entries()) view.setUint32(index * ID_SIZE, id, true);
  return data;
}

function encodeReferences(references: readonly Reference[]): Uint8Array {
  const { data, view } = structure(references.length * REFERENCE_SIZE);
  for (const [index, reference] of references.entries()) {
    putU64(view, index * REFERENCE_SIZE, encodeReference(reference), true);
  }
  return data;
}
