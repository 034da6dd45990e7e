/** Made-up relocatable kernels: what GRUB's own for EFI could be like, with every relocation that it may have. */
import fc from 'fast-check';
import type { EfiMachine } from '../../src/formats/grub/efi-kernel.ts';
import { elfFile, relocationSection, symbolSections, type TestRelocation, type TestSection } from './elf.ts';

const ELF_MACHINES = { x86_64: 62, aarch64: 183 } as const satisfies Record<EfiMachine, number>;
const TYPES = {
  x86_64: [0, 1, 2, 4, 24],
  aarch64: [257, 261, 275, 277, 282, 283, 286],
} as const satisfies Record<EfiMachine, readonly number[]>;
const TABLE_PAGE = 311;
const TABLE_LOAD = 312;

const ALLOC = 2;
const EXEC = 4;
const KINDS = [
  { name: '.text', type: 1, flags: ALLOC | EXEC },
  { name: '.text.more', type: 1, flags: ALLOC | EXEC },
  { name: '.rodata', type: 1, flags: ALLOC },
  { name: '.data', type: 1, flags: ALLOC | 1 },
  { name: '.debug', type: 1, flags: 0 },
  { name: '.bss', type: 8, flags: ALLOC | 1 },
  { name: '.bss.more', type: 8, flags: ALLOC | 1 },
] as const;

interface Shape {
  /** One number per kind of section, besides the seed of what is in it. */
  readonly sizes: readonly number[];
  readonly alignments: readonly number[];
  readonly contents: number;
  readonly symbols: readonly { readonly section: number; readonly value: number }[];
  readonly relocations: readonly (readonly Relocation[])[];
}

interface Relocation {
  readonly place: number;
  readonly symbol: number;
  readonly type: number;
  readonly addend: number;
}

export function efiKernel(machine: EfiMachine): fc.Arbitrary<Buffer> {
  const relocation = fc.record({
    place: fc.nat(),
    symbol: fc.nat(),
    type: fc.nat({ max: 20 }),
    addend: fc.integer({ min: -100000, max: 100000 }),
  });
  const shape = fc.record<Shape>({
    sizes: fc.array(fc.integer({ min: 16, max: 9000 }), { minLength: KINDS.length, maxLength: KINDS.length }),
    alignments: fc.array(fc.constantFrom(0, 1, 4, 16, 32, 64, 4096), {
      minLength: KINDS.length,
      maxLength: KINDS.length,
    }),
    contents: fc.nat(),
    symbols: fc.array(fc.record({ section: fc.nat({ max: KINDS.length }), value: fc.nat({ max: 20000 }) }), {
      maxLength: 12,
    }),
    // For all with content: the first five kinds.
    relocations: fc.array(fc.array(relocation, { maxLength: 40 }), { minLength: 5, maxLength: 5 }),
  });
  return shape.map((one) => build(machine, one));
}

function build(machine: EfiMachine, shape: Shape): Buffer {
  const sections = KINDS.map((kind, index): TestSection => {
    const common = { ...kind, alignment: shape.alignments[index]! };
    const size = shape.sizes[index]!;
    return kind.type === 8 ? { ...common, size } : { ...common, data: noise(shape.contents + index, size) };
  });
  const symbols = [
    { name: '_start', section: 1, value: 4n },
    { name: '__bss_start', section: 0, value: 0n },
    { name: '_end', section: 0, value: 0n },
    ...shape.symbols.map(({ section, value }, index) => ({
      name: index % 3 === 0 && section > 0 ? '' : `symbol${index}`,
      section: section === 0 ? 0xfff1 : section,
      value: BigInt(value),
    })),
  ];
  const symbolTable = sections.length + shape.relocations.length + 1;
  const relocations = shape.relocations.map((list, index) => {
    const { name, data } = sections[index]!;
    const entries = list.flatMap((one) => relocationsOf(machine, one, data!.length, symbols.length));
    return relocationSection(`.rela${name}`, index + 1, symbolTable, entries);
  });
  return elfFile(64, ELF_MACHINES[machine], [...sections, ...relocations, ...symbolSections(symbols, symbolTable + 1)]);
}

/** One relocation; or, for an entry of the address table, the two that belong together. */
function relocationsOf(machine: EfiMachine, one: Relocation, size: number, symbols: number): TestRelocation[] {
  const common = { symbol: 1 + (one.symbol % symbols), addend: BigInt(one.addend) };
  const offset = (one.place % (size - 15)) & ~3;
  if (machine === 'aarch64' && one.type > 17) {
    return [
      { ...common, offset, type: TABLE_PAGE },
      { ...common, offset: offset + 4, type: TABLE_LOAD },
    ];
  }
  const types = TYPES[machine];
  return [{ ...common, offset, type: types[one.type % types.length]! }];
}

/** Bytes that look like nothing. */
function noise(seed: number, size: number): Uint8Array {
  const data = new Uint8Array(size);
  let state = seed | 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[at] = state >>> 24;
  }
  return data;
}
