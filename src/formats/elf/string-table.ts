/** ELF string tables: NUL-terminated names, referred to by offset. */
import { invalid } from '../../errors.ts';

/** Longer names are refused, so that many entries cannot share one endless name. Linux stops at 512. */
const MAX_NAME = 1024;

/** The name at `offset`. Throws `invalid-input` outside the table and where no NUL follows. */
export function stringAt(table: Uint8Array, offset: number, what: string): string {
  const limit = Math.min(table.length, offset + MAX_NAME);
  let text = '';
  for (let at = offset; at < limit; at++) {
    const byte = table[at]!;
    if (byte === 0) return text;
    text += String.fromCharCode(byte);
  }
  throw invalid(`${what}: name at ${offset} of a table of ${table.length} bytes: want a NUL within ${MAX_NAME} bytes`);
}
