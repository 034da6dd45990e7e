/**
 * 32-byte directory slots: short entries, and the long-name entries before them. Little-endian.
 * Source: Microsoft FAT specification 1.03, sections 6 and 7.
 */
import { structure, viewOf } from '../../bytes/field.ts';
import type { NamedEntry } from './short-name.ts';
import { LABEL_TIMESTAMP, type Timestamp } from './timestamp.ts';

export const SLOT_SIZE = 32;

export const ATTRIBUTE = { readOnly: 0x01, label: 0x08, directory: 0x10, archive: 0x20, longName: 0x0f } as const;

/** UTF-16 units one long-name slot holds, and where they lie in it. */
const UNITS_PER_SLOT = 13;
const UNIT_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;

export interface ShortEntry {
  /** 11 bytes as characters 0..255. */
  readonly short: string;
  readonly attributes: number;
  readonly caseBits: number;
  readonly modified: Timestamp;
  /** 0 for what occupies no cluster. */
  readonly firstCluster: number;
  /** Bytes; 0 for directories. */
  readonly size: number;
}

/** Creation and access get the modification time too, as mtools does with kept times. */
export function encodeShortEntry(entry: ShortEntry): Uint8Array {
  const { data, view } = structure(SLOT_SIZE);
  for (let index = 0; index < 11; index++) data[index] = entry.short.charCodeAt(index);
  view.setUint8(0x0b, entry.attributes);
  view.setUint8(0x0c, entry.caseBits);
  view.setUint16(0x0e, entry.modified.time, true);
  view.setUint16(0x10, entry.modified.date, true);
  view.setUint16(0x12, entry.modified.date, true);
  view.setUint16(0x14, entry.firstCluster >>> 16, true);
  view.setUint16(0x16, entry.modified.time, true);
  view.setUint16(0x18, entry.modified.date, true);
  view.setUint16(0x1a, entry.firstCluster & 0xffff, true);
  view.setUint32(0x1c, entry.size, true);
  return data;
}

export function labelEntry(label: string): Uint8Array {
  const short = label.padEnd(11);
  return encodeShortEntry({
    short,
    attributes: ATTRIBUTE.label,
    caseBits: 0,
    modified: LABEL_TIMESTAMP,
    firstCluster: 0,
    size: 0,
  });
}

/** The long-name slots of `name`, last part first, as they lie before the short entry. */
export function encodeLongName(name: string, short: string): Uint8Array[] {
  const count = longNameSlots(name);
  const sum = shortNameChecksum(short);
  const slots: Uint8Array[] = [];
  for (let order = count; order >= 1; order--) {
    const { data, view } = structure(SLOT_SIZE);
    view.setUint8(0, order | (order === count ? 0x40 : 0));
    view.setUint8(0x0b, ATTRIBUTE.longName);
    view.setUint8(0x0d, sum);
    for (const [index, offset] of UNIT_OFFSETS.entries()) {
      const at = (order - 1) * UNITS_PER_SLOT + index;
      view.setUint16(offset, at < name.length ? name.charCodeAt(at) : at === name.length ? 0 : 0xffff, true);
    }
    slots.push(data);
  }
  return slots;
}

function longNameSlots(name: string): number {
  return Math.ceil(name.length / UNITS_PER_SLOT);
}

/** Slots an entry takes in its directory. */
export function slotsOf(name: string, named: NamedEntry): number {
  return 1 + (named.long ? longNameSlots(name) : 0);
}

/** Ties long-name slots to their short entry: one byte over the 11 of the short name. */
export function shortNameChecksum(short: string): number {
  let sum = 0;
  for (let index = 0; index < 11; index++) sum = ((sum >>> 1) + ((sum & 1) << 7) + short.charCodeAt(index)) & 0xff;
  return sum;
}

export interface DecodedEntry extends ShortEntry {
  /** The long name where a whole and matching one precedes the entry, else the short one in the case its bits say. */
  readonly name: string;
}

/**
 * Entries of a directory's raw slots, up to the first slot that was never used. Deleted entries are passed over, and so are
 * long-name slots that belong to no short entry: drivers do the same.
 */
export function decodeDirectory(data: Uint8Array): DecodedEntry[] {
  const view = viewOf(data);
  const entries: DecodedEntry[] = [];
  let pending: LongName | undefined;
  for (let at = 0; at + SLOT_SIZE <= data.length; at += SLOT_SIZE) {
    const first = data[at]!;
    if (first === 0x00) break;
    const attributes = data[at + 0x0b]!;
    if (first === 0xe5) {
      pending = undefined;
    } else if ((attributes & 0x3f) === ATTRIBUTE.longName) {
      pending = withSlot(pending, view, at);
    } else {
      const entry = decodeShortEntry(data, view, at);
      const long =
        pending?.missing === 0 && pending.sum === shortNameChecksum(entry.short) ? cutAtNul(pending.text) : '';
      entries.push({ ...entry, name: long === '' ? shortToName(entry) : long });
      pending = undefined;
    }
  }
  return entries;
}

interface LongName {
  readonly sum: number;
  /** Slots still to come. */
  readonly missing: number;
  readonly text: string;
}

function withSlot(before: LongName | undefined, view: DataView, at: number): LongName | undefined {
  const order = view.getUint8(at);
  const sum = view.getUint8(at + 0x0d);
  const text = String.fromCharCode(...UNIT_OFFSETS.map((offset) => view.getUint16(at + offset, true)));
  const number = order & 0x3f;
  if ((order & 0x40) !== 0) return number === 0 ? undefined : { sum, missing: number - 1, text };
  if (before === undefined || before.sum !== sum || before.missing !== number) return undefined;
  return { sum, missing: number - 1, text: text + before.text };
}

function cutAtNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function decodeShortEntry(data: Uint8Array, view: DataView, at: number): ShortEntry {
  const name = data.slice(at, at + 11);
  // 0xE5 marks a deleted entry, so a name that begins with that byte is stored with 0x05.
  if (name[0] === 0x05) name[0] = 0xe5;
  return {
    short: String.fromCharCode(...name),
    attributes: data[at + 0x0b]!,
    caseBits: data[at + 0x0c]!,
    modified: { time: view.getUint16(at + 0x16, true), date: view.getUint16(at + 0x18, true) },
    firstCluster: view.getUint16(at + 0x14, true) * 0x10000 + view.getUint16(at + 0x1a, true),
    size: view.getUint32(at + 0x1c, true),
  };
}

/** Bytes 0x80..0xFF of code page 437, which Linux assumes for short names. */
const CODE_PAGE_437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

function shortToName({ short, caseBits }: ShortEntry): string {
  const base = inCase(short.slice(0, 8), (caseBits & 0x08) !== 0);
  const extension = inCase(short.slice(8), (caseBits & 0x10) !== 0);
  return extension === '' ? base : `${base}.${extension}`;
}

function inCase(part: string, lower: boolean): string {
  const text = part.replace(/ +$/, '').replaceAll(/[\x80-\xff]/g, (one) => CODE_PAGE_437[one.charCodeAt(0) - 0x80]!);
  return lower ? text.toLowerCase() : text;
}
