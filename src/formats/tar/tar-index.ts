/**
 * Index of a tar stream in one pass: what is in it and where the contents lie. Reads ustar, pre-POSIX, star, GNU (long names,
 * sparse, base-256) and PAX (all sparse forms, `SCHILY.xattr.*`). POSIX.1-2024 pax; GNU tar manual, "Tar Internals".
 */
import type { Bytes } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import {
  BLOCK_SIZE,
  decodeNumber,
  FIELDS,
  type FieldName,
  fieldText,
  hasRightChecksum,
  isZeroBlock,
  MAGIC_OFFSET,
  TYPE_OFFSET,
} from './block.ts';
import type { TarAttributes, TarEntry } from './entry.ts';
import { decodePaxRecords, type PaxRecord } from './pax.ts';
import {
  checkedParts,
  decodeOldPairs,
  type MapReader,
  mapReader,
  OLD_BLOCK,
  OLD_HEADER,
  OLD_REAL_SIZE,
  type OldMapLayout,
  parseMap,
  type SparsePart,
  wholeNumber,
} from './sparse.ts';
import { decodeUtf8 } from './text.ts';

export interface TarLimits {
  readonly entries: number;
  /** Of one name or link target, bytes. */
  readonly nameBytes: number;
  /** Of one extended header, bytes. */
  readonly extendedBytes: number;
  /** Of one file, holes included, bytes. */
  readonly fileBytes: number;
  /** Parts of one sparse file. */
  readonly sparseParts: number;
  /** Names, attributes and maps of all entries together, bytes: what the index may cost in memory. */
  readonly metadataBytes: number;
}

/** 4095 is the longest path Linux takes; the rest is far above what any image we know has. */
export const TAR_LIMITS: TarLimits = {
  entries: 1_000_000,
  nameBytes: 4095,
  extendedBytes: 1 << 20,
  fileBytes: 2 ** 36,
  sparseParts: 65_536,
  metadataBytes: 1 << 28,
};

export interface TarIndexer {
  /** The next bytes of the stream, cut anywhere. Throws `invalid-input` at the first thing that is wrong. */
  push(chunk: Uint8Array): void;
  /** How many of the next bytes are contents nobody looks at, padding included; infinite behind the end of the archive. */
  readonly skippable: number;
  /** Passes over the next `count` bytes, at most `skippable`, without having them. */
  skip(count: number): void;
  /** All entries in order. Throws `invalid-input` when the stream ended inside an entry. */
  finish(): TarEntry[];
}

/** What is read at once where contents are passed over: headers of several small files, little of a large one. */
const SEEK_SIZE = 16 * 1024;

export function tarIndexer(limits: Partial<TarLimits> = {}): TarIndexer {
  return new Indexer({ ...TAR_LIMITS, ...limits });
}

/** The index of an archive that can be read anywhere: contents are not read. Throws `invalid-input`, and `io` from the source. */
export async function indexTarBytes(bytes: Bytes, limits: Partial<TarLimits> = {}): Promise<TarEntry[]> {
  const indexer = tarIndexer(limits);
  for (let position = 0; position < bytes.size; ) {
    const skipped = Math.min(indexer.skippable, bytes.size - position);
    indexer.skip(skipped);
    position += skipped;
    const chunk = await read(bytes, position, Math.min(SEEK_SIZE, bytes.size - position));
    indexer.push(chunk);
    position += chunk.length;
  }
  return indexer.finish();
}

/** The index of a whole stream. Throws `invalid-input`. */
export async function indexTar(
  chunks: AsyncIterable<Uint8Array>,
  limits: Partial<TarLimits> = {},
): Promise<TarEntry[]> {
  const indexer = tarIndexer(limits);
  for await (const chunk of chunks) indexer.push(chunk);
  return indexer.finish();
}

/** What extended headers say about the entry that follows them. */
interface Extended {
  /** By key, the last record counts; sparse pairs of PAX 0.0 are apart because their keys repeat. */
  readonly records: Map<string, Uint8Array>;
  readonly sparsePairs: string[];
  longName?: string;
  longLink?: string;
}

/** A sparse file whose map is still being read. */
interface PendingSparse {
  readonly attributes: TarAttributes;
  readonly realSize: number;
  /** Bytes stored behind the header, for PAX 1.0 with the map. */
  stored: number;
  readonly parts: SparsePart[];
  readonly map?: MapReader;
}

