/**
 * A tree as a tar archive, byte for byte as Go's archive/tar would write it (spec profiles-and-inputs 7.8): ustar, a PAX header
 * where a value does not fit, two zero blocks at the end. Contents are referred to, not copied.
 */
import { type Bytes, concat, ofMemory, padToMultiple, zeros } from '../../bytes/bytes.ts';
import { invalid } from '../../errors.ts';
import type { Entry, Tree } from '../../tree/tree.ts';
import { BLOCK_SIZE, checksumOf, FIELDS, type FieldName, MAGIC_OFFSET, TYPE_OFFSET } from './block.ts';
import { encodePaxRecords, type PaxRecord } from './pax.ts';

export interface TarOptions {
  /** Directory entries without or with a slash at the end of their names, or none at all. Default `slash`. */
  readonly directories?: 'plain' | 'slash' | 'omit';
}

/** The archive; the root directory itself has no entry. Throws `invalid-input` for a device number that does not fit. */
export function layoutTar(tree: Tree, options: TarOptions = {}): Bytes {
  return layoutTarEntries(tree.entries, options);
}

/** The same from entries whose order matters and whose parents need not be there. */
export function layoutTarEntries(entries: readonly Entry[], options: TarOptions = {}): Bytes {
  const { directories = 'slash' } = options;
  const parts: Bytes[] = [];
  const firstNames = new Map<symbol, string>();
  for (const entry of entries) {
    if (entry.path === '' || (entry.kind === 'directory' && directories === 'omit')) continue;
    const header = headerOf(entry, directories, firstNames);
    parts.push(ofMemory(encodeHeader(header)));
    if (entry.kind === 'file' && header.type === '0') parts.push(padToMultiple(entry.content, BLOCK_SIZE));
  }
  return concat([...parts, zeros(2 * BLOCK_SIZE)]);
}

