/**
 * The COFF string table, which holds section names longer than eight bytes: behind the symbols of 18 bytes each, a u32 LE with the table's size and then
 * NUL-terminated strings. Source: PE/COFF specification, "COFF String Table".
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { CoffHeader } from './coff-header.ts';

const SYMBOL_SIZE = 18;

/** The full name behind `/n`, any other name as it is. Throws `invalid-input` naming `what` when the table is not where it should be. */
export function resolveSectionName(file: Uint8Array, coff: CoffHeader, name: string, what: string): string {
  const reference = /^\/([0-9]{1,7})$/.exec(name);
  if (reference === null) return name;
  const table = coff.pointerToSymbolTable + coff.numberOfSymbols * SYMBOL_SIZE;
  if (coff.pointerToSymbolTable === 0 || table + 4 > file.length) {
    throw invalid(`${what}: section name ${name} refers to a string table that is not there`);
  }
  const size = Math.min(viewOf(file).getUint32(table, true), file.length - table);
  const start = Number(reference[1]);
  const end = file.indexOf(0, table + start);
  if (start < 4 || start >= size || end < 0 || end >= table + size) {
    throw invalid(`${what}: section name ${name} lies outside the string table of ${size} bytes`);
  }
  return String.fromCharCode(...file.subarray(table + start, Math.min(end, table + start + 256)));
}
