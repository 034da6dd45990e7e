/** Kernel modules for tests: relocatable ELF files of either class and byte order with what index files are made from. */

export interface TestModule {
  readonly bits?: 32 | 64;
  readonly isLittleEndian?: boolean;
  /** e_machine. */
  readonly machine?: number;
  /** `key=value`. */
  readonly info?: readonly string[];
  /** With `__crc_` symbols, or only as strings of `__ksymtab_strings`. */
  readonly exports?: readonly string[];
  readonly hasCrcs?: boolean;
  readonly needs?: readonly string[];
  /** Undefined, but the module can do without. */
  readonly weak?: readonly string[];
  /** Names in `__versions`. */
  readonly versions?: readonly string[];
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly data: Buffer;
  readonly link?: number;
  readonly entrySize?: number;
}

export function kernelModule(module: TestModule = {}): Buffer {
  const { bits = 64, isLittleEndian = true, machine = 62 } = module;
  const { info = [], exports = [], hasCrcs = true, needs = [], weak = [], versions = [] } = module;
  const write = new NumberWriter(isLittleEndian);
  const strings = stringTable([...exports.map((name) => `__crc_${name}`), ...exports, ...needs, ...weak]);
  const symbol = (name: string, section: number, binding: number): Buffer =>
    write.symbol(bits, strings.offsets.get(name)!, section, binding);
  const sections: Section[] = [
    { name: '.text', type: 1, data: Buffer.alloc(20, 0x90) },
    { name: '__ksymtab_strings', type: 1, data: joined(exports) },
    { name: '.modinfo', type: 1, data: joined(info) },
    {
      name: '__versions',
      type: 1,
      data: Buffer.concat(
        versions.map((name) => Buffer.concat([Buffer.alloc(bits / 8, 7), Buffer.from(name, 'latin1')], 64)),
      ),
    },
    {
      name: '.symtab',
      type: 2,
      link: 6,
      entrySize: bits === 32 ? 16 : 24,
      data: Buffer.concat([
        Buffer.alloc(bits === 32 ? 16 : 24),
        ...exports.map((name) => symbol(name, 1, 1)),
        ...(hasCrcs ? exports.map((name) => symbol(`__crc_${name}`, 0xfff1, 1)) : []),
        ...needs.map((name) => symbol(name, 0, 1)),
        ...weak.map((name) => symbol(name, 0, 2)),
      ]),
    },
    { name: '.strtab', type: 3, data: strings.data },
  ].filter(({ data, name }) => data.length > 0 || name === '.text');
  return elf(write, bits, machine, sections);
}

function elf(write: NumberWriter, bits: 32 | 64, machine: number, sections: readonly Section[]): Buffer {
  const names = stringTable([...sections.map(({ name }) => name), '.shstrtab']);
  const all: Section[] = [
    { name: '', type: 0, data: Buffer.alloc(0) },
    ...sections,
    { name: '.shstrtab', type: 3, data: names.data },
  ];
  const headerSize = bits === 32 ? 52 : 64;
  const contents: Buffer[] = [];
  let at = headerSize;
  const headers = all.map(({ name, type, data, link = 0, entrySize = 0 }) => {
    const offset = type === 0 ? 0 : at;
    contents.push(data, Buffer.alloc(-data.length & 7));
    at += (data.length + 7) & ~7;
    return write.section(bits, [names.offsets.get(name) ?? 0, type, offset, data.length, link, entrySize]);
  });
  const header = write.header(bits, machine, at, all.length);
  return Buffer.concat([header, ...contents, ...headers]);
}

class NumberWriter {
  readonly #isLittleEndian: boolean;

  constructor(isLittleEndian: boolean) {
    this.#isLittleEndian = isLittleEndian;
  }

  header(bits: 32 | 64, machine: number, table: number, count: number): Buffer {
    const data = Buffer.alloc(bits === 32 ? 52 : 64);
    data.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, this.#isLittleEndian ? 1 : 2, 1]);
    this.#put(data, 16, 2, 1);
    this.#put(data, 18, 2, machine);
    this.#put(data, bits === 32 ? 32 : 40, bits / 8, table);
    this.#put(data, data.length - 6, 2, bits === 32 ? 40 : 64);
    this.#put(data, data.length - 4, 2, count);
    this.#put(data, data.length - 2, 2, count - 1);
    return data;
  }

  section(bits: 32 | 64, [name, type, offset, size, link, entrySize]: readonly number[]): Buffer {
    const word = bits / 8;
    const data = Buffer.alloc(bits === 32 ? 40 : 64);
    this.#put(data, 0, 4, name!);
    this.#put(data, 4, 4, type!);
    this.#put(data, 8 + 2 * word, word, offset!);
    this.#put(data, 8 + 3 * word, word, size!);
    this.#put(data, 8 + 4 * word, 4, link!);
    this.#put(data, 16 + 5 * word, word, entrySize!);
    return data;
  }

  symbol(bits: 32 | 64, name: number, section: number, binding: number): Buffer {
    const data = Buffer.alloc(bits === 32 ? 16 : 24);
    this.#put(data, 0, 4, name);
    data[bits === 32 ? 12 : 4] = binding << 4;
    this.#put(data, bits === 32 ? 14 : 6, 2, section);
    return data;
  }

  #put(data: Buffer, at: number, size: number, value: number): void {
    for (let index = 0; index < size; index++) {
      data[this.#isLittleEndian ? at + index : at + size - 1 - index] = Math.floor(value / 256 ** index) & 0xff;
    }
  }
}

function joined(texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\0`).join(''), 'latin1');
}

function stringTable(names: readonly string[]): {
  readonly data: Buffer;
  readonly offsets: ReadonlyMap<string, number>;
} {
  const offsets = new Map<string, number>();
  let text = '\0';
  for (const name of names) {
    if (offsets.has(name)) continue;
    offsets.set(name, text.length);
    text += `${name}\0`;
  }
  return { data: Buffer.from(text, 'latin1'), offsets };
}
