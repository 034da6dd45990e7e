/** Extended attributes as they are read: see `attribute-table.ts`. */
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { getU64, viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { MIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { invalid } from '../../errors.ts';
import {
  type Attributes,
  NAME_HEADER_SIZE,
  OUT_OF_LINE,
  PREFIXES,
  REFERENCE_SIZE,
  SET_SIZE,
  TABLE_HEADER_SIZE,
  VALUE_HEADER_SIZE,
} from './attribute-table.ts';
import { readLookupTable } from './decode-table.ts';
import { type MetadataBlocks, MetadataReader } from './metadata-reader.ts';
import { decodeReference, type Reference } from './superblock.ts';

const MAXIMUM_SETS = 1_000_000;
/** All names and values together: values may be referred to at no cost. */
const MAXIMUM_BYTES: number = 64 * MIB;
const MAXIMUM_NAME = 255;
const MAXIMUM_VALUE = 65536;

interface SetPlace {
  readonly at: Reference;
  readonly count: number;
}

/** The sets of attributes of an image; each is read once. */
export class AttributeSets {
  readonly #blocks: MetadataBlocks;
  /** Position of the metadata in the image. */
  readonly #start: number;
  readonly #sets: readonly SetPlace[];
  readonly #known = new Map<number, Attributes>();
  #left: number = MAXIMUM_BYTES;

  private constructor(blocks: MetadataBlocks, start: number, sets: readonly SetPlace[]) {
    this.#blocks = blocks;
    this.#start = start;
    this.#sets = sets;
  }

  /** `header` is where the super block points to; `undefined` for no attributes. Throws `invalid-input`. */
  static async open(image: Bytes, blocks: MetadataBlocks, header: number | undefined): Promise<AttributeSets> {
    if (header === undefined) return new AttributeSets(blocks, 0, []);
    const positions = header + TABLE_HEADER_SIZE;
    if (positions > image.size) throw invalid(`squashfs attributes at ${header}: the image ends at ${image.size}`);
    const view = viewOf(await read(slice(image, header, positions)));
    const count = view.getUint32(8, true);
    if (count > MAXIMUM_SETS) throw invalid(`squashfs attributes: ${count} sets, want at most ${MAXIMUM_SETS}`);
    const table = viewOf(await readLookupTable(image, blocks, positions, count, SET_SIZE));
    const sets = Array.from({ length: count }, (_, index): SetPlace => {
      const at = index * SET_SIZE;
      return { at: decodeReference(getU64(table, at, true)), count: table.getUint32(at + 8, true) };
    });
    return new AttributeSets(blocks, getU64(view, 0, true), sets);
  }

  /** Throws `invalid-input`. */
  async get(number: number): Promise<Attributes> {
    const known = this.#known.get(number);
    if (known !== undefined) return known;
    const set = this.#sets[number];
    if (set === undefined) throw invalid(`squashfs attributes: set ${number} of ${this.#sets.length}`);
    const reader = new MetadataReader(this.#blocks, this.#start, set.at);
    const attributes = new Map<string, Uint8Array>();
    for (let index = 0; index < set.count; index++) {
      const { name, outOfLine } = await this.#readName(reader);
      const value = await this.#readValue(reader);
      attributes.set(name, outOfLine ? await this.#readElsewhere(value) : value);
    }
    this.#known.set(number, attributes);
    return attributes;
  }

  async #readName(reader: MetadataReader): Promise<{ readonly name: string; readonly outOfLine: boolean }> {
    const view = viewOf(await reader.read(NAME_HEADER_SIZE));
    const type = view.getUint16(0, true);
    const length = view.getUint16(2, true);
    const prefix = PREFIXES[type & ~OUT_OF_LINE];
    if (prefix === undefined || length === 0 || length > MAXIMUM_NAME) {
      throw invalid(`squashfs attribute: a name of type ${type}, ${length} bytes`);
    }
    this.#spend(length);
    const name = prefix + decodeUtf8(await reader.read(length), 'squashfs attribute: its name');
    return { name, outOfLine: (type & OUT_OF_LINE) !== 0 };
  }

  async #readValue(reader: MetadataReader): Promise<Uint8Array> {
    const length = viewOf(await reader.read(VALUE_HEADER_SIZE)).getUint32(0, true);
    if (length > MAXIMUM_VALUE) throw invalid(`squashfs attribute: a value of ${length} bytes`);
    this.#spend(length);
    return reader.read(length);
  }

  async #readElsewhere(reference: Uint8Array): Promise<Uint8Array> {
    if (reference.length !== REFERENCE_SIZE)
      throw invalid(`squashfs attribute: a reference of ${reference.length} bytes`);
    const at = decodeReference(getU64(viewOf(reference), 0, true));
    return this.#readValue(new MetadataReader(this.#blocks, this.#start, at));
  }

  #spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw invalid(`squashfs attributes: more than ${MAXIMUM_BYTES} bytes`);
  }
}
