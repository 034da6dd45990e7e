/** Small ELF files for tests, little-endian, of either class. */

export interface TestSection {
  readonly name: string;
  readonly type: number;
  readonly flags?: number;
  readonly address?: number;
  /** The bytes in the file; `size` says how many there are of a section without. */
  readonly data?: Uint8Array;
  readonly size?: number;
  readonly link?: number;
  readonly info?: number;
  readonly alignment?: number;
  readonly entrySize?: number;
}

export interface TestSymbol {
  readonly name: string;
  readonly section: number;
  readonly value: bigint;
}

export interface TestRelocation {
  readonly offset: number;
  readonly symbol: number;
  readonly type: number;
  readonly addend: bigint;
}

/** An ELF file with these sections behind the unused section 0, and the table of their names as the last. */
export function elfFile(bits: 32 | 64, machine: number, sections: readonly TestSection[]): Buffer {
  const headerSize = bits === 32 ? 52 : 64;
  const entrySize = bits === 32 ? 40 : 64;
  const names = stringTable(['', ...sections.map(({ name }) => name), '.shstrtab']);
  const all: TestSection[] = [{ name: '', type: 0 }, ...sections, { name: '.shstrtab', type: 3, data: names.data }];
  const contents: Buffer[] = [];
  let at = headerSize;
  const headers = all.map((section, index) => {
    const padding = Buffer.alloc((16 - (at % 16)) % 16);
    const data = Buffer.from(section.data ?? []);
    contents.push(padding, data);
    at += padding.length;
    const header = sectionHeader(bits, section, names.offsets[index]!, at);
    at += data.length;
    return header;
  });
  const header = Buffer.alloc(headerSize);
  header.set([0x7f, 0x45, 0x4c, 0x46, bits === 32 ? 1 : 2, 1, 1]);
  header.writeUInt16LE(bits === 32 ? 2 : 1, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  if (bits === 32) header.writeUInt32LE(at, 32);
  else header.writeBigUInt64LE(BigInt(at), 40);
  const tail = bits === 32 ? 40 : 52;
  header.writeUInt16LE(headerSize, tail);
  header.writeUInt16LE(entrySize, tail + 6);
  header.writeUInt16LE(all.length, tail + 8);
  header.writeUInt16LE(all.length - 1, tail + 10);
  return Buffer.concat([header, ...contents, ...headers]);
}

/** A symbol table of a 64-bit file and its names: `link` of the first must be the index of the second. */
export function symbolSections(symbols: readonly TestSymbol[], link: number): readonly [TestSection, TestSection] {
  const names = stringTable(['', ...symbols.map(({ name }) => name)]);
  const table = Buffer.alloc(24 * (symbols.length + 1));
  for (const [index, { section, value }] of symbols.entries()) {
    const at = 24 * (index + 1);
    table.writeUInt32LE(names.offsets[index + 1]!, at);
    table.writeUInt16LE(section, at + 6);
    table.writeBigUInt64LE(value, at + 8);
  }
  return [
    { name: '.symtab', type: 2, data: table, link, info: 1, alignment: 8, entrySize: 24 },
    { name: '.strtab', type: 3, data: names.data, alignment: 1 },
  ];
}

/** A RELA section of a 64-bit file for the section `target`, which has the name `.x` where this one has `.rela.x`. */
export function relocationSection(
  name: string,
  target: number,
  symbols: number,
  relocations: readonly TestRelocation[],
): TestSection {
  const data = Buffer.alloc(24 * relocations.length);
  for (const [index, { offset, symbol, type, addend }] of relocations.entries()) {
    data.writeBigUInt64LE(BigInt(offset), index * 24);
    data.writeUInt32LE(type, index * 24 + 8);
    data.writeUInt32LE(symbol, index * 24 + 12);
    data.writeBigInt64LE(addend, index * 24 + 16);
  }
  return { name, type: 4, data, link: symbols, info: target, alignment: 8, entrySize: 24 };
}

function sectionHeader(bits: 32 | 64, section: TestSection, name: number, offset: number): Buffer {
  const size = section.size ?? section.data?.length ?? 0;
  const header = Buffer.alloc(bits === 32 ? 40 : 64);
  const words = [section.flags ?? 0, section.address ?? 0, offset, size];
  const tail = [section.alignment ?? 0, section.entrySize ?? 0];
  header.writeUInt32LE(name, 0);
  header.writeUInt32LE(section.type, 4);
  if (bits === 32) {
    const all = [...words, section.link ?? 0, section.info ?? 0, ...tail];
    for (const [index, word] of all.entries()) header.writeUInt32LE(word, 8 + index * 4);
    return header;
  }
  for (const [index, word] of words.entries()) header.writeBigUInt64LE(BigInt(word), 8 + index * 8);
  header.writeUInt32LE(section.link ?? 0, 40);
  header.writeUInt32LE(section.info ?? 0, 44);
  for (const [index, word] of tail.entries()) header.writeBigUInt64LE(BigInt(word), 48 + index * 8);
  return header;
}

function stringTable(names: readonly string[]): { readonly data: Buffer; readonly offsets: readonly number[] } {
  const offsets: number[] = [];
  let text = '';
  for (const name of names) {
    offsets.push(name === '' ? 0 : Math.max(text.length, 1));
    if (text === '' || name !== '') text += `${name}\0`;
  }
  return { data: Buffer.from(text, 'latin1'), offsets };
}
