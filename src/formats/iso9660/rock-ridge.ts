/**
 * Rock Ridge: POSIX names, modes, times, links and devices as SUSP fields. Source: RRIP 1.10 sections 4.1.1 to 4.1.6, the edition whose
 * `PX` has no inode number; read from 1.12 too.
 */
import { joinMemory, structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { MODE, typeOfMode } from '../../tree/mode.ts';
import type { Entry } from '../../tree/tree.ts';
import { getBothU32, putBothU32 } from './block.ts';
import { encodeField, type Field } from './system-use.ts';
import { decodeRecordTime, encodeRecordTime, RECORD_TIME_SIZE } from './timestamp.ts';

const PERMISSIONS = 0o7777;

/** What one field can hold of a name or of a link's component. */
const NAME_ROOM = 250;
const LINK_ROOM = 250;
const COMPONENT_HEADER = 2;
const CONTINUE = 0x01;

/** Component flags of `SL`. */
const COMPONENT = { current: 0x02, parent: 0x04, root: 0x08 } as const;

/** No file system has longer names. */
const MAXIMUM_NAME = 255;
const MAXIMUM_TARGET = 4096;

const EXTENSION = {
  identifier: 'RRIP_1991A',
  description: 'THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS',
  source:
    'PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.',
} as const;

/** `ER`: says that Rock Ridge is used. Belongs to the root's own record; too long to stay in it. */
export function encodeExtensionReference(): Uint8Array {
  const { identifier, description, source } = EXTENSION;
  const text = new TextEncoder().encode(identifier + description + source);
  return encodeField('ER', joinMemory([Uint8Array.of(identifier.length, description.length, source.length, 1), text]));
}

/** `PX` and `TF`: mode, links (always 1, as xorriso), owner; modification, access and change time, all the entry's mtime. */
export function encodeAttributes(entry: Entry): Uint8Array[] {
  return [encodePosix(entry), encodeTimes(entry.mtime)];
}

/**
 * The fields of an entry's record in its directory, `name` being its real name; `attributes` where they are encoded already. Throws `invalid-input` for
 * names and targets too long.
 */
export function encodeEntry(
  entry: Entry,
  name: string,
  attributes: readonly Uint8Array[] = encodeAttributes(entry),
): Uint8Array[] {
  const fields = [...attributes, ...encodeName(name)];
  if (entry.kind === 'symlink') fields.push(...encodeLink(entry.target));
  if (entry.kind === 'character' || entry.kind === 'block') fields.push(encodeDevice(entry.major, entry.minor));
  return fields;
}

function encodePosix(entry: Entry): Uint8Array {
  const { data, view } = structure(32);
  putBothU32(view, 0, MODE[entry.kind] | (entry.mode & PERMISSIONS));
  putBothU32(view, 8, 1);
  putBothU32(view, 16, entry.uid);
  putBothU32(view, 24, entry.gid);
  return encodeField('PX', data);
}

function encodeTimes(mtime: number): Uint8Array {
  const modifiedAccessedChanged = 0x0e;
  const time = encodeRecordTime(mtime);
  return encodeField('TF', joinMemory([Uint8Array.of(modifiedAccessedChanged), time, time, time]));
}

function encodeName(name: string): Uint8Array[] {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > MAXIMUM_NAME) {
    throw invalid(`file name "${name.slice(0, 40)}...": ${bytes.length} bytes, want at most ${MAXIMUM_NAME}`);
  }
  const pieces = cut(bytes, NAME_ROOM);
  return pieces.map((piece, index) =>
    encodeField('NM', joinMemory([Uint8Array.of(index + 1 < pieces.length ? CONTINUE : 0), piece])),
  );
}

function encodeLink(target: string): Uint8Array[] {
  if (target === '' || new TextEncoder().encode(target).length > MAXIMUM_TARGET) {
    throw invalid(`link target "${target.slice(0, 40)}": want 1 to ${MAXIMUM_TARGET} bytes`);
  }
  const fields: Uint8Array[][] = [[]];
  let room = LINK_ROOM;
  for (const component of target.split('/').flatMap(encodeComponent)) {
    if (component.length > room) {
      fields.push([]);
      room = LINK_ROOM;
    }
    fields.at(-1)!.push(component);
    room -= component.length;
  }
  return fields.map((components, index) =>
    encodeField('SL', joinMemory([Uint8Array.of(index + 1 < fields.length ? CONTINUE : 0), ...components])),
  );
}

/** One component record, or several when it is longer than a field. An empty one is the root before a leading slash, else nothing. */
function encodeComponent(text: string, index: number): Uint8Array[] {
  if (text === '') return index === 0 ? [Uint8Array.of(COMPONENT.root, 0)] : [];
  if (text === '.') return [Uint8Array.of(COMPONENT.current, 0)];
  if (text === '..') return [Uint8Array.of(COMPONENT.parent, 0)];
  const pieces = cut(new TextEncoder().encode(text), LINK_ROOM - COMPONENT_HEADER);
  return pieces.map((piece, at) =>
    joinMemory([Uint8Array.of(at + 1 < pieces.length ? CONTINUE : 0, piece.length), piece]),
  );
}

