/**
 * Relocations of AArch64 code. Source: ELF for the Arm 64-bit Architecture (AArch64), 5.7; GRUB util/grub-mkimagexx.c and
 * grub-core/kern/arm64/dl_helper.c for which are met and how the table of addresses is filled.
 */
import { ImagerError, invalid } from '../../errors.ts';
import { checkRoom, type PlacedRelocation } from './efi-relocation.ts';
import { HEADER_SIZE } from './efi-sections.ts';

const ABSOLUTE_64 = 257;
const RELATIVE_32 = 261;
const PAGE_HIGH_21 = 275;
const ADD_LOW_12 = 277;
const JUMP_26 = 282;
const CALL_26 = 283;
const LOAD_64_LOW_12 = 286;
const TABLE_PAGE = 311;
const TABLE_LOAD_LOW_12 = 312;

/** Each use of an address by way of the table has an entry of its own. */
export const TABLE_ENTRY_TYPE: number = TABLE_PAGE;
export const TABLE_ENTRY_SIZE = 8;

/** The table of addresses (GOT) behind the kernel. */
export interface AddressTable {
  /** The next free entry, bytes behind the headers. */
  next: number;
}

const PAGE_MASK: bigint = ~0xfffn;
/** What of an instruction stays: all but its immediate. */
const KEEP_PAGE = 0x9f00001f;
const KEEP_ADD = 0xffc003ff;
const KEEP_LOAD_64 = 0xfff803ff;
const KEEP_BRANCH = 0xfc000000;

/**
 * Changes the kernel's bytes in `view` and fills the address table. Gives the places of absolute addresses in sections, in
 * order; entries of the table are absolute too. Throws `unsupported` for types that GRUB's kernel does not have.
 */
export function relocateAarch64(
  view: DataView,
  relocations: readonly PlacedRelocation[],
  table: AddressTable,
): number[] {
  const absolute: number[] = [];
  const loads = pairTableLoads(relocations);
  for (const relocation of relocations) {
    const { type, at, address, value } = relocation;
    switch (type) {
      case ABSOLUTE_64:
        checkRoom(relocation, 8);
        view.setBigUint64(at, view.getBigUint64(at, true) + value, true);
        absolute.push(at);
        break;
      case RELATIVE_32:
        checkRoom(relocation, 4);
        view.setUint32(at, Number(BigInt.asUintN(32, BigInt(view.getUint32(at, true)) + value - address)), true);
        break;
      case PAGE_HIGH_21:
        setPage(view, relocation, value);
        break;
      case ADD_LOW_12:
        setImmediate(view, relocation, KEEP_ADD, Number(value & 0xfffn) << 10);
        break;
      case LOAD_64_LOW_12:
        setLoad(view, relocation, value);
        break;
      case JUMP_26:
      case CALL_26:
        setBranch(view, relocation);
        break;
      case TABLE_PAGE:
        setTableEntry(view, relocation, loads, table);
        break;
      case TABLE_LOAD_LOW_12:
        // Its instruction is changed together with the page's, when the entry is made.
        if (!loads.paired.has(relocation)) throw invalid(`kernel.img: the load at ${at} is from no table entry`);
        break;
      default:
        throw new ImagerError('unsupported', `kernel.img: AArch64 relocation type ${type} at ${at} is none of GRUB's`);
    }
  }
  return absolute;
}

interface TableLoads {
  /** The load that belongs to each page instruction: the next one with the same symbol and addend. */
  readonly ofPage: ReadonlyMap<PlacedRelocation, PlacedRelocation>;
  readonly paired: ReadonlySet<PlacedRelocation>;
}

function pairTableLoads(relocations: readonly PlacedRelocation[]): TableLoads {
  const ofPage = new Map<PlacedRelocation, PlacedRelocation>();
  const next = new Map<string, PlacedRelocation>();
  for (const relocation of relocations.toReversed()) {
    const key = `${relocation.symbol} ${relocation.addend}`;
    if (relocation.type === TABLE_LOAD_LOW_12) next.set(key, relocation);
    const load = relocation.type === TABLE_PAGE ? next.get(key) : undefined;
    if (load !== undefined) ofPage.set(relocation, load);
  }
  return { ofPage, paired: new Set(ofPage.values()) };
}

/** Writes the entry and makes both instructions that use it, the page and the load, point there. */
function setTableEntry(view: DataView, page: PlacedRelocation, loads: TableLoads, table: AddressTable): void {
  const load = loads.ofPage.get(page);
  if (load === undefined) throw invalid(`kernel.img: the table entry used at ${page.at} is never loaded`);
  const entry = table.next;
  table.next += TABLE_ENTRY_SIZE;
  view.setBigUint64(entry, page.value, true);
  const address = BigInt(entry + HEADER_SIZE);
  setPage(view, page, address);
  setLoad(view, load, address);
}

/** ADRP: pages from the place's page to the target's. */
function setPage(view: DataView, relocation: PlacedRelocation, target: bigint): void {
  const distance = BigInt.asIntN(64, (target & PAGE_MASK) - (relocation.address & PAGE_MASK));
  if (distance !== BigInt.asIntN(32, distance)) throw outOfReach(relocation);
  const pages = Number(distance >> 12n);
  setImmediate(view, relocation, KEEP_PAGE, ((pages & 3) << 29) | (((pages >> 2) & 0x7ffff) << 5));
}

/** LDR of 64 bits: the offset counts in eights. */
function setLoad(view: DataView, relocation: PlacedRelocation, target: bigint): void {
  setImmediate(view, relocation, KEEP_LOAD_64, (Number(target & 0xfffn) << 7) & ~KEEP_LOAD_64);
}

/** B and BL: words from the place to the target, up to 128 MiB away. */
function setBranch(view: DataView, relocation: PlacedRelocation): void {
  const distance = BigInt.asIntN(64, relocation.value - relocation.address);
  if (distance < -(1n << 27n) || distance >= 1n << 27n) throw outOfReach(relocation);
  setImmediate(view, relocation, KEEP_BRANCH, Number(distance >> 2n) & ~KEEP_BRANCH);
}

function setImmediate(view: DataView, relocation: PlacedRelocation, keep: number, immediate: number): void {
  checkRoom(relocation, 4);
  view.setUint32(relocation.at, ((view.getUint32(relocation.at, true) & keep) | immediate) >>> 0, true);
}

function outOfReach({ at }: PlacedRelocation): Error {
  return invalid(`kernel.img: the instruction at ${at} cannot reach its target`);
}