type State =
  | { readonly kind: 'header' }
  | { readonly kind: 'extended'; readonly type: string; readonly size: number }
  | { readonly kind: 'oldSparse'; readonly sparse: PendingSparse }
  | { readonly kind: 'sparseMap'; readonly sparse: PendingSparse }
  | { readonly kind: 'end' };

const HEADER: State = { kind: 'header' };

/** Push parser: gathers what a state needs, or skips contents. Local: callers see `TarIndexer`. */
class Indexer implements TarIndexer {
  readonly #limits: TarLimits;
  readonly #entries: TarEntry[] = [];
  #state: State = HEADER;
  /** Bytes the state needs before it can go on, and those gathered so far when chunks cut them. */
  #needed = BLOCK_SIZE;
  #gathered: Uint8Array | undefined;
  #filled = 0;
  /** Contents still to pass over: data, then padding which may be absent at the end of the stream. */
  #data = 0;
  #padding = 0;
  /** Position of the next byte in the stream. */
  #position = 0;
  #zeroBlocks = 0;
  #extended: Extended | undefined;
  #metadata = 0;

  constructor(limits: TarLimits) {
    this.#limits = limits;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.#state.kind !== 'end') {
      const passed = this.#pass(chunk.length - at);
      at += passed;
      this.#position += passed;
      if (at === chunk.length) return;
      const piece = this.#gather(chunk, at);
      if (piece === undefined) return;
      const used = this.#needed - this.#filled;
      at += used;
      this.#position += used;
      this.#gathered = undefined;
      this.#filled = 0;
      this.#take(piece);
    }
  }

  get skippable(): number {
    return this.#state.kind === 'end' ? Number.POSITIVE_INFINITY : this.#data + this.#padding;
  }

  skip(count: number): void {
    this.#position += this.#pass(count);
  }

  finish(): TarEntry[] {
    if (this.#data > 0) throw invalid(`tar: truncated, ${this.#data} bytes of ${this.#lastName()} are missing`);
    const between = this.#state.kind === 'header' && this.#filled === 0 && this.#extended === undefined;
    if (this.#state.kind !== 'end' && !between) throw invalid(`tar: truncated in a header at byte ${this.#position}`);
    return this.#entries;
  }

  /** How many of `available` bytes belong to contents that are passed over. */
  #pass(available: number): number {
    const data = Math.min(this.#data, available);
    this.#data -= data;
    const padding = Math.min(this.#padding, available - data);
    this.#padding -= padding;
    return data + padding;
  }

  /** The bytes the state needs, as a view when they lie in one chunk; `undefined` when more chunks are needed. */
  #gather(chunk: Uint8Array, at: number): Uint8Array | undefined {
    const missing = this.#needed - this.#filled;
    const available = chunk.length - at;
    if (this.#gathered === undefined && available >= missing) return chunk.subarray(at, at + missing);
    this.#gathered ??= new Uint8Array(this.#needed);
    this.#gathered.set(chunk.subarray(at, at + Math.min(missing, available)), this.#filled);
    if (available >= missing) return this.#gathered;
    this.#filled += available;
    this.#position += available;
    return undefined;
  }

  #take(piece: Uint8Array): void {
    const state = this.#state;
    switch (state.kind) {
      case 'header':
        this.#header(piece);
        return;
      case 'extended':
        this.#extend(state.type, piece.subarray(0, state.size));
        return;
      case 'oldSparse':
        this.#oldSparse(state.sparse, piece, OLD_BLOCK);
        return;
      case 'sparseMap':
        this.#sparseMap(state.sparse, piece);
        return;
      case 'end':
        return;
    }
  }

  #expect(state: State, bytes: number): void {
    this.#state = state;
    this.#needed = bytes;
  }

  #header(block: Uint8Array): void {
    if (block[0] === 0 && isZeroBlock(block)) {
      if (this.#extended !== undefined) throw invalid('tar: the archive ends after an extended header');
      this.#zeroBlocks++;
      if (this.#zeroBlocks === 2) this.#state = { kind: 'end' };
      return;
    }
    if (this.#zeroBlocks > 0) throw invalid(`tar: a single zero block before byte ${this.#position}, want two`);
    this.#checkSum(block);
    const type = String.fromCharCode(block[TYPE_OFFSET]!);
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      this.#startExtended(type, block);
      return;
    }
    this.#entry(type, block);
  }

  #checkSum(block: Uint8Array): void {
    if (hasRightChecksum(block)) return;
    throw invalid(`tar: wrong header checksum at byte ${this.#position - BLOCK_SIZE}`, {
      hint: 'this is not a tar archive, or it is damaged',
    });
  }

  #startExtended(type: string, block: Uint8Array): void {
    const size = this.#number(block, 'size');
    if (size < 0 || size > this.#limits.extendedBytes) {
      throw invalid(`tar extended header: ${size} bytes, want at most ${this.#limits.extendedBytes}`);
    }
    if (size === 0) {
      this.#extend(type, new Uint8Array());
      return;
    }
    this.#expect({ kind: 'extended', type, size }, padded(size));
  }

  #extend(type: string, data: Uint8Array): void {
    this.#expect(HEADER, BLOCK_SIZE);
    if (type === 'g') {
      refuseGlobalRecords(decodePaxRecords(data));
      return;
    }
    this.#extended ??= { records: new Map(), sparsePairs: [] };
    if (type === 'x') {
      // A second header for the same entry takes the place of the first.
      this.#extended.records.clear();
      this.#extended.sparsePairs.length = 0;
      // A copy: the records are needed when the chunk they came in may be in use again.
      for (const record of decodePaxRecords(new Uint8Array(data))) addRecord(this.#extended, record);
      return;
    }
    const text = decodeUtf8(fieldText(data, 0, data.length), 'tar long name');
    if (type === 'L') this.#extended.longName = text;
    else this.#extended.longLink = text;
  }

  #entry(type: string, block: Uint8Array): void {
    if (this.#entries.length === this.#limits.entries) throw invalid(`tar: more than ${this.#limits.entries} entries`);
    const extended = this.#extended;
    this.#extended = undefined;
    const records = extended?.records ?? new Map<string, Uint8Array>();
    const sparseName = records.get('GNU.sparse.name');
    const name = sparseName === undefined ? this.#name(block, extended) : this.#text(sparseName, 'name');
    const xattrs = xattrsOf(records);
    const attributes: TarAttributes = {
      name,
      mode: this.#number(block, 'mode') & 0o7777,
      uid: this.#id(block, 'uid', records),
      gid: this.#id(block, 'gid', records),
      mtime: this.#time(block, records),
      ...(xattrs === undefined ? {} : { xattrs }),
    };
    this.#account(name.length + (extended === undefined ? 0 : sizeOf(records)));
    this.#expect(HEADER, BLOCK_SIZE);
    switch (type === '\0' && name.endsWith('/') ? '5' : type) {
      case '0':
      case '\0':
        this.#file(attributes, block, records, extended?.sparsePairs ?? []);
        return;
      case 'S':
        this.#startOldSparse(attributes, block, records);
        return;
      case '1':
        this.#entries.push({ kind: 'hardlink', ...attributes, target: this.#target(block, extended) });
        return;
      case '2':
        this.#entries.push({ kind: 'symlink', ...attributes, target: this.#target(block, extended) });
        return;
      case '3':
      case '4': {
        const numbers = { major: this.#number(block, 'major'), minor: this.#number(block, 'minor') };
        this.#entries.push({ kind: type === '3' ? 'character' : 'block', ...attributes, ...numbers });
        return;
      }
      case '5':
        this.#entries.push({ kind: 'directory', ...attributes });
        return;
      case '6':
        this.#entries.push({ kind: 'fifo', ...attributes });
        return;
      default:
        throw invalid(`tar entry ${JSON.stringify(name)}: unknown type ${JSON.stringify(type)}`);
    }
  }

  #file(
    attributes: TarAttributes,
    block: Uint8Array,
    records: ReadonlyMap<string, Uint8Array>,
    pairs: readonly string[],
  ): void {
    const stored = this.#size(block, records);
    const realSize = records.get('GNU.sparse.realsize') ?? records.get('GNU.sparse.size');
    if (realSize === undefined) {
      this.#entries.push({ kind: 'file', ...attributes, size: stored, offset: this.#position });
      this.#skip(stored);
      return;
    }
    const sparse = { attributes, realSize: this.#fileSize(this.#decimal(realSize, 'sparse size')), stored };
    if (records.has('GNU.sparse.major')) {
      const version = `${this.#recordText(records, 'GNU.sparse.major')}.${this.#recordText(records, 'GNU.sparse.minor')}`;
      if (version !== '1.0') throw invalid(`tar sparse file ${attributes.name}: version ${version}, want 1.0`);
      const map = mapReader(this.#limits.sparseParts);
      this.#expect({ kind: 'sparseMap', sparse: { ...sparse, parts: [], map } }, BLOCK_SIZE);
      return;
    }
    const text = records.get('GNU.sparse.map');
    const numbers = text === undefined ? pairs : this.#splitMap(text);
    this.#finishSparse({ ...sparse, parts: parseMap(numbers) });
  }

  #splitMap(text: Uint8Array): string[] {
    return text.length === 0 ? [] : decodeUtf8(text, 'tar sparse map').split(',');
  }

  #startOldSparse(attributes: TarAttributes, block: Uint8Array, records: ReadonlyMap<string, Uint8Array>): void {
    const stored = this.#size(block, records);
    const realSize = this.#fileSize(decodeNumber(block, OLD_REAL_SIZE, 12, 'sparse size'));
    this.#oldSparse({ attributes, realSize, stored, parts: [] }, block, OLD_HEADER);
  }

  #oldSparse(sparse: PendingSparse, block: Uint8Array, layout: OldMapLayout): void {
    sparse.parts.push(...decodeOldPairs(block, layout));
    if (sparse.parts.length > this.#limits.sparseParts) {
      throw invalid(`tar sparse file ${sparse.attributes.name}: more than ${this.#limits.sparseParts} parts`);
    }
    if (block[layout.extended] === 0) {
      this.#finishSparse(sparse);
      return;
    }
    this.#expect({ kind: 'oldSparse', sparse }, BLOCK_SIZE);
  }

  #sparseMap(sparse: PendingSparse, block: Uint8Array): void {
    sparse.stored -= BLOCK_SIZE;
    if (sparse.stored < 0) throw invalid(`tar sparse file ${sparse.attributes.name}: its map is longer than the entry`);
    if (!sparse.map!.push(block)) return;
    sparse.parts.push(...sparse.map!.parts());
    this.#finishSparse(sparse);
  }

  #finishSparse({ attributes, realSize, stored, parts }: PendingSparse): void {
    const checked = checkedParts(parts, realSize, stored);
    this.#account(checked.length * 32);
    this.#entries.push({ kind: 'file', ...attributes, size: realSize, offset: this.#position, sparse: checked });
    this.#expect(HEADER, BLOCK_SIZE);
    this.#skip(stored);
  }

  #skip(stored: number): void {
    this.#data = stored;
    this.#padding = padded(stored) - stored;
  }

  #name(block: Uint8Array, extended: Extended | undefined): string {
    if (extended?.longName !== undefined) return this.#checkName(extended.longName, 'name');
    const record = extended?.records.get('path');
    if (record !== undefined && record.length > 0) return this.#text(record, 'name');
    const name = fieldText(block, ...FIELDS.name);
    const prefix = prefixOf(block);
    if (prefix.length === 0) return this.#text(name, 'name');
    return this.#checkName(`${decodeUtf8(prefix, 'tar name')}/${decodeUtf8(name, 'tar name')}`, 'name');
  }

  #target(block: Uint8Array, extended: Extended | undefined): string {
    if (extended?.longLink !== undefined) return this.#checkName(extended.longLink, 'link target');
    const record = extended?.records.get('linkpath');
    if (record !== undefined && record.length > 0) return this.#text(record, 'link target');
    return this.#text(fieldText(block, ...FIELDS.linkName), 'link target');
  }

  #text(data: Uint8Array, what: string): string {
    return this.#checkName(decodeUtf8(data, `tar ${what}`), what);
  }

  #checkName(name: string, what: string): string {
    if (name.includes('\0')) throw invalid(`tar ${what} ${JSON.stringify(name.slice(0, 100))}: contains NUL`);
    // A character is at most three bytes per UTF-16 unit, so short names need no second look.
    const { nameBytes } = this.#limits;
    if (name.length * 3 > nameBytes && new TextEncoder().encode(name).length > nameBytes) {
      throw invalid(`tar ${what} "${name.slice(0, 40)}...": too long, want at most ${nameBytes} bytes`);
    }
    return name;
  }

  #size(block: Uint8Array, records: ReadonlyMap<string, Uint8Array>): number {
    const record = records.get('size');
    const given = record !== undefined && record.length > 0;
    return this.#fileSize(given ? this.#decimal(record, 'size') : this.#number(block, 'size'));
  }

  #fileSize(size: number): number {
    if (size < 0 || size > this.#limits.fileBytes) {
      throw invalid(`tar: a file of ${size} bytes, too large or negative: want 0..${this.#limits.fileBytes}`);
    }
    return size;
  }

  #id(block: Uint8Array, field: 'uid' | 'gid', records: ReadonlyMap<string, Uint8Array>): number {
    const record = records.get(field);
    const value = record !== undefined && record.length > 0 ? this.#decimal(record, field) : this.#number(block, field);
    if (value < 0 || value > 0xffffffff) throw invalid(`tar ${field} ${value}: want 0..4294967295`);
    return value;
  }

  #time(block: Uint8Array, records: ReadonlyMap<string, Uint8Array>): number {
    const record = records.get('mtime');
    if (record === undefined || record.length === 0) return this.#number(block, 'mtime');
    const text = decodeUtf8(record, 'tar mtime');
    const value = /^-?\d{1,15}(\.\d*)?$/.test(text) ? Math.floor(Number(text)) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw invalid(`tar mtime "${text.slice(0, 40)}": want seconds`);
    return value;
  }

  #decimal(record: Uint8Array, what: string): number {
    try {
      return wholeNumber(decodeUtf8(record, what));
    } catch (cause) {
      throw invalid(`tar ${what}: want a decimal number from 0 to 2^53-1`, { cause });
    }
  }

  #recordText(records: ReadonlyMap<string, Uint8Array>, key: string): string {
    return decodeUtf8(records.get(key) ?? new Uint8Array(), `tar ${key}`);
  }

  #number(block: Uint8Array, field: FieldName): number {
    const [offset, width] = FIELDS[field];
    return decodeNumber(block, offset, width, field);
  }

  #account(bytes: number): void {
    this.#metadata += bytes;
    if (this.#metadata > this.#limits.metadataBytes) {
      throw invalid(`tar: names and attributes of more than ${this.#limits.metadataBytes} bytes`);
    }
  }

  #lastName(): string {
    return JSON.stringify(this.#entries.at(-1)?.name ?? '');
  }
}

