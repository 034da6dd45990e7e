/**
 * Extended attributes: sets of names and values, each written once however many inodes have it, and a table that tells where each set is. Little-endian.
 * Source: Linux fs/squashfs/squashfs_fs.h, xattr.c and xattr_id.c.
 */
import { joinMemory, putU64, structure, toHex } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { BlockEncoder } from './compressor.ts';
import { encodeLookupTable } from './lookup-table.ts';
import { MetadataWriter } from './metadata.ts';
import { encodeReference } from './superblock.ts';

/** Stored as a number in place of the beginning of the name. */
export const PREFIXES: readonly string[] = ['user.', 'trusted.', 'security.'];
/** In the number of the prefix: the value is elsewhere, and a reference to it stands here. */
export const OUT_OF_LINE = 0x100;
export const SET_SIZE = 16;
export const TABLE_HEADER_SIZE = 16;
export const NAME_HEADER_SIZE = 4;
export const VALUE_HEADER_SIZE = 4;
export const REFERENCE_SIZE = 8;

/** Limits of Linux: what is longer no program could set or read. Bytes. */
const MAXIMUM_NAME = 255;
const MAXIMUM_VALUE = 65536;

export type Attributes = ReadonlyMap<string, Uint8Array>;

/** Collects the sets of all inodes. */
export class AttributeTable {
  readonly #pack: BlockEncoder['pack'];
  readonly #metadata: MetadataWriter;
  readonly #sets: Uint8Array[] = [];
  /** By content. */
  readonly #known = new Map<string, number>();
  /** Where values are that are longer than a reference to them. */
  readonly #values = new Map<string, number>();

  constructor(pack: BlockEncoder['pack']) {
    this.#pack = pack;
    this.#metadata = new MetadataWriter(pack);
  }

  /** The number of the set, `undefined` for none. Throws `unsupported` for attributes of other name spaces, `invalid-input` for those that Linux would not take. */
  async add(attributes: Attributes | undefined): Promise<number | undefined> {
    if (attributes === undefined || attributes.size === 0) return undefined;
    const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify(sorted.map(([name, value]) => [name, toHex(value)]));
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const number = this.#sets.length;
    this.#known.set(key, number);
    const { data: set, view } = structure(SET_SIZE);
    putU64(view, 0, encodeReference(this.#metadata.position), true);
    view.setUint32(8, sorted.length, true);
    let size = 0;
    for (const [name, value] of sorted) size += await this.#write(name, value);
    view.setUint32(12, size, true);
    this.#sets.push(set);
    return number;
  }

  /** Gives what the attribute counts in the size of its set: the whole name and the value, as a program would get them. */
  async #write(name: string, value: Uint8Array): Promise<number> {
    const prefix = PREFIXES.findIndex((one) => name.startsWith(one));
    if (prefix < 0) {
      throw new ImagerError('unsupported', `attribute "${name}": want one of ${PREFIXES.join('*, ')}*`);
    }
    const rest = new TextEncoder().encode(name.slice(PREFIXES[prefix]!.length));
    const length = PREFIXES[prefix]!.length + rest.length;
    if (rest.length === 0 || length > MAXIMUM_NAME)
      throw invalid(`attribute "${name}": want 1 to ${MAXIMUM_NAME} bytes`);
    if (value.length > MAXIMUM_VALUE) {
      throw invalid(`attribute "${name}" of ${value.length} bytes: want at most ${MAXIMUM_VALUE}`);
    }
    const key = value.length > REFERENCE_SIZE ? toHex(value) : undefined;
    const elsewhere = key === undefined ? undefined : this.#values.get(key);
    await this.#metadata.write(encodeName(prefix + (elsewhere === undefined ? 0 : OUT_OF_LINE), rest));
    if (elsewhere === undefined) {
      if (key !== undefined) this.#values.set(key, encodeReference(this.#metadata.position));
      await this.#metadata.write(encodeValue(value));
    } else {
      await this.#metadata.write(encodeValue(encodeU64(elsewhere)));
    }
    return length + 1 + value.length;
  }

  /** The table as it will stand at `start` of the image, and where its header is, which the super block points to; `undefined` when no inode has attributes. */
  async finish(start: number): Promise<{ readonly data: Uint8Array; readonly header: number } | undefined> {
    if (this.#sets.length === 0) return undefined;
    const metadata = await this.#metadata.finish();
    const sets = await encodeLookupTable(joinMemory(this.#sets), start + metadata.length, this.#pack);
    const { data: header, view } = structure(TABLE_HEADER_SIZE);
    putU64(view, 0, start, true);
    view.setUint32(8, this.#sets.length, true);
    const data = joinMemory([metadata, sets.blocks, header, sets.positions]);
    return { data, header: start + metadata.length + sets.blocks.length };
  }
}

function encodeName(type: number, rest: Uint8Array): Uint8Array {
  const { data, view } = structure(NAME_HEADER_SIZE + rest.length);
  view.setUint16(0, type, true);
  view.setUint16(2, rest.length, true);
  data.set(rest, NAME_HEADER_SIZE);
  return data;
}

function encodeValue(value: Uint8Array): Uint8Array {
  const { data, view } = structure(VALUE_HEADER_SIZE + value.length);
  view.setUint32(0, value.length, true);
  data.set(value, VALUE_HEADER_SIZE);
  return data;
}

function encodeU64(value: number): Uint8Array {
  const { data, view } = structure(REFERENCE_SIZE);
  putU64(view, 0, value, true);
  return data;
}
