/**
 * Kernel files: which kind, for which architecture, and the version text in an x86 header.
 * Source: spec boot-and-images 1.3; Linux Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst, drivers/firmware/efi/libstub/zboot-header.S.
 */
import type { Bytes } from '../bytes/bytes.ts';
import { viewOf } from '../bytes/field.ts';
import { read } from '../bytes/read.ts';
import { invalid } from '../errors.ts';
import { COFF_HEADER_SIZE, decodeCoffHeader, machineName } from '../formats/pe/coff-header.ts';
import { DOS_HEADER_SIZE, decodeDosHeader } from '../formats/pe/dos-header.ts';
import type { Architecture } from '../profiles/profile.ts';

export type KernelFormat = 'bzImage' | 'arm64 Image' | 'EFI zboot' | 'PE';

export interface Kernel {
  readonly format: KernelFormat;
  readonly architecture: Architecture;
  /** Whether firmware and systemd-stub can start it. */
  readonly isEfi: boolean;
  /** What `uname -r` will say, from an x86 header only. */
  readonly version: string | undefined;
}

/** The version pointer is 16 bits wide and counts from 0x200; the text is at most 256 bytes. */
const HEAD_SIZE: number = 0x10000 + 256;

const SETUP_SECTORS = 0x1f1;
const SETUP_MAGIC = 0x202;
const VERSION_POINTER = 0x20e;
const VERSION_BASE = 0x200;
const VERSION_LIMIT = 256;

const COMPRESSED: readonly { readonly name: string; readonly magic: string }[] = [
  { name: 'gzip', magic: '\x1f\x8b' },
  { name: 'xz', magic: '\xfd7zXZ\0' },
  { name: 'zstd', magic: '\x28\xb5\x2f\xfd' },
  { name: 'lz4', magic: '\x02\x21\x4c\x18' },
];

/**
 * Looks at the first 64 KiB. Throws `invalid-input` when this is no kernel, or one for another architecture.
 */
export async function inspectKernel(kernel: Bytes, architecture: Architecture): Promise<Kernel> {
  const head = await readHead(kernel);
  const format = formatOf(head);
  if (format === undefined) throw noKernel(head);
  const machine = machineOf(head);
  const found = machine === undefined ? (format === 'arm64 Image' ? 'arm64' : 'amd64') : machineName(machine);
  if (found !== architecture) throw invalid(`kernel: a ${format} for ${found}, want one for ${architecture}`);
  return { format, architecture, isEfi: machine !== undefined, version: versionOf(head) };
}

/**
 * The version in an x86 boot header; `undefined` where there is none or it is damaged, which only leaves `.uname` out.
 * Upstream computes with 16 bits and wraps around; a pointer that would wrap is damage here.
 */
export async function readKernelVersion(kernel: Bytes): Promise<string | undefined> {
  return versionOf(await readHead(kernel));
}

function readHead(kernel: Bytes): Promise<Uint8Array> {
  return read(kernel, 0, Math.min(kernel.size, HEAD_SIZE));
}

function formatOf(head: Uint8Array): KernelFormat | undefined {
  if (hasText(head, SETUP_MAGIC, 'HdrS')) return 'bzImage';
  if (hasText(head, 0x38, 'ARM\x64')) return 'arm64 Image';
  if (hasText(head, 0, 'MZ') && hasText(head, 4, 'zimg')) return 'EFI zboot';
  return machineOf(head) === undefined ? undefined : 'PE';
}

/** From the PE header, if there is one. */
function machineOf(head: Uint8Array): number | undefined {
  if (head.length < DOS_HEADER_SIZE || !hasText(head, 0, 'MZ')) return undefined;
  const start = viewOf(head).getUint32(0x3c, true);
  if (!hasText(head, start, 'PE\0\0') || start + COFF_HEADER_SIZE > head.length) return undefined;
  return decodeCoffHeader(head.subarray(decodeDosHeader(head, 'kernel')), 'kernel').machine;
}

function versionOf(head: Uint8Array): string | undefined {
  if (!hasText(head, SETUP_MAGIC, 'HdrS') || head.length < VERSION_POINTER + 2) return undefined;
  const pointer = viewOf(head).getUint16(VERSION_POINTER, true);
  const setupSize = (head[SETUP_SECTORS]! * 512) & 0xffff;
  const start = pointer + VERSION_BASE;
  if (pointer === 0 || pointer > setupSize || start > 0xffff || start + VERSION_LIMIT > head.length) return undefined;
  const field = head.subarray(start, start + VERSION_LIMIT);
  const end = field.indexOf(0);
  const version = end < 0 ? '' : String.fromCharCode(...field.subarray(0, end)).split(' ')[0]!;
  return /^[\t\x20-\x7e]+$/.test(version) ? version : undefined;
}

function hasText(data: Uint8Array, at: number, text: string): boolean {
  if (at + text.length > data.length) return false;
  for (let index = 0; index < text.length; index++) {
    if (data[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

function noKernel(head: Uint8Array): Error {
  if (head.length === 0) return invalid('kernel: an empty file, want a kernel image');
  const compressed = COMPRESSED.find(({ magic }) => hasText(head, 0, magic));
  if (compressed !== undefined) {
    return invalid(`kernel: a ${compressed.name} file, want a kernel image`, { hint: 'decompress it first' });
  }
  if (hasText(head, 0, '\x7fELF')) {
    return invalid('kernel: an ELF file, want a kernel image', {
      hint: 'use arch/*/boot/bzImage or Image, not vmlinux',
    });
  }
  return invalid('kernel: no kernel image, want an x86 bzImage, an arm64 Image or an EFI program');
}
