/**
 * Core images for EFI: what grub-mkimage makes as `x86_64-efi` and `arm64-efi`. Nothing in them is compressed, whatever
 * `--compression` says. Source: GRUB util/mkimage.c, include/grub/efi/pe32.h; PE/COFF specification.
 */
import { alignUp } from '../../bytes/bytes.ts';
import { joinMemory, putAscii, putU64, structure } from '../../bytes/field.ts';
import { COFF_HEADER_SIZE, encodeCoffHeader, MACHINE } from '../pe/coff-header.ts';
import { directoryField, SUBSYSTEM_EFI_APPLICATION } from '../pe/optional-header.ts';
import { encodeSectionHeader, SECTION_HEADER_SIZE } from '../pe/section-header.ts';
import { type EfiKernel, type EfiMachine, linkEfiKernel } from './efi-kernel.ts';
import { HEADER_SIZE, PAGE } from './efi-sections.ts';
import { type CorePayload, encodePayload } from './payload.ts';

const PE_MACHINES = { x86_64: MACHINE.amd64, aarch64: MACHINE.arm64 } as const satisfies Record<EfiMachine, number>;

const PE_SIGNATURE = 0x80;
const OPTIONAL_HEADER: number = PE_SIGNATURE + COFF_HEADER_SIZE;
const OPTIONAL_HEADER_SIZE = 240;
const SECTION_TABLE: number = OPTIONAL_HEADER + OPTIONAL_HEADER_SIZE;

/** 2015-01-01T00:00:00Z, in every core image since GRUB 2.02. */
const TIMESTAMP = 1420070400;
/** Executable image without line numbers, local symbols and debug information. */
const CHARACTERISTICS = 0x020e;
const PE32_PLUS = 0x20b;
const NX_COMPATIBLE = 0x0100;
const STACK_SIZE = 0x10000;
const DATA_DIRECTORIES = 16;
const BASE_RELOCATION_DIRECTORY = 5;

const CODE = 0x60000020;
const READ_WRITE_DATA = 0xc0000040;
const DISCARDABLE_DATA = 0x42000040;

/** `kernel` is the platform's `kernel.img`. Throws `invalid-input` and `unsupported`. */
export function composeEfiCore(kernel: Uint8Array, payload: CorePayload, machine: EfiMachine): Uint8Array {
  const linked = linkEfiKernel(kernel, machine);
  const modules = encodePayload(payload, 8);
  const padding = new Uint8Array(alignUp(modules.length, PAGE) - modules.length);
  const header = encodeHeader(linked, modules.length + padding.length, machine);
  return joinMemory([header, linked.image, modules, padding, linked.baseRelocations]);
}

/** DOS stub, COFF header, optional header and section table, LE, one page. */
function encodeHeader(kernel: EfiKernel, modulesSize: number, machine: EfiMachine): Uint8Array {
  const { data, view } = structure(HEADER_SIZE);
  const dataSize = kernel.image.length - kernel.codeSize;
  const relocationsSize = kernel.baseRelocations.length;
  putDosStub(data, view);
  const sections = [
    { name: '.text', size: kernel.codeSize, characteristics: CODE },
    { name: '.data', size: dataSize, characteristics: READ_WRITE_DATA },
    { name: 'mods', size: modulesSize, characteristics: READ_WRITE_DATA },
    { name: '.reloc', size: relocationsSize, characteristics: DISCARDABLE_DATA },
  ];
  const coff = {
    machine: PE_MACHINES[machine],
    numberOfSections: sections.length,
    timeDateStamp: TIMESTAMP,
    pointerToSymbolTable: 0,
    numberOfSymbols: 0,
    sizeOfOptionalHeader: OPTIONAL_HEADER_SIZE,
    characteristics: CHARACTERISTICS,
  };
  data.set(encodeCoffHeader(coff), PE_SIGNATURE);

  const word = (offset: number, value: number): void => view.setUint32(OPTIONAL_HEADER + offset, value, true);
  view.setUint16(OPTIONAL_HEADER, PE32_PLUS, true);
  word(4, kernel.codeSize);
  word(8, dataSize + modulesSize);
  word(16, kernel.entry);
  word(20, HEADER_SIZE);
  word(32, PAGE);
  word(36, PAGE);
  word(56, HEADER_SIZE + kernel.image.length + modulesSize + relocationsSize);
  word(60, HEADER_SIZE);
  view.setUint16(OPTIONAL_HEADER + 68, SUBSYSTEM_EFI_APPLICATION, true);
  view.setUint16(OPTIONAL_HEADER + 70, kernel.protectsPages ? NX_COMPATIBLE : 0, true);
  for (const offset of [72, 80, 88, 96]) putU64(view, OPTIONAL_HEADER + offset, STACK_SIZE, true);
  word(108, DATA_DIRECTORIES);
  const relocationsAt = HEADER_SIZE + kernel.image.length + modulesSize;
  word(directoryField(BASE_RELOCATION_DIRECTORY), relocationsAt);
  word(directoryField(BASE_RELOCATION_DIRECTORY) + 4, relocationsSize);
  putSections(data, sections);
  return data;
}

/** Sections one after the other: as everything is whole pages, offset in file and address are the same. */
function putSections(
  data: Uint8Array,
  sections: readonly { readonly name: string; readonly size: number; readonly characteristics: number }[],
): void {
  let address = HEADER_SIZE;
  for (const [index, { name, size, characteristics }] of sections.entries()) {
    const place = { virtualSize: size, virtualAddress: address, rawSize: size, rawOffset: address };
    data.set(encodeSectionHeader({ name, ...place, characteristics }), SECTION_TABLE + index * SECTION_HEADER_SIZE);
    address += size;
  }
}

/** The program every linker puts there: it prints its text and ends. */
function putDosStub(data: Uint8Array, view: DataView): void {
  putAscii(data, 0, 2, 'MZ');
  const words = [
    [2, 0x90], // bytes on the last page
    [4, 3], // pages
    [8, 4], // paragraphs of header
    [12, 0xffff], // most extra memory
    [16, 0xb8], // stack
    [24, 0x40], // relocations
    [60, PE_SIGNATURE],
  ] as const;
  for (const [offset, value] of words) view.setUint16(offset, value, true);
  // push cs, pop ds, print the string at 0x0e, exit with 1.
  data.set([0x0e, 0x1f, 0xba, 0x0e, 0x00, 0xb4, 0x09, 0xcd, 0x21, 0xb8, 0x01, 0x4c, 0xcd, 0x21], 64);
  putAscii(data, 78, 43, 'This program cannot be run in DOS mode.\r\r\n$');
}
