/**
 * META values as the text of `INSTALLER_META_BASE64`, which Talos reads from `talos.environment` on the kernel command line.
 * Source: spec profiles-and-inputs 5.3.
 */
import { decodeUtf8 } from '../bytes/utf8.ts';
import { invalid } from '../errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { decodeGzip, encodeGzip } from './gzip.ts';
import { checkMetaKey, formatMetaKey } from './key.ts';
import { encodeMetaText, formatMetaValue, type MetaValue, parseMetaValue } from './value.ts';

export const META_ENVIRONMENT_VARIABLE = 'INSTALLER_META_BASE64';

/** Joined text up to this many bytes is never compressed. */
const GZIP_THRESHOLD = 256;

/** A partition holds 256 KiB of values, so nothing useful decompresses to more than this. */
const DECODED_LIMIT = 1 << 20;

const SEPARATOR = ';';

export interface MetaEnvironmentOptions {
  /** Whether the Talos version reads compressed values (1.6.3 and later). */
  readonly gzip: boolean;
}

/**
 * The values in list order. Line breaks, NUL and any other character survive, since Base64 carries them; `;` does not, because
 * it separates values and nothing escapes it: refused with `invalid-input`, as are keys outside 1..255.
 */
export function encodeMetaEnvironment(values: readonly MetaValue[], options: MetaEnvironmentOptions): string {
  for (const meta of values) checkCarriable(meta);
  const text = new TextEncoder().encode(values.map(formatMetaValue).join(SEPARATOR));
  return encodeBase64(options.gzip && text.length > GZIP_THRESHOLD ? encodeGzip(text) : text);
}

/**
 * What Talos would understand: several gzip members, line breaks within the Base64 and unused bits in its last group are taken, everything else
 * that is not exact is `invalid-input`.
 */
export function decodeMetaEnvironment(encoded: string): MetaValue[] {
  const what = META_ENVIRONMENT_VARIABLE;
  const data = decodeBase64(encoded, what);
  if (data.length === 0) return [];
  const plain = isGzip(data) ? decodeGzip(data, what, DECODED_LIMIT) : data;
  return decodeUtf8(plain, `${what}: a value`).split(SEPARATOR).map(parseMetaValue);
}

/** Shorter data cannot be a gzip header and is read as text. */
function isGzip(data: Uint8Array): boolean {
  return data.length >= 10 && data[0] === 0x1f && data[1] === 0x8b;
}

function checkCarriable(meta: MetaValue): void {
  checkMetaKey(meta.key);
  encodeMetaText(meta);
  const at = meta.value.indexOf(SEPARATOR);
  if (at >= 0) {
    throw invalid(
      `meta value ${formatMetaKey(meta.key)}: ";" at character ${at + 1}, want none in a value that travels on the kernel command line`,
      { hint: 'write the document without ";", or build a disk image, which stores META in its own partition' },
    );
  }
}
