/** Relocations of GRUB's EFI kernel with everything looked up that applying them needs. */
import { invalid } from '../../errors.ts';
import { parseRelocations } from '../elf/relocation.ts';
import { type ElfFile, type ElfSection, TYPE_NOBITS, TYPE_REL, TYPE_RELA } from '../elf/section.ts';
import { HEADER_SIZE, type PlacedSections } from './efi-sections.ts';

export interface PlacedRelocation {
  /** Processor-specific. */
  readonly type: number;
  /** The place, bytes behind the headers. */
  readonly at: number;
  /** Virtual address of the place. */
  readonly address: bigint;
  /** Bytes from the place to the end of its section. */
  readonly room: number;
  /** Index of the symbol. */
  readonly symbol: number;
  readonly addend: bigint;
  /** Symbol and addend, modulo 2^64. */
  readonly value: bigint;
}

/** All relocations of kept sections, one list per table. Throws `invalid-input` where one points nowhere. */
export function placeRelocations(
  elf: ElfFile,
  placed: PlacedSections,
  addresses: readonly bigint[],
): readonly (readonly PlacedRelocation[])[] {
  const tables = elf.sections.filter((section) => isTable(section) && belongsToKept(elf, placed, section));
  return tables.map((table) => placeTable(elf, placed, addresses, table));
}

/** Throws `invalid-input` where `width` bytes from the place on are not all in its section. */
export function checkRoom({ at, room }: PlacedRelocation, width: number): void {
  if (room < width) throw invalid(`kernel.img: a relocation of ${width} bytes at ${at} passes the end of its section`);
}

/** How many relocations of a type the file has, in kept sections or not. */
export function countRelocations(elf: ElfFile, type: number): number {
  const all = elf.sections.filter(isTable).flatMap((table) => parseRelocations(elf, table));
  return all.filter((relocation) => relocation.type === type).length;
}

function isTable({ type }: ElfSection): boolean {
  return type === TYPE_REL || type === TYPE_RELA;
}

/** By name, as grub-mkimage tells: `.rela.x` belongs to the first section `.x`. Other names always count. */
function belongsToKept(elf: ElfFile, placed: PlacedSections, { name }: ElfSection): boolean {
  const target = /^\.rela?(\..*)$/.exec(name)?.[1];
  if (target === undefined) return true;
  return placed.starts.has(elf.sections.findIndex((section) => section.name === target));
}

function placeTable(
  elf: ElfFile,
  placed: PlacedSections,
  addresses: readonly bigint[],
  table: ElfSection,
): PlacedRelocation[] {
  const target = elf.sections[table.info];
  const start = placed.starts.get(table.info);
  if (target === undefined || start === undefined || target.type === TYPE_NOBITS) {
    throw invalid(`${elf.what}: ${table.name} changes section ${table.info}, which has no bytes in the image`);
  }
  return parseRelocations(elf, table).map(({ offset, symbol, type, addend }) => {
    const address = addresses[symbol];
    if (address === undefined)
      throw invalid(`${elf.what}: ${table.name} names symbol ${symbol} of ${addresses.length}`);
    if (offset >= target.size) throw invalid(`${elf.what}: ${table.name} changes byte ${offset} of ${target.size}`);
    return {
      type,
      at: start + offset,
      address: BigInt(start + offset + HEADER_SIZE),
      room: target.size - offset,
      symbol,
      addend,
      value: BigInt.asUintN(64, address + addend),
    };
  });
}
