/** Volume descriptors: primary, boot record, terminator; one block each. Source: ECMA-119 section 8, El Torito 1.0 section 2.0. */
import { putAscii, structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { BLOCK_SIZE, getBothU16, getBothU32, putBothU16, putBothU32 } from './block.ts';
import { type DirectoryRecord, decodeDirectoryRecord, encodeDirectoryRecord } from './directory-record.ts';
import { encodeVolumeTime } from './timestamp.ts';

export const TYPE = { bootRecord: 0, primary: 1, terminator: 255 } as const;

const STANDARD_IDENTIFIER = 'CD001';
const EL_TORITO_IDENTIFIER = 'EL TORITO SPECIFICATION';
const ROOT_RECORD = 156;
const ROOT_RECORD_SIZE = 34;
const APPLICATION_USE = 883;
const APPLICATION_USE_SIZE = 512;

export interface PrimaryDescriptor {
  readonly systemId: string;
  readonly volumeId: string;
  readonly volumeSetId: string;
  readonly publisherId: string;
  /** The program that made the volume. */
  readonly preparerId: string;
  readonly applicationId: string;
  /** Blocks of the volume. */
  readonly blocks: number;
  /** Bytes of one path table. */
  readonly pathTableSize: number;
  /** First blocks of the two forms of the path table, counted from the start of the volume like every address in it. */
  readonly littlePathTable: number;
  readonly bigPathTable: number;
  readonly root: DirectoryRecord;
  /** Sixteen digits `YYYYMMDDhhmmsscc`. */
  readonly created: string;
  readonly modified: string;
}

export interface DescriptorTimes {
  /** Seconds since 1970: creation and modification. Expiration and effective time are not specified. */
  readonly time: number;
}

/** Text fields: offset, width. */
const TEXTS = {
  systemId: [8, 32],
  volumeId: [40, 32],
  volumeSetId: [190, 128],
  publisherId: [318, 128],
  preparerId: [446, 128],
  applicationId: [574, 128],
} as const;

/** Copyright, abstract and bibliographic file identifiers: none. */
const FILE_IDENTIFIERS = [702, 739, 776] as const;
const FILE_IDENTIFIER_SIZE = 37;
const CREATED = 813;
const MODIFIED = 830;
const EXPIRES = 847;
const EFFECTIVE = 864;

export function encodePrimaryDescriptor(
  descriptor: Omit<PrimaryDescriptor, 'created' | 'modified'>,
  { time }: DescriptorTimes,
): Uint8Array {
  const { data, view } = header(TYPE.primary);
  for (const [name, [offset, width]] of Object.entries(TEXTS)) {
    putAscii(data, offset, width, descriptor[name as keyof typeof TEXTS], 0x20);
  }
  putBothU32(view, 80, descriptor.blocks);
  putBothU16(view, 120, 1);
  putBothU16(view, 124, 1);
  putBothU16(view, 128, BLOCK_SIZE);
  putBothU32(view, 132, descriptor.pathTableSize);
  view.setUint32(140, descriptor.littlePathTable, true);
  view.setUint32(148, descriptor.bigPathTable, false);
  data.set(encodeDirectoryRecord({ ...descriptor.root, systemUse: new Uint8Array() }), ROOT_RECORD);
  for (const offset of FILE_IDENTIFIERS) putAscii(data, offset, FILE_IDENTIFIER_SIZE, '', 0x20);
  data.set(encodeVolumeTime(time), CREATED);
  data.set(encodeVolumeTime(time), MODIFIED);
  data.set(encodeVolumeTime(undefined), EXPIRES);
  data.set(encodeVolumeTime(undefined), EFFECTIVE);
  view.setUint8(881, 1);
  putAscii(data, APPLICATION_USE, APPLICATION_USE_SIZE, '', 0x20);
  return data;
}

/** Throws `invalid-input` for another block size than 2048 and for numbers that differ between their two byte orders. */
export function decodePrimaryDescriptor(data: Uint8Array): PrimaryDescriptor {
  const view = viewOf(data);
  const blockSize = getBothU16(view, 128, 'logical block size');
  if (blockSize !== BLOCK_SIZE) throw invalid(`ISO 9660 block size ${blockSize}: want ${BLOCK_SIZE}`);
  const texts = Object.fromEntries(
    Object.entries(TEXTS).map(([name, [offset, width]]) => [name, textAt(data, offset, width).replace(/[ \0]+$/, '')]),
  ) as Record<keyof typeof TEXTS, string>;
  return {
    ...texts,
    blocks: getBothU32(view, 80, 'volume space size'),
    pathTableSize: getBothU32(view, 132, 'path table size'),
    littlePathTable: view.getUint32(140, true),
    bigPathTable: view.getUint32(148, false),
    root: decodeDirectoryRecord(data.subarray(ROOT_RECORD, ROOT_RECORD + ROOT_RECORD_SIZE)),
    created: textAt(data, CREATED, 16),
    modified: textAt(data, MODIFIED, 16),
  };
}

/** The boot record that leads to an El Torito catalog at `catalog`, a block. */
export function encodeBootRecord(catalog: number): Uint8Array {
  const { data, view } = header(TYPE.bootRecord);
  putAscii(data, 7, 32, EL_TORITO_IDENTIFIER);
  view.setUint32(71, catalog, true);
  return data;
}

/** The block of the El Torito catalog; `undefined` for a boot record of another kind. */
export function decodeBootRecord(data: Uint8Array): number | undefined {
  const isElTorito = textAt(data, 7, 32).replace(/\0+$/, '') === EL_TORITO_IDENTIFIER;
  return isElTorito ? viewOf(data).getUint32(71, true) : undefined;
}

export function encodeTerminator(): Uint8Array {
  return header(TYPE.terminator).data;
}

/** The type of the descriptor in a block, `undefined` when there is none. */
export function descriptorType(block: Uint8Array): number | undefined {
  return textAt(block, 1, 5) === STANDARD_IDENTIFIER ? block[0] : undefined;
}

function header(type: number): { readonly data: Uint8Array; readonly view: DataView } {
  const { data, view } = structure(BLOCK_SIZE);
  view.setUint8(0, type);
  putAscii(data, 1, 5, STANDARD_IDENTIFIER);
  view.setUint8(6, 1);
  return { data, view };
}

function textAt(data: Uint8Array, offset: number, width: number): string {
  return String.fromCharCode(...data.subarray(offset, offset + width));
}
