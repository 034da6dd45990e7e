/** One META value and its text form `KEY=VALUE`. Source: spec profiles-and-inputs 5.2. */
import { invalid } from '../errors.ts';
import { formatMetaKey, parseMetaKey } from './key.ts';

/** A value for the META partition of the node: what it reads before it has a machine configuration. */
export interface MetaValue {
  /** 1..255. */
  readonly key: number;
  /** Verbatim; stored as UTF-8. */
  readonly value: string;
}

/** Splits at the first `=`; all after it is the value, blanks and further `=` included. Throws `invalid-input`. */
export function parseMetaValue(text: string): MetaValue {
  const cut = text.indexOf('=');
  if (cut < 0) {
    throw invalid(`meta value ${JSON.stringify(text.slice(0, 80))}: want KEY=VALUE`, { hint: 'for example 0xa=...' });
  }
  return { key: parseMetaKey(text.slice(0, cut)), value: text.slice(cut + 1) };
}

/** The canonical form: `0xa=foo`. */
export function formatMetaValue(meta: MetaValue): string {
  return `${formatMetaKey(meta.key)}=${meta.value}`;
}

/** UTF-8 of a value. Throws `invalid-input` for half a surrogate pair, which UTF-8 would silently replace. */
export function encodeMetaText(meta: MetaValue): Uint8Array {
  if (!meta.value.isWellFormed()) {
    throw invalid(`meta value ${formatMetaKey(meta.key)}: half a surrogate pair, want text that UTF-8 can hold`);
  }
  return new TextEncoder().encode(meta.value);
}
