/** Reading `newc` archives, one behind the other as an initramfs may have them, the way Linux does (init/initramfs.c). Contents stay ranges. */
import { type Bytes, EMPTY, slice } from '../../bytes/bytes.ts';
import { readInto } from '../../bytes/read.ts';
import { KIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { invalid, stopIfAborted } from '../../errors.ts';
import { MODE, typeOfMode } from '../../tree/mode.ts';
import { type Entry, type Tree, treeOf } from '../../tree/tree.ts';
import { ALIGNMENT, type CpioHeader, decodeHeader, HEADER_SIZE, isHeader, MAX_NAME, TRAILER } from './header.ts';

export interface DecodeCpioOptions {
  /** More members are refused. Default 2^20. */
  readonly maxMembers?: number;
  readonly signal?: AbortSignal;
}

export interface CpioContent {
  /** All archives together; of two members with one name the later counts, as when they are unpacked one after the other. */
  readonly tree: Tree;
  /** Where something else than a cpio archive begins, a compressed one for example: behind the zeros that follow the last archive. */
  readonly end: number;
}

/**
 * Everything up to the first byte that begins no archive. Throws `invalid-input` when an archive ends without a trailer, for sizes that
 * pass the end, for names with `..` or NUL or that are no UTF-8, and for what Linux would not unpack. The sums of the `070702` form are not checked.
 */
export async function decodeCpio(bytes: Bytes, options: DecodeCpioOptions = {}): Promise<CpioContent> {
  const { maxMembers = 1 << 20, signal } = options;
  const window = new Window(bytes);
  const entries = new Map<string, Entry>();
  const links = new Links();
  let members = 0;
  let isInside = false;
  let at = 0;
  while (at < bytes.size) {
    stopIfAborted(signal, 'reading');
    if (!isInside) {
      at = await window.skipZeros(at);
      const begins = at % ALIGNMENT === 0 && at + HEADER_SIZE <= bytes.size && isHeader(await window.at(at, 6));
      if (!begins) break;
      isInside = true;
    }
    const member = await readMember(window, at);
    at = member.end;
    if (member.name === TRAILER) {
      isInside = false;
      links.endArchive();
      continue;
    }
    members++;
    if (members > maxMembers) throw invalid(`cpio archive: more than ${maxMembers} members`);
    const entry = await entryOf(member, window, links);
    entries.set(entry.path, entry);
  }
  if (isInside) throw invalid(`cpio archive: ends at ${at} without a ${TRAILER}`);
  return { tree: treeOf([...entries.values()].map((entry) => links.complete(entry))), end: at };
}

interface Member {
  readonly header: CpioHeader;
  readonly name: string;
  /** Where its data begins, and where the next member does. */
  readonly data: number;
  readonly end: number;
}

async function readMember(window: Window, at: number): Promise<Member> {
  const header = decodeHeader(await window.at(at, HEADER_SIZE), at);
  const { nameSize, size } = header;
  if (nameSize < 1 || nameSize > MAX_NAME) {
    throw invalid(`cpio archive: a name of ${nameSize} bytes at ${at}, want 1..${MAX_NAME}`);
  }
  const name = textOf(await window.at(at + HEADER_SIZE, nameSize), at);
  const data = aligned(at + HEADER_SIZE + nameSize);
  if (data + size > window.size) {
    throw invalid(`cpio member "${name}": its ${size} bytes at ${data} pass the end at ${window.size}`);
  }
  // The last archive may lack the padding at its end.
  return { header, name, data, end: Math.min(aligned(data + size), window.size) };
}

/** The text before the NUL that must end it. */
function textOf(data: Uint8Array, at: number): string {
  const end = data.indexOf(0);
  if (end !== data.length - 1)
    throw invalid(`cpio archive: the name of the member at ${at} does not end in its only NUL`);
  return decodeUtf8(data.subarray(0, end), `cpio archive: the name of the member at ${at}`);
}

function aligned(position: number): number {
  return Math.ceil(position / ALIGNMENT) * ALIGNMENT;
}

/** Files with several names: by device and inode of the archive at hand the symbol for them, and by that what was stored with any of the names. */
class Links {
  #symbols = new Map<string, symbol>();
  readonly contents: Map<symbol, Bytes> = new Map();

  symbolOf({ deviceMajor, deviceMinor, inode }: CpioHeader, content: Bytes): symbol {
    const key = `${deviceMajor}:${deviceMinor}:${inode}`;
    const symbol = this.#symbols.get(key) ?? Symbol(key);
    this.#symbols.set(key, symbol);
    if (content.size > 0) this.contents.set(symbol, content);
    return symbol;
  }

  /** A trailer ends what numbers stand for. */
  endArchive(): void {
    this.#symbols = new Map();
  }

  /** Data comes with any one of the names. */
  complete(entry: Entry): Entry {
    if (entry.kind !== 'file' || entry.inode === undefined) return entry;
    return { ...entry, content: this.contents.get(entry.inode) ?? EMPTY };
  }
}

async function entryOf(member: Member, window: Window, links: Links): Promise<Entry> {
  const { header } = member;
  const path = pathOf(member.name);
  const { uid, gid, mtime, major, minor } = header;
  const attributes = { mode: header.mode & 0o7777, uid, gid, mtime };
  const content = slice(window.bytes, member.data, member.data + header.size);
  switch (typeOfMode(header.mode)) {
    case MODE.file: {
      if (header.links < 2) return { kind: 'file', path, content, ...attributes };
      return { kind: 'file', path, content, inode: links.symbolOf(header, content), ...attributes };
    }
    case MODE.directory:
      return { kind: 'directory', path, ...attributes };
    case MODE.symlink: {
      if (header.size === 0 || header.size >= MAX_NAME)
        throw invalid(`cpio member "${path}": a link target of ${header.size} bytes, want 1..${MAX_NAME - 1}`);
      const target = decodeUtf8(await window.at(member.data, header.size), `cpio member "${path}": its link target`);
      if (target.includes('\0')) throw invalid(`cpio member "${path}": its link target contains NUL`);
      return { kind: 'symlink', path, target, ...attributes };
    }
    case MODE.character:
      return { kind: 'character', path, major, minor, ...attributes };
    case MODE.block:
      return { kind: 'block', path, major, minor, ...attributes };
    case MODE.fifo:
      return { kind: 'fifo', path, ...attributes };
    default:
      throw invalid(
        `cpio member "${path}": mode 0${header.mode.toString(8)}, want a file, directory, link, device or pipe`,
      );
  }
}

/** As in a tree: relative, without `.`; the root is empty. */
function pathOf(name: string): string {
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) throw invalid(`cpio member ${JSON.stringify(name)}: want a path without ".."`);
  return segments.join('/');
}

