/**
 * The index of a layer as a file beside it. Columns rather than rows: it is read on every build, and 5,000 entries load in a few
 * milliseconds so. First line: SHA-256 of the rest in hexadecimal, so that a damaged file is noticed and made again.
 */
import { fromHex, joinMemory, toHex } from '../../bytes/field.ts';
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import type { TarAttributes, TarEntry } from '../../formats/tar/entry.ts';
import type { SparsePart } from '../../formats/tar/sparse.ts';
import type { Hasher } from '../digest-check.ts';

export interface LayerIndex {
  /** Digest of the plain layer. */
  readonly diffId: Digest;
  /** Of the plain layer, bytes. */
  readonly size: number;
  readonly entries: readonly TarEntry[];
}

/** Of an index file, bytes: a million entries with long names. */
export const INDEX_LIMIT: number = 2 ** 29;

/** Counted up when the columns change: an index of another version is made again. */
const VERSION = 1;

const KINDS = {
  f: 'file',
  d: 'directory',
  s: 'symlink',
  h: 'hardlink',
  c: 'character',
  b: 'block',
  p: 'fifo',
} as const satisfies Record<string, TarEntry['kind']>;

const LETTERS = new Map(Object.entries(KINDS).map(([letter, kind]) => [kind, letter]));

/** Values most entries lack are by entry number. */
interface Columns {
  readonly version: number;
  readonly diffId: Digest;
  readonly size: number;
  /** One letter per entry. */
  readonly kinds: string;
  readonly names: string[];
  readonly modes: number[];
  readonly uids: number[];
  readonly gids: number[];
  readonly mtimes: number[];
  /** Of files: size and offset, one after the other. */
  readonly places: number[];
  /** Of links, in order. */
  readonly targets: string[];
  /** Of devices: major and minor, one after the other. */
  readonly devices: number[];
  readonly sparse: Record<string, SparsePart[]>;
  /** Values in hexadecimal. */
  readonly xattrs: Record<string, Record<string, string>>;
}

export function encodeLayerIndex(hasher: Hasher, { diffId, size, entries }: LayerIndex): Uint8Array {
  const columns: Columns = {
    version: VERSION,
    diffId,
    size,
    kinds: entries.map(({ kind }) => LETTERS.get(kind)!).join(''),
    names: entries.map(({ name }) => name),
    modes: entries.map(({ mode }) => mode),
    uids: entries.map(({ uid }) => uid),
    gids: entries.map(({ gid }) => gid),
    mtimes: entries.map(({ mtime }) => mtime),
    places: [],
    targets: [],
    devices: [],
    sparse: {},
    xattrs: {},
  };
  for (const [index, entry] of entries.entries()) {
    if (entry.xattrs !== undefined) {
      const hex = [...entry.xattrs].map(([name, value]): [string, string] => [name, toHex(value)]);
      columns.xattrs[index] = Object.fromEntries(hex);
    }
    if ('target' in entry) columns.targets.push(entry.target);
    if ('major' in entry) columns.devices.push(entry.major, entry.minor);
    if (entry.kind !== 'file') continue;
    columns.places.push(entry.size, entry.offset);
    if (entry.sparse !== undefined) columns.sparse[index] = [...entry.sparse];
  }
  const text = new TextEncoder().encode(JSON.stringify(columns));
  return joinMemory([new TextEncoder().encode(`${checksum(hasher, text)}\n`), text]);
}

/** `undefined` when the file is damaged or of another version: it can be made again from the layer. */
export function decodeLayerIndex(hasher: Hasher, data: Uint8Array): LayerIndex | undefined {
  const text = data.subarray(65);
  if (data[64] !== 0x0a || new TextDecoder().decode(data.subarray(0, 64)) !== checksum(hasher, text)) return undefined;
  const columns = JSON.parse(new TextDecoder().decode(text)) as Columns;
  if (columns.version !== VERSION) return undefined;
  return { diffId: parseDigest(columns.diffId), size: columns.size, entries: entriesOf(columns) };
}

function checksum(hasher: Hasher, text: Uint8Array): string {
  const hash = hasher.hash('sha256');
  hash.update(text);
  return toHex(hash.digest());
}

function entriesOf(columns: Columns): TarEntry[] {
  const { kinds, names, modes, uids, gids, mtimes, places, targets, devices, sparse, xattrs } = columns;
  let file = 0;
  let link = 0;
  let device = 0;
  return names.map((name, index): TarEntry => {
    const kind = KINDS[kinds[index] as keyof typeof KINDS];
    const mode = modes[index]!;
    const uid = uids[index]!;
    const gid = gids[index]!;
    const mtime = mtimes[index]!;
    const given = xattrs[index];
    if (kind === 'file' && given === undefined && sparse[index] === undefined) {
      // Nearly all entries, without the cost of spreading.
      file += 2;
      return { kind, name, mode, uid, gid, mtime, size: places[file - 2]!, offset: places[file - 1]! };
    }
    const plain = { name, mode, uid, gid, mtime };
    const attributes: TarAttributes = given === undefined ? plain : { ...plain, xattrs: xattrsOf(given) };
    switch (kind) {
      case 'file': {
        const parts = sparse[index];
        const place = { size: places[file]!, offset: places[file + 1]! };
        file += 2;
        return { kind, ...attributes, ...place, ...(parts === undefined ? {} : { sparse: parts }) };
      }
      case 'symlink':
      case 'hardlink':
        return { kind, ...attributes, target: targets[link++]! };
      case 'character':
      case 'block':
        device += 2;
        return { kind, ...attributes, major: devices[device - 2]!, minor: devices[device - 1]! };
      case 'directory':
      case 'fifo':
        return { kind, ...attributes };
      default:
        throw invalid(`layer index: entry kind ${JSON.stringify(kind satisfies undefined | never)}`);
    }
  });
}

function xattrsOf(hex: Readonly<Record<string, string>>): Map<string, Uint8Array> {
  return new Map(Object.entries(hex).map(([name, value]) => [name, fromHex(value)]));
}
