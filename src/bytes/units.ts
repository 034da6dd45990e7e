/** Branded numbers and texts, so that a sector is never added to a byte and a digest is never any string. */
import { invalid } from '../errors.ts';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = Branded<string, 'Digest'>;

/** Logical block address; the docstring of what returns it says the block size. */
export type Lba = Branded<number, 'Lba'>;

export const KIB = 1024;
export const MIB: number = 1024 * KIB;
export const GIB: number = 1024 * MIB;

export function parseDigest(text: string): Digest {
  if (!/^sha256:[0-9a-f]{64}$/.test(text)) {
    throw invalid(`digest "${text.slice(0, 100)}": want sha256: and 64 lower-case hexadecimal digits`);
  }
  return text as Digest;
}

/** The digits alone. They name files, so what somebody merely called a digest is refused here too: throws `invalid-input`. */
export function hexOf(digest: Digest): string {
  return parseDigest(digest).slice('sha256:'.length);
}

export function lba(value: number): Lba {
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalid(`block address ${value}: want a whole number, 0 or more`);
  return value as Lba;
}