/** What a header block says. Numbers are whole; text may be any UTF-8. */
interface Header {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

function headerOf(entry: Entry, directories: 'plain' | 'slash' | 'omit', firstNames: Map<symbol, string>): Header {
  const { path, mode, uid, gid, mtime, xattrs = NO_XATTRS } = entry;
  const common = { name: path, mode, uid, gid, mtime, xattrs, size: 0, linkName: '', major: 0, minor: 0 };
  switch (entry.kind) {
    case 'file': {
      const first = entry.inode === undefined ? undefined : firstNames.get(entry.inode);
      if (first !== undefined) return { ...common, type: '1', linkName: first };
      if (entry.inode !== undefined) firstNames.set(entry.inode, path);
      return { ...common, type: '0', size: entry.content.size };
    }
    case 'directory':
      return { ...common, type: '5', name: directories === 'slash' ? `${path}/` : path };
    case 'symlink':
      return { ...common, type: '2', linkName: entry.target };
    case 'character':
      return { ...common, type: '3', major: entry.major, minor: entry.minor };
    case 'block':
      return { ...common, type: '4', major: entry.major, minor: entry.minor };
    case 'fifo':
      return { ...common, type: '6' };
  }
}

/** The header block, with a PAX header before it when something does not fit. */
function encodeHeader(header: Header): Uint8Array {
  const records = recordsOf(header);
  if (records.length === 0) return encodeBlock(header);
  const data = encodePaxRecords(records);
  const { xattrs: _, ...rest } = header;
  const extended = encodeBlock({
    ...rest,
    xattrs: NO_XATTRS,
    name: paxName(header.name),
    type: 'x',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: data.length,
    linkName: '',
    major: 0,
    minor: 0,
  });
  const whole = new Uint8Array(BLOCK_SIZE + Math.ceil(data.length / BLOCK_SIZE) * BLOCK_SIZE + BLOCK_SIZE);
  whole.set(extended, 0);
  whole.set(data, BLOCK_SIZE);
  whole.set(encodeBlock(header), whole.length - BLOCK_SIZE);
  return whole;
}

/** What the header block cannot hold, as records in the order of their keys. */
function recordsOf(header: Header): PaxRecord[] {
  const records: PaxRecord[] = [];
  const add = (key: string, text: string): void => {
    records.push({ key, value: new TextEncoder().encode(text) });
  };
  for (const [name, value] of header.xattrs) records.push({ key: `SCHILY.xattr.${name}`, value });
  for (const field of ['uid', 'gid', 'size', 'mtime'] as const) {
    if (!fits(field, header[field])) add(field, String(header[field]));
  }
  if (!isAscii(header.linkName) || header.linkName.length > FIELDS.linkName[1]) add('linkpath', header.linkName);
  const tooLong = !isAscii(header.name) || header.name.length > FIELDS.name[1];
  // A name that ustar can split needs no record of its own, but beside other records it gets one, as in Go.
  if (tooLong && (records.length > 0 || splitName(header.name) === undefined)) add('path', header.name);
  return records.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function encodeBlock(header: Header): Uint8Array {
  const block = new Uint8Array(BLOCK_SIZE);
  const split = recordsOf(header).length === 0 ? splitName(header.name) : undefined;
  putText(block, 'name', split?.name ?? cutName(header.name));
  putText(block, 'prefix', split?.prefix ?? '');
  putText(block, 'linkName', asciiOnly(header.linkName).slice(0, FIELDS.linkName[1]));
  for (const field of ['mode', 'uid', 'gid', 'size', 'mtime', 'major', 'minor'] as const) {
    // Go leaves them empty in the header of records alone.
    if (header.type === 'x' && (field === 'major' || field === 'minor')) continue;
    const value = header[field];
    if ((field === 'major' || field === 'minor') && !fits(field, value)) {
      throw invalid(`tar entry ${header.name}: device number ${value} does not fit`);
    }
    // What does not fit stands in a record, and zero here.
    putOctal(block, field, fits(field, value) ? value : 0);
  }
  block[TYPE_OFFSET] = header.type.charCodeAt(0);
  putAt(block, MAGIC_OFFSET, 'ustar\x0000');
  // Six digits, NUL, blank: the one field with another end.
  const [checksum] = FIELDS.checksum;
  putAt(block, checksum, `${checksumOf(block).toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** The least prefix that leaves at most 100 bytes of name, cut at a slash; `undefined` when there is none or no need. */
function splitName(name: string): { readonly prefix: string; readonly name: string } | undefined {
  if (name.length <= FIELDS.name[1] || !isAscii(name)) return undefined;
  let end = name.length;
  if (end > FIELDS.prefix[1] + 1) end = FIELDS.prefix[1] + 1;
  else if (name.endsWith('/')) end--;
  const cut = name.lastIndexOf('/', end - 1);
  const rest = name.length - cut - 1;
  if (cut <= 0 || rest === 0 || rest > FIELDS.name[1]) return undefined;
  return { prefix: name.slice(0, cut), name: name.slice(cut + 1) };
}

/** `<directory>/PaxHeaders.0/<base>`, cut to the field: only there for programs that do not know PAX. */
function paxName(name: string): string {
  const cut = name.lastIndexOf('/');
  const joined = [name.slice(0, Math.max(cut, 0)), 'PaxHeaders.0', name.slice(cut + 1)];
  return cutName(joined.filter((segment) => segment !== '').join('/')).replace(/\/+$/, '');
}

/** A cut that happens to end in a slash would make some readers see a directory. */
function cutName(name: string): string {
  const ascii = asciiOnly(name);
  return ascii.length <= FIELDS.name[1] ? ascii : ascii.slice(0, FIELDS.name[1]).replace(/\/+$/, '');
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

function asciiOnly(text: string): string {
  return isAscii(text) ? text : [...text].filter((character) => character.codePointAt(0)! < 0x80).join('');
}

/** One byte of each number field is the NUL at its end. */
function fits(field: FieldName, value: number): boolean {
  return value >= 0 && value < 8 ** (FIELDS[field][1] - 1);
}

function putOctal(block: Uint8Array, field: FieldName, value: number): void {
  const [offset, width] = FIELDS[field];
  putAt(block, offset, value.toString(8).padStart(width - 1, '0'));
}

function putText(block: Uint8Array, field: FieldName, text: string): void {
  putAt(block, FIELDS[field][0], text);
}

function putAt(block: Uint8Array, offset: number, text: string): void {
  for (let index = 0; index < text.length; index++) block[offset + index] = text.charCodeAt(index);
}
