/**
 * Which XFS volumes a GRUB reads, told from the code of its `xfs.mod`: nothing else in the module says so, its texts have been the same for years. The
 * driver refuses a volume in whose `sb_features_incompat` is a bit it does not know; the compiler makes of that one instruction that tests the big-endian
 * field against all other bits. On arm64, where the field is read byte by byte, nothing is told. Source: GRUB fs/xfs.c; Intel SDM volume 2 (TEST).
 */
import { viewOf } from '../../bytes/field.ts';

/** The bits of `sb_features_incompat` (`formats/xfs/features.ts`) that the driver knows; `undefined` where its code does not tell. */
export function knownXfsFeatures(module: Uint8Array): number | undefined {
  const view = viewOf(module);
  for (let offset = 0; offset + 4 <= module.length; offset++) {
    const known = knownOf(testedBits(view, offset));
    if (known !== undefined) return known;
  }
  return undefined;
}

/** Bits became known in their order, and these are the first that had to be: a mask of others tests something else. */
const FIRST_KNOWN = 3;
const MOST_KNOWN = 16;

/** From the bits that are tested, as they lie in memory read as a little-endian number. */
function knownOf(mask: number | undefined): number | undefined {
  if (mask === undefined) return undefined;
  const swapped = (mask >>> 24) | ((mask >>> 8) & 0xff00) | ((mask << 8) & 0xff0000) | (mask << 24);
  const known = ~swapped;
  const count = 32 - Math.clz32(known);
  return count >= FIRST_KNOWN && count <= MOST_KNOWN && known === 2 ** count - 1 ? known : undefined;
}

const TEST_EAX = 0xa9;
/** With 0 in the middle bits of its second byte. */
const TEST_ANY = 0xf7;

/** What an instruction at `offset` tests bits against. */
function testedBits(view: DataView, offset: number): number | undefined {
  const opcode = view.getUint8(offset);
  if (opcode !== TEST_EAX && opcode !== TEST_ANY) return undefined;
  const start = offset + (opcode === TEST_EAX ? 1 : 1 + operandSize(view.getUint8(offset + 1)));
  return start + 4 <= view.byteLength ? view.getUint32(start, true) : undefined;
}

/** The second byte of an instruction with what else tells where its operand is, by mode and register. */
function operandSize(modrm: number): number {
  const [mode, register, base] = [modrm >>> 6, (modrm >>> 3) & 7, modrm & 7];
  // Another operation: as if there were no room for an immediate behind it.
  if (register !== 0) return Number.POSITIVE_INFINITY;
  if (mode === 3) return 1;
  const scaled = base === 4 ? 1 : 0;
  const displacement = [base === 5 ? 4 : 0, 1, 4][mode]!;
  return 1 + scaled + displacement;
}
