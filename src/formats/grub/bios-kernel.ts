/** GRUB's kernel for PC BIOS: an ELF executable linked at 0x9000, as the flat bytes that end up there. */
import { invalid } from '../../errors.ts';
import { MACHINE_I386 } from '../elf/header.ts';
import {
  type ElfFile,
  type ElfSection,
  FLAG_ALLOC,
  FLAG_EXEC,
  parseElf,
  sectionData,
  TYPE_NOBITS,
  TYPE_PROGBITS,
} from '../elf/section.ts';

/** Source: GRUB include/grub/offsets.h, GRUB_KERNEL_I386_PC_LINK_ADDR. */
export const BIOS_LINK_ADDRESS = 0x9000;
/** The kernel with its zeroed data must end below this address: GRUB's real-mode scratch area begins there. */
const KERNEL_END = 0x68000;

/**
 * `kernel.img` of i386-pc as the bytes from 0x9000 on, without what starts as zeros. Throws `invalid-input` when it is not
 * linked there or does not fit the memory below 0x68000.
 */
export function flattenBiosKernel(image: Uint8Array): Uint8Array {
  const elf = parseElf(image, 'kernel.img');
  if (elf.bits !== 32 || elf.machine !== MACHINE_I386) {
    throw invalid(`kernel.img: ELF machine ${elf.machine} of ${elf.bits} bits, want 3 (i386) of 32 bits`);
  }
  const loaded = elf.sections.filter(({ type, flags }) => type === TYPE_PROGBITS && (flags & FLAG_ALLOC) !== 0);
  const code = loaded.filter(({ flags }) => (flags & FLAG_EXEC) !== 0);
  if (code.length !== 1 || code[0]!.address !== BigInt(BIOS_LINK_ADDRESS)) {
    throw invalid(`kernel.img: ${describe(code)}, want one code section at 0x${BIOS_LINK_ADDRESS.toString(16)}`);
  }
  const size = Math.max(...loaded.map((section) => endOf(elf, section)));
  const flat = new Uint8Array(size);
  for (const section of loaded) flat.set(sectionData(elf, section), startOf(section));
  for (const section of elf.sections) if (section.type === TYPE_NOBITS) endOf(elf, section);
  return flat;
}

function describe(code: readonly ElfSection[]): string {
  if (code.length === 0) return 'no code section';
  return `code at ${code.map(({ address }) => `0x${address.toString(16)}`).join(', ')}`;
}

/** Bytes behind the link address; negative when in front of it. */
function startOf(section: ElfSection): number {
  return Number(section.address) - BIOS_LINK_ADDRESS;
}

function endOf(elf: ElfFile, section: ElfSection): number {
  const start = startOf(section);
  const end = start + section.size;
  if (start < 0 || end + BIOS_LINK_ADDRESS > KERNEL_END) {
    throw invalid(
      `${elf.what}: section ${section.name} at 0x${section.address.toString(16)} of ${section.size} bytes: ` +
        `want it within 0x${BIOS_LINK_ADDRESS.toString(16)}..0x${KERNEL_END.toString(16)}`,
    );
  }
  return end;
}
