/** CRC-32 as in GPT, gzip and zip: reflected 0xEDB88320, start and end inverted. */

const TABLES: readonly Uint32Array[] = makeTables(0xedb88320);

/** The CRC of `data` after what `previous` already covers (0 to begin). */
export function crc32(data: Uint8Array, previous = 0): number {
  return reflectedCrc(TABLES, data, previous);
}

/** Any reflected 32-bit CRC with start and end inverted, by the tables of its polynomial. Slicing by four. */
export function reflectedCrc(tables: readonly Uint32Array[], data: Uint8Array, previous: number): number {
  const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = ~previous;
  let index = 0;
  for (; index + 4 <= data.length; index += 4) {
    crc ^= data[index]! | (data[index + 1]! << 8) | (data[index + 2]! << 16) | (data[index + 3]! << 24);
    crc = t3[crc & 0xff]! ^ t2[(crc >>> 8) & 0xff]! ^ t1[(crc >>> 16) & 0xff]! ^ t0[crc >>> 24]!;
  }
  for (; index < data.length; index++) crc = t0[(crc ^ data[index]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** `polynomial` is reflected: the bit of the highest power is the lowest. */
export function makeTables(polynomial: number): readonly Uint32Array[] {
  const first = new Uint32Array(256);
  for (let value = 0; value < 256; value++) {
    let crc = value;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    first[value] = crc >>> 0;
  }
  const tables = [first];
  for (let order = 1; order < 4; order++) {
    const before = tables[order - 1]!;
    tables.push(Uint32Array.from(before, (crc) => first[crc & 0xff]! ^ (crc >>> 8)));
  }
  return tables;
}
