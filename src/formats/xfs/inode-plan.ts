/** What has to be written for each inode, as far as it follows from the tree and the inode numbers, before any block is given out. */
import type { Bytes } from '../../bytes/bytes.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { MODE } from '../../tree/mode.ts';
import type { Attributes, Entry } from '../../tree/tree.ts';
import { FILE_TYPE } from '../volume/directory-entry.ts';
import { type Attribute, attributeOf, parentPointer } from './attribute.ts';
import { type DirectoryPlan, planDirectory } from './directory.ts';
import type { DirectoryContent } from './directory-item.ts';
import type { Features } from './features.ts';
import { LITERAL_SIZE } from './inode.ts';
import type { Node } from './inode-numbers.ts';
import { shortAttributesSize } from './short-form-attributes.ts';
import { encodeShortForm, shortFormSize } from './short-form-directory.ts';

export type PlannedData =
  | { readonly kind: 'file'; readonly content: Bytes }
  /** `blocks` is how it is laid out when it does not stay in its inode. */
  | { readonly kind: 'directory'; readonly inline: Uint8Array | undefined; readonly blocks: DirectoryPlan }
  | { readonly kind: 'symlink'; readonly target: Uint8Array }
  | { readonly kind: 'device'; readonly device: number };

export interface PlannedInode {
  readonly node: Node;
  /** Type and permissions. */
  readonly mode: number;
  readonly links: number;
  readonly data: PlannedData;
  readonly attributes: readonly Attribute[];
  /** Bytes in the inode; 0 for none, `undefined` when they cannot lie there. */
  readonly attributesSize: number | undefined;
}

/** Longest target, and as Linux counts there is a NUL behind it. */
const MAXIMUM_TARGET = 1023;

/** Device numbers are 14 bits and 18 bits. */
const MAJOR_LIMIT = 2 ** 14;
export const DEVICE_MINORS: number = 2 ** 18;

const MAXIMUM_ID = 0xfffffffe;

/** Throws `invalid-input` for what an inode cannot hold, `unsupported` for foreign attributes. */
export function planInode(node: Node, features: Features): PlannedInode {
  const { entry, names, children } = node;
  checkOwner(entry, entry.path);
  const attributes = [...(entry.xattrs ?? [])].map(([name, value]) => attributeOf(name, value, entry.path));
  if (features.parent) {
    attributes.push(...names.map(({ parent, name }) => parentPointer(name, parent.number, parent.generation)));
  }
  const directories = children.filter((child) => child.node.entry.kind === 'directory').length;
  return {
    node,
    mode: MODE[entry.kind] | entry.mode,
    links: entry.kind === 'directory' ? 2 + directories : names.length,
    data: planData(node, entry),
    attributes,
    attributesSize: attributes.length === 0 ? 0 : shortAttributesSize(attributes),
  };
}

function planData(node: Node, entry: Entry): PlannedData {
  switch (entry.kind) {
    case 'file':
      return { kind: 'file', content: entry.content };
    case 'directory': {
      const content = contentOf(node);
      const inline = shortFormSize(content) <= LITERAL_SIZE ? encodeShortForm(content) : undefined;
      return { kind: 'directory', inline, blocks: planDirectory(content) };
    }
    case 'symlink': {
      const target = new TextEncoder().encode(entry.target);
      if (target.length < 1 || target.length > MAXIMUM_TARGET || !entry.target.isWellFormed()) {
        throw invalid(
          `target of "${entry.path}": ${target.length} bytes of UTF-8, want 1 to ${MAXIMUM_TARGET}, well-formed, on XFS`,
        );
      }
      return { kind: 'symlink', target };
    }
    case 'fifo':
      return { kind: 'device', device: 0 };
    case 'character':
    case 'block': {
      const { major, minor } = entry;
      if (!isBelow(major, MAJOR_LIMIT) || !isBelow(minor, DEVICE_MINORS)) {
        throw invalid(
          `device "${entry.path}" ${major}:${minor}: want at most ${MAJOR_LIMIT - 1}:${DEVICE_MINORS - 1} on XFS`,
        );
      }
      return { kind: 'device', device: major * DEVICE_MINORS + minor };
    }
  }
}

function contentOf(node: Node): DirectoryContent {
  return {
    self: node.number,
    parent: node.names[0]?.parent.number ?? node.number,
    items: node.children.map((child) => ({
      name: child.name,
      inode: child.node.number,
      type: FILE_TYPE[child.node.entry.kind],
    })),
  };
}

function checkOwner({ uid, gid, mode }: Attributes, path: string): void {
  if (!isBelow(uid, MAXIMUM_ID + 1) || !isBelow(gid, MAXIMUM_ID + 1)) {
    throw invalid(`owner ${uid}:${gid} of "${path}": want numbers up to ${MAXIMUM_ID}`);
  }
  if (!isBelow(mode, 0o10000)) {
    throw new ImagerError('invalid-input', `mode 0${mode.toString(8)} of "${path}": want permissions up to 07777`);
  }
}

function isBelow(value: number, limit: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < limit;
}
