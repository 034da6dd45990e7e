/** GUIDs: as text, in the mixed-endian form of GPT and EFI, and the ones that are derived from a label. */
import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex, joinMemory, toHex } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

declare const brand: unique symbol;

/** `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, lower case. */
export type Guid = string & { readonly [brand]: 'Guid' };

export const ZERO_GUID: Guid = '00000000-0000-0000-0000-000000000000' as Guid;

/** Partition types (UEFI 2.10 table 5.7; UAPI discoverable partitions; GRUB). */
export const PARTITION_TYPE = {
  efiSystem: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b' as Guid,
  biosBoot: '21686148-6449-6e6f-744e-656564454649' as Guid,
  linuxData: '0fc63daf-8483-4772-8e79-3d69d8477de4' as Guid,
  basicData: 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7' as Guid,
} as const;

/** Upper case is taken too. Throws `invalid-input` for anything else. */
export function parseGuid(text: string): Guid {
  if (!/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(text)) {
    throw invalid(`GUID "${text.slice(0, 100)}": want 8-4-4-4-12 hexadecimal digits`);
  }
  return text.toLowerCase() as Guid;
}

/** 16 bytes: the first three groups little-endian, the rest as written. */
export function encodeGuid(guid: Guid): Uint8Array {
  return swapped(fromHex(guid.replaceAll('-', '')));
}

/** From the first 16 bytes of `data`, which must hold as many. */
export function decodeGuid(data: Uint8Array): Guid {
  return guidOfBytes(swapped(data.subarray(0, 16)));
}

/** The GUID whose 16 bytes, read in the order of the text, these are. */
export function guidOfBytes(bytes: Uint8Array): Guid {
  const hex = toHex(bytes.subarray(0, 16));
  if (hex.length !== 32) throw invalid(`GUID of ${hex.length / 2} bytes: want 16`);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Guid;
}

/**
 * The GUID that stands for `label` in every image: the SHA-256 of 16 zero bytes and the label, cut to 16 bytes and marked as UUID version 8
 * (spec boot-and-images 6.3).
 */
export function guidOfLabel(label: string): Guid {
  const bytes = sha256(joinMemory([new Uint8Array(16), new TextEncoder().encode(label)])).slice(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return guidOfBytes(bytes);
}

function swapped(bytes: Uint8Array): Uint8Array {
  const [a, b, c, d, e, f, g, h, ...rest] = bytes;
  return Uint8Array.from([d!, c!, b!, a!, f!, e!, h!, g!, ...rest]);
}
