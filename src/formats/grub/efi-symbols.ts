/** Addresses of the symbols of GRUB's EFI kernel. Source: GRUB util/grub-mkimagexx.c (`relocate_symbols`). */
import { invalid } from '../../errors.ts';
import { type ElfFile, TYPE_SYMTAB } from '../elf/section.ts';
import { type ElfSymbol, parseSymbols, SECTION_ABSOLUTE, SECTION_UNDEFINED } from '../elf/symbol.ts';
import { HEADER_SIZE, type PlacedSections } from './efi-sections.ts';

/** Only a kernel that protects its pages has it; it came with GRUB 2.14. */
const PAGE_PROTECTION = 'grub_update_mem_attrs';

export interface KernelSymbols {
  /** Virtual addresses by symbol index. */
  readonly addresses: readonly bigint[];
  /** Virtual address of `_start`. */
  readonly entry: number;
  /** Whether the kernel can run where data cannot be executed. */
  readonly protectsPages: boolean;
}

/** Throws `invalid-input` for a kernel without symbols or `_start`, and for symbols that nothing defines. */
export function resolveKernelSymbols(elf: ElfFile, placed: PlacedSections): KernelSymbols {
  const table = elf.sections.find(({ type }) => type === TYPE_SYMTAB);
  if (table === undefined) throw invalid(`${elf.what}: no symbol table`);
  const symbols = parseSymbols(elf, table);
  const addresses = symbols.map((symbol) => addressOf(elf, placed, symbol));
  const start = symbols.findIndex(({ name, section }) => section !== SECTION_ABSOLUTE && /^_?start$/.test(name));
  const entry = addresses[start];
  if (entry === undefined) throw invalid(`${elf.what}: no symbol "_start"`);
  if (entry > BigInt(placed.end + HEADER_SIZE)) {
    throw invalid(`${elf.what}: starts at 0x${entry.toString(16)}, outside its ${placed.end} bytes`);
  }
  return { addresses, entry: Number(entry), protectsPages: symbols.some(({ name }) => name === PAGE_PROTECTION) };
}

function addressOf(elf: ElfFile, placed: PlacedSections, { name, section, value }: ElfSymbol): bigint {
  if (section === SECTION_ABSOLUTE) return value;
  if (section === SECTION_UNDEFINED) {
    // The linker's own symbols; grub-mkimage leaves the headers out of their count, and so do we.
    if (name === '__bss_start') return BigInt(placed.zeroStart);
    if (name === '_end') return BigInt(placed.end);
    if (name === '') return value;
    throw invalid(`${elf.what}: symbol "${name}" is not defined`);
  }
  if (section >= elf.sections.length)
    throw invalid(`${elf.what}: symbol "${name}" in section ${section} of ${elf.sections.length}`);
  return BigInt.asUintN(64, value + BigInt(placed.starts.get(section) ?? 0) + BigInt(HEADER_SIZE));
}