/** Headers lie a few bytes apart in archives of many small files: a piece is read at once and looked at here. */
class Window {
  readonly bytes: Bytes;
  #data: Uint8Array = new Uint8Array();
  #start = 0;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.size;
  }

  /** A view that holds until the next call. Throws `invalid-input` past the end. */
  async at(position: number, length: number): Promise<Uint8Array> {
    if (position + length > this.size) {
      throw invalid(`cpio archive: ends at ${this.size}, in the middle of a member`);
    }
    if (position < this.#start || position + length > this.#start + this.#data.length) {
      this.#data = new Uint8Array(Math.min(Math.max(length, READ_AHEAD), this.size - position));
      this.#start = position;
      await readInto(this.bytes, position, this.#data);
    }
    const offset = position - this.#start;
    return this.#data.subarray(offset, offset + length);
  }

  /** Position of the first byte from `position` on that is not zero, or the end. */
  async skipZeros(position: number): Promise<number> {
    let at = position;
    while (at < this.size) {
      const data = await this.at(at, Math.min(READ_AHEAD, this.size - at));
      const found = data.findIndex((byte) => byte !== 0);
      if (found >= 0) return at + found;
      at += data.length;
    }
    return at;
  }
}

/** Bytes. */
const READ_AHEAD: number = 64 * KIB;
