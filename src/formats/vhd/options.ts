/** What the options of qemu-img for VHD (its format `vpc`) mean here. */
import { parseDiskFormatOptions, unknownOption, unsupportedOption } from '../disk-format-options.ts';

const ON: readonly string[] = ['on', 'yes', 'true', 'y'];

/**
 * The one form we write is fixed and keeps the size, so nothing is left to choose; without `force_size` qemu-img would round the size to cylinders and
 * leave the backup partition table before the end. Throws `invalid-input` for unknown options, `unsupported` for other values.
 */
export function checkVhdOptions(text: string): void {
  for (const [key, value] of parseDiskFormatOptions(text)) {
    if (key === 'subformat') {
      if (value !== 'fixed') throw unsupportedOption('vhd', key, value, 'fixed');
    } else if (key === 'force_size') {
      if (!ON.includes(value)) throw unsupportedOption('vhd', key, value, 'on');
    } else {
      throw unknownOption('vhd', key, ['subformat', 'force_size']);
    }
  }
}
