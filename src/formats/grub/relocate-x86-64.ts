/** Relocations of x86-64 code. Source: System V ABI, AMD64 supplement, 4.4.1; GRUB util/grub-mkimagexx.c for which are met. */
import { ImagerError } from '../../errors.ts';
import { checkRoom, type PlacedRelocation } from './efi-relocation.ts';

const NONE = 0;
const ABSOLUTE_64 = 1;
const RELATIVE_32 = 2;
const CALL_32 = 4;
const RELATIVE_64 = 24;

/**
 * Changes the kernel's bytes in `view`. Gives the places of absolute addresses, which move with the image, in order.
 * Throws `unsupported` for types that GRUB's kernel does not have.
 */
export function relocateX86_64(view: DataView, relocations: readonly PlacedRelocation[]): number[] {
  const absolute: number[] = [];
  for (const relocation of relocations) {
    const { type, at, address, value } = relocation;
    switch (type) {
      case NONE:
        break;
      case ABSOLUTE_64:
        checkRoom(relocation, 8);
        view.setBigUint64(at, view.getBigUint64(at, true) + value, true);
        absolute.push(at);
        break;
      case RELATIVE_32:
      case CALL_32:
        checkRoom(relocation, 4);
        view.setUint32(at, Number(BigInt.asUintN(32, BigInt(view.getUint32(at, true)) + value - address)), true);
        break;
      case RELATIVE_64:
        checkRoom(relocation, 8);
        view.setBigUint64(at, view.getBigUint64(at, true) + value - address, true);
        break;
      default:
        throw new ImagerError(
          'unsupported',
          `kernel.img: x86-64 relocation type ${type} at ${at}, want 0, 1, 2, 4 or 24`,
        );
    }
  }
  return absolute;
}
