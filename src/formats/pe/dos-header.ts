/** The DOS header a PE file begins with: `MZ`, and at 0x3c the place of the PE signature (u32 LE). Source: PE/COFF specification, "MS-DOS Stub". */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

export const DOS_HEADER_SIZE = 64;

const NEW_HEADER_FIELD = 0x3c;

/** Real files have their PE header within the first few hundred bytes; more than this is an attack on readers. */
const LARGEST_OFFSET = 1 << 20;

/** Position of the PE signature. Throws `invalid-input` naming `what`. */
export function decodeDosHeader(data: Uint8Array, what: string): number {
  if (data.length < DOS_HEADER_SIZE || data[0] !== 0x4d || data[1] !== 0x5a) {
    throw invalid(`${what}: no PE file, want it to begin with "MZ"`);
  }
  const offset = viewOf(data).getUint32(NEW_HEADER_FIELD, true);
  if (offset < DOS_HEADER_SIZE || offset > LARGEST_OFFSET) {
    throw invalid(`${what}: PE header at ${offset}, want ${DOS_HEADER_SIZE}..${LARGEST_OFFSET}`);
  }
  return offset;
}

/** The first 64 bytes of `data`, pointing to a PE signature at `offset`. */
export function movedDosHeader(data: Uint8Array, offset: number): Uint8Array {
  const header = new Uint8Array(data.subarray(0, DOS_HEADER_SIZE));
  viewOf(header).setUint32(NEW_HEADER_FIELD, offset, true);
  return header;
}
