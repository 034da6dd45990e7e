/**
 * Keys of the META partition: one byte, 1..255. Zero ends the list on disk, so a value under it is written and never read back;
 * upstream takes it, we refuse it. Names as in Talos' constants. Source: spec profiles-and-inputs 5.1, 5.2.
 */
import { invalid } from '../errors.ts';

/** Keys of META values that Talos gives a meaning. */
export const META_KEYS = {
  /** Previous boot label, set on upgrade. */
  upgrade: 0x06,
  /** Image reference. */
  stagedUpgradeImageRef: 0x07,
  /** JSON. */
  stagedUpgradeInstallOptions: 0x08,
  /** JSON. */
  stateEncryptionConfig: 0x09,
  /** YAML or JSON: addresses, links, routes before the machine has a configuration. */
  metalNetworkPlatformConfig: 0x0a,
  /** What `${code}` in the `talos.config` URL becomes. */
  downloadUrlCode: 0x0b,
  userReserved1: 0x0c,
  userReserved2: 0x0d,
  userReserved3: 0x0e,
  /** Machine UUID in place of the firmware's. */
  uuidOverride: 0x0f,
  uniqueMachineToken: 0x10,
  /** `dual-boot`, written by the imager and wiped on first boot. */
  diskImageBootloader: 0x11,
} as const;

/**
 * Go's base-0 notation: the prefix chooses the base, a bare leading zero means octal, and `_` may stand between digits
 * or between prefix and digits.
 */
const NOTATIONS: readonly { readonly form: RegExp; readonly base: number; readonly prefix: number }[] = [
  { form: /^0[xX](_?[0-9a-fA-F])+$/, base: 16, prefix: 2 },
  { form: /^0[bB](_?[01])+$/, base: 2, prefix: 2 },
  { form: /^0[oO](_?[0-7])+$/, base: 8, prefix: 2 },
  { form: /^0(_?[0-7])*$/, base: 8, prefix: 0 },
  { form: /^[1-9](_?[0-9])*$/, base: 10, prefix: 0 },
];

/** Longest text looked at: eight binary digits with every `_` allowed, and room for leading zeros. */
const LONGEST_KEY = 64;

/** A key 1..255 from its text in Go base-0 notation (`10`, `0xa`, `0b1010`, `012`). Throws `invalid-input`. */
export function parseMetaKey(text: string): number {
  const notation = text.length > LONGEST_KEY ? undefined : NOTATIONS.find(({ form }) => form.test(text));
  const key =
    notation === undefined
      ? Number.NaN
      : Number.parseInt(text.slice(notation.prefix).replaceAll('_', ''), notation.base);
  if (!isMetaKey(key)) throw badKey(JSON.stringify(text.slice(0, LONGEST_KEY)), key === 0);
  return key;
}

/** Throws `invalid-input` unless `key` is 1..255. */
export function checkMetaKey(key: number): void {
  if (!isMetaKey(key)) throw badKey(String(key), key === 0);
}

/** `0x` and lower-case hexadecimal digits without padding: `0xa`. */
export function formatMetaKey(key: number): string {
  return `0x${key.toString(16)}`;
}

function isMetaKey(key: number): boolean {
  return Number.isInteger(key) && key >= 1 && key <= 255;
}

function badKey(shown: string, isZero: boolean): Error {
  const hint = isZero ? 'key 0 ends the list on disk, a value under it would never be read' : 'for example 0xa or 10';
  return invalid(`meta key ${shown}: want 0x01..0xff`, { hint });
}
