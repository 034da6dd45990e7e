/** GRUB's kernel for EFI: a relocatable ELF file, linked to the virtual addresses it has in a PE image based at 0. */
import { alignUp } from '../../bytes/bytes.ts';
import { structure } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { MACHINE_AARCH64, MACHINE_X86_64 } from '../elf/header.ts';
import { type ElfFile, parseElf, sectionData, TYPE_NOBITS } from '../elf/section.ts';
import { encodeBaseRelocations } from './base-relocations.ts';
import { countRelocations, placeRelocations } from './efi-relocation.ts';
import { HEADER_SIZE, PAGE, type PlacedSections, placeSections } from './efi-sections.ts';
import { resolveKernelSymbols } from './efi-symbols.ts';
import { relocateAarch64, TABLE_ENTRY_SIZE, TABLE_ENTRY_TYPE } from './relocate-aarch64.ts';
import { relocateX86_64 } from './relocate-x86-64.ts';

export type EfiMachine = 'x86_64' | 'aarch64';

const MACHINES = { x86_64: MACHINE_X86_64, aarch64: MACHINE_AARCH64 } as const satisfies Record<EfiMachine, number>;

export interface EfiKernel {
  /** Code, data and zeros: what follows the headers, a multiple of pages. */
  readonly image: Uint8Array;
  /** Bytes of code at the beginning, a multiple of pages. */
  readonly codeSize: number;
  /** Virtual address. */
  readonly entry: number;
  /** Whether it can run where data cannot be executed. */
  readonly protectsPages: boolean;
  /** The `.reloc` section, a multiple of pages. */
  readonly baseRelocations: Uint8Array;
}

/** `kernel.img` of an EFI platform. Throws `invalid-input` when it is for another machine or damaged, `unsupported` for unknown relocations. */
export function linkEfiKernel(image: Uint8Array, machine: EfiMachine): EfiKernel {
  const elf = parseElf(image, 'kernel.img');
  if (elf.bits !== 64 || elf.machine !== MACHINES[machine]) {
    throw invalid(`kernel.img: ELF machine ${elf.machine} of ${elf.bits} bits, want ${MACHINES[machine]} of 64 bits`);
  }
  const placed = placeSections(elf);
  const symbols = resolveKernelSymbols(elf, placed);
  const tableStart = alignUp(placed.end, 16);
  const tableEntries = machine === 'aarch64' ? countRelocations(elf, TABLE_ENTRY_TYPE) : 0;
  const { data, view } = structure(alignUp(tableStart + tableEntries * TABLE_ENTRY_SIZE, PAGE));
  copySections(elf, placed, data);

  const table = { next: tableStart };
  const absolute = placeRelocations(elf, placed, symbols.addresses).flatMap((relocations) =>
    machine === 'aarch64' ? relocateAarch64(view, relocations, table) : relocateX86_64(view, relocations),
  );
  for (let entry = 0; entry < tableEntries; entry++) absolute.push(tableStart + entry * TABLE_ENTRY_SIZE);
  return {
    image: data,
    codeSize: placed.codeSize,
    entry: symbols.entry,
    protectsPages: symbols.protectsPages,
    baseRelocations: encodeBaseRelocations(absolute.map((at) => at + HEADER_SIZE)),
  };
}

function copySections(elf: ElfFile, placed: PlacedSections, into: Uint8Array): void {
  for (const [index, start] of placed.starts) {
    const section = elf.sections[index]!;
    if (section.type !== TYPE_NOBITS) into.set(sectionData(elf, section), start);
  }
}
