/** Compressed outputs: which there are, and how hard to try. */
import { invalid } from '../errors.ts';
import type { Compression } from '../platform/types.ts';
import type { OutputFormat } from '../profiles/profile.ts';

/** An output format that compresses. */
export type CompressedFormat = Exclude<OutputFormat, 'unknown' | 'raw'>;

interface FormatRow {
  readonly levels: { readonly least: number; readonly most: number; readonly usual: number };
  /** The compressor, with its version where the output's bytes depend on it. */
  readonly encoder: (compression: Compression) => string;
}

const GZIP: FormatRow = { levels: { least: 1, most: 9, usual: 6 }, encoder: ({ encoders }) => encoders.deflate };

const FORMATS = {
  '.zst': { levels: { least: 1, most: 22, usual: 3 }, encoder: ({ encoders }) => encoders.zstd },
  '.xz': { levels: { least: 0, most: 9, usual: 0 }, encoder: () => 'own' },
  '.gz': GZIP,
  '.tar.gz': GZIP,
} as const satisfies Record<CompressedFormat, FormatRow>;

export function isCompressedFormat(format: OutputFormat): format is CompressedFormat {
  return Object.hasOwn(FORMATS, format);
}

/** What a user asked for: a format, and how hard to try. */
export interface CompressionChoice {
  readonly format: 'raw' | CompressedFormat;
  /** As of the format's own program; the format's usual one unless given. */
  readonly level?: number;
}

/** `zst`, `.zst` or `zst:19`. Throws `invalid-input` for an unknown format and a level it does not have. */
export function parseCompression(text: string): CompressionChoice {
  const [, name = '', digits] = /^\.?([a-z.]+)(?::(\d{1,3}))?$/.exec(text) ?? [];
  const names = ['raw', ...Object.keys(FORMATS).map((format) => format.slice(1))];
  const wanted = `want ${names.slice(0, -1).join(', ')} or ${names.at(-1)}, with a level like zst:19 if need be`;
  if (!names.includes(name)) throw invalid(`compression "${text}": ${wanted}`);
  if (name === 'raw') {
    if (digits !== undefined) throw invalid(`compression "${text}": raw has no levels`);
    return { format: 'raw' };
  }
  const format = `.${name}` as CompressedFormat;
  return digits === undefined ? { format } : { format, level: checkLevel(format, Number(digits)) };
}

/** The level itself. Throws `invalid-input` outside the format's levels. */
export function checkLevel(format: CompressedFormat, level: number): number {
  const { least, most } = FORMATS[format].levels;
  if (Number.isInteger(level) && level >= least && level <= most) return level;
  throw invalid(`compression level ${level} of ${format}: want ${least} to ${most}`);
}

/** A compression in which everything is decided: the same bytes give the same bytes. */
export interface PlannedCompression {
  readonly format: CompressedFormat;
  readonly level: number;
  /** The compressor, with its version where it is not this project's own. */
  readonly encoder: string;
}

/** Throws `invalid-input` for a level the format does not have. */
export function planCompression(
  compression: Compression,
  format: CompressedFormat,
  level: number | undefined,
): PlannedCompression {
  const { levels, encoder }: FormatRow = FORMATS[format];
  return { format, level: checkLevel(format, level ?? levels.usual), encoder: encoder(compression) };
}
