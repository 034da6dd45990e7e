/** The text of `diskFormatOptions`: what `qemu-img convert -o` takes, `key=value` apart by commas (spec boot-and-images 7.1, 7.2). */
import { ImagerError, invalid } from '../errors.ts';

/**
 * Values by key; the last of several stands. A key alone is `on`. A doubled comma is a comma of the value. The empty text is no options:
 * upstream's converter refuses it, ours takes the defaults. Throws `invalid-input` for an entry without a key.
 */
export function parseDiskFormatOptions(text: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  if (text === '') return options;
  for (const entry of text.replaceAll(',,', '\0').split(',')) {
    const [, key = '', , value = 'on'] = /^([^=]*)(=([\s\S]*))?$/.exec(entry.replaceAll('\0', ',')) ?? [];
    if (!/^[a-z][a-z0-9_.-]*$/.test(key)) {
      throw invalid(`disk format options "${text}": "${entry.replaceAll('\0', ',')}" has no key: want key=value`);
    }
    options.set(key, value.replace(/^=/, ''));
  }
  return options;
}

/** Bytes of a size such as `65536`, `8k`, `64K`, `2M`, `0x2000`. Throws `invalid-input`. */
export function parseOptionSize(key: string, value: string): number {
  const match = /^(0x[0-9a-f]+|\d+)([bkmgt]?)$/i.exec(value);
  const size =
    match === null ? Number.NaN : Number(match[1]) * 1024 ** 'bkmgt'.indexOf((match[2] || 'b').toLowerCase());
  if (!Number.isSafeInteger(size))
    throw invalid(`disk format option ${key}=${value}: want a size such as 65536, 64k or 1M`);
  return size;
}

export function unsupportedOption(format: string, key: string, value: string, want: string): ImagerError {
  return new ImagerError('unsupported', `${format} option ${key}=${value}: want ${want}`);
}

/** For a key that no option of the format has. */
export function unknownOption(format: string, key: string, known: readonly string[]): ImagerError {
  return invalid(`${format} option "${key}": want one of ${known.join(', ')}`);
}
