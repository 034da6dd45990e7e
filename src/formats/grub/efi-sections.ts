/** Where the sections of GRUB's relocatable EFI kernel go. Source: GRUB util/grub-mkimagexx.c (`locate_sections`). */
import { alignUp } from '../../bytes/bytes.ts';
import { invalid } from '../../errors.ts';
import { type ElfFile, type ElfSection, FLAG_ALLOC, FLAG_EXEC, TYPE_NOBITS } from '../elf/section.ts';

/** Sections begin at pages, in the file as in memory: firmware protects pages. */
export const PAGE = 0x1000;
/** What lies before the first section: the headers, one page. */
export const HEADER_SIZE: number = PAGE;
/** Far more than any kernel; about 0.2 MiB is usual. */
const MAX_KERNEL: number = 16 << 20;

export interface PlacedSections {
  /** Bytes behind the headers, by section index; sections that are not kept have none. */
  readonly starts: ReadonlyMap<number, number>;
  /** Length of the code, a multiple of pages; data follow it. */
  readonly codeSize: number;
  /** Where zeroed data begin. */
  readonly zeroStart: number;
  /** Length of everything, zeroed data included, a multiple of pages. */
  readonly end: number;
}

/** Code, then data, then zeroed data, each in the file's order. Throws `invalid-input`. */
export function placeSections(elf: ElfFile): PlacedSections {
  const starts = new Map<number, number>();
  const place = (from: number, wanted: SectionKind): number => {
    let at = from;
    for (const [index, section] of elf.sections.entries()) {
      if (kindOf(section) !== wanted) continue;
      at = alignUp(at + HEADER_SIZE, alignmentOf(elf, section)) - HEADER_SIZE;
      starts.set(index, at);
      at += section.size;
      if (at > MAX_KERNEL)
        throw invalid(`${elf.what}: section ${section.name} ends at ${at}, want ${MAX_KERNEL} at most`);
    }
    return at;
  };
  const codeSize = alignUp(place(0, 'code'), PAGE);
  const zeroStart = place(codeSize, 'data');
  return { starts, codeSize, zeroStart, end: alignUp(place(zeroStart, 'zeros'), PAGE) };
}

type SectionKind = 'code' | 'data' | 'zeros' | 'dropped';

function kindOf({ flags, type }: ElfSection): SectionKind {
  if ((flags & FLAG_ALLOC) === 0) return 'dropped';
  if ((flags & FLAG_EXEC) !== 0) return 'code';
  return type === TYPE_NOBITS ? 'zeros' : 'data';
}

/** At most a page: the image begins at a page, so nothing larger could be kept. */
function alignmentOf(elf: ElfFile, { name, alignment }: ElfSection): number {
  const value = Math.max(1, alignment);
  if (value > PAGE || (value & (value - 1)) !== 0) {
    throw invalid(`${elf.what}: section ${name} is aligned to ${value}, want a power of two up to ${PAGE}`);
  }
  return value;
}