function encodeDevice(major: number, minor: number): Uint8Array {
  const { data, view } = structure(16);
  putBothU32(view, 0, major);
  putBothU32(view, 8, minor);
  return encodeField('PN', data);
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

/** What Rock Ridge says of an entry; absent where it says nothing. */
export interface RockRidge {
  readonly kind?: Entry['kind'];
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly links?: number;
  /** Seconds since 1970. */
  readonly mtime?: number;
  readonly name?: string;
  readonly target?: string;
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Throws `invalid-input` for a field too short for what it must hold. */
export function decodeRockRidge(fields: readonly Field[]): RockRidge {
  const posix = fields.find(({ signature }) => signature === 'PX');
  const times = fields.find(({ signature }) => signature === 'TF');
  const device = fields.find(({ signature }) => signature === 'PN');
  const names = fields.filter(({ signature }) => signature === 'NM');
  const links = fields.filter(({ signature }) => signature === 'SL');
  const mtime = times === undefined ? undefined : decodeModified(times);
  return {
    ...(posix === undefined ? {} : decodePosix(posix)),
    ...(mtime === undefined ? {} : { mtime }),
    ...(device === undefined ? {} : { device: decodeDevice(device) }),
    ...(names.length === 0 ? {} : { name: decodeName(names) }),
    ...(links.length === 0 ? {} : { target: decodeLink(links) }),
  };
}

/** The identifier of the extension in an `ER` field. */
export function decodeExtensionReference({ data }: Field): string {
  return String.fromCharCode(...data.subarray(4, 4 + (data[0] ?? 0)));
}

function decodePosix(field: Field): RockRidge {
  const view = viewOf(requireSize(field, 32));
  const mode = getBothU32(view, 0, 'file mode');
  const kind = (Object.keys(MODE) as Entry['kind'][]).find((one) => MODE[one] === typeOfMode(mode));
  if (kind === undefined)
    throw invalid(`ISO 9660 file mode 0o${mode.toString(8)}: no kind of file Rock Ridge can hold`);
  return {
    kind,
    mode: mode & PERMISSIONS,
    links: getBothU32(view, 8, 'link count'),
    uid: getBothU32(view, 16, 'owner'),
    gid: getBothU32(view, 24, 'group'),
  };
}

/** Times stand in the order of their bits: creation 0x01, modification 0x02; 0x80 is the long form, which is left alone. */
function decodeModified(field: Field): number | undefined {
  const flags = requireSize(field, 1)[0]!;
  if ((flags & 0x02) === 0 || (flags & 0x80) !== 0) return undefined;
  const at = 1 + (flags & 0x01) * RECORD_TIME_SIZE;
  return decodeRecordTime(requireSize(field, at + RECORD_TIME_SIZE).subarray(at, at + RECORD_TIME_SIZE));
}

function decodeDevice(field: Field): { readonly major: number; readonly minor: number } {
  const view = viewOf(requireSize(field, 16));
  return { major: getBothU32(view, 0, 'device number'), minor: getBothU32(view, 8, 'device number') };
}

function decodeName(fields: readonly Field[]): string {
  return decodeText(joinMemory(fields.map((field) => requireSize(field, 1).subarray(1))));
}

function decodeLink(fields: readonly Field[]): string {
  let target = '';
  let continued = true;
  for (const field of fields) {
    const data = requireSize(field, 1);
    for (let at = 1; at < data.length; ) {
      const flags = data[at]!;
      const size = data[at + 1];
      if (size === undefined || at + COMPONENT_HEADER + size > data.length) {
        throw invalid(`ISO 9660 link: a component does not fit its field`);
      }
      const text = componentText(flags, data.subarray(at + COMPONENT_HEADER, at + COMPONENT_HEADER + size));
      target += continued || target.endsWith('/') ? text : `/${text}`;
      continued = (flags & CONTINUE) !== 0;
      at += COMPONENT_HEADER + size;
    }
  }
  return target;
}

function componentText(flags: number, bytes: Uint8Array): string {
  if ((flags & COMPONENT.root) !== 0) return '/';
  if ((flags & COMPONENT.current) !== 0) return '.';
  if ((flags & COMPONENT.parent) !== 0) return '..';
  return decodeText(bytes);
}

/** Names are bytes; what is no UTF-8 shows as replacement characters. */
function decodeText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

function requireSize(field: Field, size: number): Uint8Array {
  if (field.data.length < size) {
    throw invalid(`Rock Ridge field ${field.signature} with ${field.data.length} bytes of data: want ${size}`);
  }
  return field.data;
}