/** Only ustar has a prefix; star uses the end of its field for times and marks that with `tar\0` in the last bytes. */
function prefixOf(block: Uint8Array): Uint8Array {
  const [offset, width] = FIELDS.prefix;
  if (!matches(block, MAGIC_OFFSET, 'ustar\0')) return new Uint8Array();
  return fieldText(block, offset, matches(block, 508, 'tar\0') ? 131 : width);
}

function matches(block: Uint8Array, offset: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (block[offset + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/**
 * Records for all following entries. A comment (`git archive` writes one) changes nothing; anything else would, and the programs that
 * unpack layers disagree on whether it counts, so it is refused rather than guessed.
 */
function refuseGlobalRecords(records: readonly PaxRecord[]): void {
  const telling = records.find(({ key }) => key !== 'comment');
  if (telling !== undefined) throw invalid(`tar: global extended header with "${telling.key}", want comments only`);
}

function addRecord(extended: Extended, { key, value }: PaxRecord): void {
  if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
    const wanted = extended.sparsePairs.length % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes';
    if (key !== wanted) throw invalid(`tar sparse map: ${key} out of turn`);
    extended.sparsePairs.push(decodeUtf8(value, `tar ${key}`));
  } else if (value.length === 0) {
    extended.records.delete(key);
  } else {
    extended.records.set(key, value);
  }
}

const XATTR_PREFIX = 'SCHILY.xattr.';

function xattrsOf(records: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> | undefined {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_PREFIX) || key.length === XATTR_PREFIX.length) continue;
    found ??= new Map();
    found.set(key.slice(XATTR_PREFIX.length), value);
  }
  return found;
}

function sizeOf(records: ReadonlyMap<string, Uint8Array>): number {
  let size = 0;
  for (const [key, value] of records) size += key.length + value.length;
  return size;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}
