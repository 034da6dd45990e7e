/**
 * Listings: runs of entries behind headers. What entries of a run share (the block of their inodes, about the inode number) is in the header. Names are in byte
 * order, and the kernel relies on it. Little-endian. Source: Linux fs/squashfs/squashfs_fs.h and namei.c.
 */
import { joinMemory, structure } from '../../bytes/field.ts';
import { type InodeKind, TYPE } from './inode.ts';
import { METADATA_SIZE } from './metadata.ts';
import type { Reference } from './superblock.ts';

export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly kind: InodeKind;
  readonly inode: Reference;
  readonly number: number;
}

/** Where in a long listing a header stands: so that a name is found without reading all before it. */
export interface DirectoryIndex {
  /** Offset in the listing. */
  readonly at: number;
  /** The metadata block it is in, counted from the start of the directory table. */
  readonly block: number;
  /** The first behind the header. */
  readonly name: Uint8Array;
}

/** A place that is to be in the index. */
export interface IndexedHeader {
  readonly at: number;
  readonly name: Uint8Array;
}

export interface Listing {
  readonly data: Uint8Array;
  readonly indexed: readonly IndexedHeader[];
}

export const HEADER_SIZE = 12;
export const ENTRY_SIZE = 8;
/** Of a header; stored less one. */
export const MAXIMUM_RUN = 256;
/** Inode numbers are stored as what they differ by from the header's. */
const LEAST_DIFFERENCE = -0x8000;
const MOST_DIFFERENCE = 0x7fff;

/** `entries` in byte order of their names. */
export function encodeListing(entries: readonly DirectoryEntry[]): Listing {
  const runs = runsOf(entries);
  const parts = runs.flatMap(({ entries: run }) => {
    const { inode, number } = run[0]!;
    return [encodeHeader(run.length, inode.block, number), ...run.map((entry) => encodeEntry(entry, number))];
  });
  const indexed = runs.filter(({ isIndexed }) => isIndexed);
  return { data: joinMemory(parts), indexed: indexed.map(({ at, entries: [first] }) => ({ at, name: first!.name })) };
}

interface Run {
  /** Offset of the header in the listing. */
  readonly at: number;
  readonly entries: DirectoryEntry[];
  readonly isIndexed: boolean;
}

/** From one header in the index to the next there are at most 8 KiB. */
function runsOf(entries: readonly DirectoryEntry[]): Run[] {
  const runs: Run[] = [];
  let size = 0;
  let indexed = 0;
  for (const entry of entries) {
    const last = runs.at(-1)?.entries;
    const continuing = last !== undefined && continues(last, entry);
    const entrySize = ENTRY_SIZE + entry.name.length;
    const isIndexed = size + (continuing ? 0 : HEADER_SIZE) + entrySize - indexed > METADATA_SIZE;
    if (continuing && !isIndexed) {
      last.push(entry);
    } else {
      runs.push({ at: size, entries: [entry], isIndexed });
      if (isIndexed) indexed = size;
      size += HEADER_SIZE;
    }
    size += entrySize;
  }
  return runs;
}

function continues(run: readonly DirectoryEntry[], entry: DirectoryEntry): boolean {
  const { inode, number } = run[0]!;
  const difference = entry.number - number;
  return (
    run.length < MAXIMUM_RUN &&
    entry.inode.block === inode.block &&
    difference >= LEAST_DIFFERENCE &&
    difference <= MOST_DIFFERENCE
  );
}

function encodeHeader(count: number, block: number, number: number): Uint8Array {
  const { data, view } = structure(HEADER_SIZE);
  view.setUint32(0, count - 1, true);
  view.setUint32(4, block, true);
  view.setUint32(8, number, true);
  return data;
}

function encodeEntry({ name, kind, inode, number }: DirectoryEntry, first: number): Uint8Array {
  const { data, view } = structure(ENTRY_SIZE + name.length);
  view.setUint16(0, inode.offset, true);
  view.setInt16(2, number - first, true);
  view.setUint16(4, TYPE[kind], true);
  view.setUint16(6, name.length - 1, true);
  data.set(name, ENTRY_SIZE);
  return data;
}
