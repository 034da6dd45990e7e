/**
 * PE signature and COFF file header, 24 bytes, integers little-endian:
 * `PE\0\0`, u16 machine, u16 sections, u32 time, u32 symbol table, u32 symbols, u16 size of the optional header, u16 characteristics.
 * Source: PE/COFF specification, "COFF File Header".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

export interface CoffHeader {
  readonly machine: number;
  readonly numberOfSections: number;
  /** Seconds since 1970, 32 bits. */
  readonly timeDateStamp: number;
  /** File offset of the symbol table, 0 for none. */
  readonly pointerToSymbolTable: number;
  readonly numberOfSymbols: number;
  readonly sizeOfOptionalHeader: number;
  readonly characteristics: number;
}

/** With the signature. */
export const COFF_HEADER_SIZE = 24;

export const MACHINE = { amd64: 0x8664, arm64: 0xaa64, i386: 0x014c, riscv64: 0x5064 } as const;

const SIGNATURE = 0x00004550;

/** `data` begins at the signature. Throws `invalid-input` naming `what`. */
export function decodeCoffHeader(data: Uint8Array, what: string): CoffHeader {
  if (data.length < COFF_HEADER_SIZE) throw invalid(`${what}: PE header is cut off`);
  const view = viewOf(data);
  if (view.getUint32(0, true) !== SIGNATURE) throw invalid(`${what}: no PE file, its signature is missing`);
  return {
    machine: view.getUint16(4, true),
    numberOfSections: view.getUint16(6, true),
    timeDateStamp: view.getUint32(8, true),
    pointerToSymbolTable: view.getUint32(12, true),
    numberOfSymbols: view.getUint32(16, true),
    sizeOfOptionalHeader: view.getUint16(20, true),
    characteristics: view.getUint16(22, true),
  };
}

export function encodeCoffHeader(header: CoffHeader): Uint8Array {
  const { data, view } = structure(COFF_HEADER_SIZE);
  view.setUint32(0, SIGNATURE, true);
  view.setUint16(4, header.machine, true);
  view.setUint16(6, header.numberOfSections, true);
  view.setUint32(8, header.timeDateStamp, true);
  view.setUint32(12, header.pointerToSymbolTable, true);
  view.setUint32(16, header.numberOfSymbols, true);
  view.setUint16(20, header.sizeOfOptionalHeader, true);
  view.setUint16(22, header.characteristics, true);
  return data;
}

/** The machine's name in OCI terms where it has one, else its number. */
export function machineName(machine: number): string {
  const known = Object.entries(MACHINE).find(([, value]) => value === machine);
  return known?.[0] ?? `machine 0x${machine.toString(16).padStart(4, '0')}`;
}
