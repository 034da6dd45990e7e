import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../../src/errors.ts';
import { composeEfiCore } from '../../../src/formats/grub/efi-core.ts';
import { type EfiMachine, linkEfiKernel } from '../../../src/formats/grub/efi-kernel.ts';
import { efiKernel } from '../../support/efi-kernel.ts';
import {
  elfFile,
  relocationSection,
  symbolSections,
  type TestRelocation,
  type TestSection,
  type TestSymbol,
} from '../../support/elf.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const TEXT: TestSection = { name: '.text', type: 1, flags: 6, data: Buffer.alloc(64), alignment: 16 };
const DATA: TestSection = { name: '.data', type: 1, flags: 3, data: Buffer.alloc(32, 0xdd), alignment: 8 };
const BSS: TestSection = { name: '.bss', type: 8, flags: 3, size: 5000, alignment: 64 };
const START: TestSymbol = { name: '_start', section: 1, value: 0x20n };
const VARIABLE: TestSymbol = { name: 'variable', section: 2, value: 8n };
/** `.text`, `.data`, `.bss` are sections 1 to 3, the relocations of `.text` section 4, the symbols section 5. */
const NUMBERS = { x86_64: 62, aarch64: 183 } as const satisfies Record<EfiMachine, number>;

interface Parts {
  readonly text?: Partial<TestSection>;
  readonly symbols?: readonly TestSymbol[];
  readonly relocations?: readonly Partial<TestRelocation>[];
  readonly target?: number;
}

function kernel(machine: EfiMachine, parts: Parts = {}): Buffer {
  const relocations = (parts.relocations ?? []).map((one) => ({ offset: 0, symbol: 2, type: 0, addend: 0n, ...one }));
  return elfFile(64, NUMBERS[machine], [
    { ...TEXT, ...parts.text },
    DATA,
    BSS,
    relocationSection('.rela.text', parts.target ?? 1, 5, relocations),
    ...symbolSections(parts.symbols ?? [START, VARIABLE], 6),
  ]);
}

describe('an EFI kernel', () => {
  test('is code, data and zeros, each from a page on', () => {
    const linked = linkEfiKernel(kernel('x86_64'), 'x86_64');
    assert.equal(linked.codeSize, 4096);
    // 32 bytes of data, aligned to 64, and 5000 zeros.
    assert.equal(linked.image.length, 4096 + 8192);
    assert.equal(linked.entry, 0x1020);
    assert.deepEqual(linked.image.subarray(4096, 4096 + 32), new Uint8Array(32).fill(0xdd));
    assert.equal(linked.baseRelocations.length, 0);
    assert.equal(linked.protectsPages, false);
  });

  test('says whether it protects its pages', () => {
    const symbols = [START, VARIABLE, { name: 'grub_update_mem_attrs', section: 1, value: 0n }];
    const image = kernel('x86_64', { symbols });
    assert.equal(linkEfiKernel(image, 'x86_64').protectsPages, true);
    const payload = { modules: [], prefix: '/' };
    assert.equal(Buffer.from(composeEfiCore(image, payload, 'x86_64')).readUInt16LE(0x80 + 24 + 70), 0x100);
  });

  test('knows where its zeros begin and where it ends', () => {
    const symbols = [START, { name: '__bss_start', section: 0, value: 0n }, { name: '_end', section: 0, value: 0n }];
    const relocations = [
      { offset: 0, symbol: 2, type: 1 },
      { offset: 8, symbol: 3, type: 1 },
    ];
    const { image } = linkEfiKernel(kernel('x86_64', { symbols, relocations }), 'x86_64');
    assert.equal(Buffer.from(image).readBigUInt64LE(0), 4096n + 32n);
    assert.equal(Buffer.from(image).readBigUInt64LE(8), 4096n + 8192n);
  });
});

describe('x86-64 relocations', () => {
  test('are absolute or relative', () => {
    const relocations = [
      { offset: 0, type: 1, addend: 0x100n },
      { offset: 8, type: 2, addend: -4n },
      { offset: 16, type: 4, addend: -4n },
      { offset: 24, type: 24, addend: 0n },
    ];
    const { image, baseRelocations } = linkEfiKernel(kernel('x86_64', { relocations }), 'x86_64');
    const data = Buffer.from(image);
    // The variable lies at 0x2008, the code at 0x1000.
    assert.equal(data.readBigUInt64LE(0), 0x2108n);
    assert.equal(data.readInt32LE(8), 0x2008 - 4 - 0x1008);
    assert.equal(data.readInt32LE(16), 0x2008 - 4 - 0x1010);
    assert.equal(data.readBigInt64LE(24), 0x2008n - 0x1018n);
    assert.equal(Buffer.from(baseRelocations.subarray(0, 12)).toString('hex'), '00100000' + '00100000' + '00a00000');
  });

  test('of other types are refused, as grub-mkimage does', () => {
    for (const type of [10, 11, 9, 42]) {
      assert.throws(() => linkEfiKernel(kernel('x86_64', { relocations: [{ type }] }), 'x86_64'), {
        code: 'unsupported',
        message: `kernel.img: x86-64 relocation type ${type} at 0, want 0, 1, 2, 4 or 24`,
      });
    }
  });
});

describe('AArch64 relocations', () => {
  const link = (relocations: readonly Partial<TestRelocation>[], instructions: readonly number[]) => {
    const data = Buffer.alloc(64);
    for (const [index, instruction] of instructions.entries()) data.writeUInt32LE(instruction, index * 4);
    const linked = linkEfiKernel(kernel('aarch64', { text: { data }, relocations }), 'aarch64');
    return { image: Buffer.from(linked.image), baseRelocations: Buffer.from(linked.baseRelocations) };
  };

  test('fill the immediates of instructions', () => {
    const { image } = link(
      [
        { offset: 0, type: 275 },
        { offset: 4, type: 277 },
        { offset: 8, type: 286 },
        { offset: 12, type: 283 },
        { offset: 16, type: 282, addend: -0x1000n },
        { offset: 20, type: 261 },
        { offset: 24, type: 257, addend: 1n },
      ],
      [0x90000000, 0x91000021, 0xf9400042, 0x94000000, 0x14000000, 0, 0],
    );
    const words = [0, 4, 8, 12, 16].map((at) => image.readUInt32LE(at).toString(16));
    // adrp x0, 1 page; add x1, x1, #8; ldr x2, [x2, #8]; bl +0xffc; b -0x8.
    assert.deepEqual(words, ['b0000000', '91002021', 'f9400442', '940003ff', '17fffffe']);
    assert.equal(image.readInt32LE(20), 0x2008 - 0x1014);
    assert.equal(image.readBigUInt64LE(24), 0x2009n);
  });

  test('by way of the table make an entry behind the kernel', () => {
    const { image, baseRelocations } = link(
      [
        { offset: 0, type: 311, addend: 4n },
        { offset: 4, type: 312, addend: 4n },
      ],
      [0x90000000, 0xf9400000],
    );
    const table = 4096 + 8192;
    assert.equal(image.length, table + 4096);
    assert.equal(image.readBigUInt64LE(table), 0x200cn);
    // adrp x0, 3 pages; ldr x0, [x0]: the table is at 0x4000.
    assert.equal(image.readUInt32LE(0).toString(16), 'f0000000');
    assert.equal(image.readUInt32LE(4).toString(16), 'f9400000');
    assert.equal(baseRelocations.subarray(0, 12).toString('hex'), '00400000' + '00100000' + '00a00000');
  });

  test('by way of the table come in pairs', () => {
    assert.throws(() => link([{ type: 311 }], []), /the table entry used at 0 is never loaded/);
    assert.throws(() => link([{ type: 312 }], []), /the load at 0 is from no table entry/);
    assert.throws(() => link([{ type: 311 }, { type: 312, addend: 1n }], []), /never loaded/);
  });

  test('that cannot reach are refused', () => {
    assert.throws(() => link([{ type: 283, addend: 1n << 27n }], []), /the instruction at 0 cannot reach its target/);
    assert.throws(() => link([{ type: 275, addend: 1n << 33n }], []), /cannot reach/);
  });

  test('of other types are refused', () => {
    assert.throws(() => link([{ type: 278 }], []), {
      code: 'unsupported',
      message: /AArch64 relocation type 278 at 0/,
    });
  });
});

describe('an EFI kernel that is wrong', () => {
  const refuse = (parts: Parts, message: RegExp): void => {
    assert.throws(() => linkEfiKernel(kernel('x86_64', parts), 'x86_64'), { code: 'invalid-input', message });
  };

  test('is refused by what is wrong', () => {
    assert.throws(
      () => linkEfiKernel(kernel('x86_64'), 'aarch64'),
      /^ImagerError: kernel\.img: ELF machine 62 of 64 bits, want 183/,
    );
    refuse({ symbols: [VARIABLE] }, /^kernel\.img: no symbol "_start"$/);
    refuse({ symbols: [{ ...START, value: 2n ** 40n }] }, /^kernel\.img: starts at 0x/);
    refuse({ symbols: [START, { name: 'printf', section: 0, value: 0n }] }, /symbol "printf" is not defined/);
    refuse(
      { symbols: [START, { name: 'common', section: 0xfff2, value: 0n }] },
      /symbol "common" in section 65522 of 8/,
    );
    refuse({ text: { alignment: 8192 } }, /section \.text is aligned to 8192, want a power of two up to 4096/);
    refuse({ text: { alignment: 24 } }, /aligned to 24/);
    refuse({ relocations: [{ symbol: 3 }] }, /\.rela\.text names symbol 3 of 3/);
    refuse({ relocations: [{ offset: 64 }] }, /\.rela\.text changes byte 64 of 64/);
    refuse({ relocations: [{ offset: 60, type: 1 }] }, /of 8 bytes at 60 passes the end of its section/);
    refuse({ relocations: [{ offset: 62, type: 2 }] }, /of 4 bytes at 62/);
    refuse({ relocations: [{}], target: 3 }, /\.rela\.text changes section 3, which has no bytes/);
    refuse({ relocations: [{}], target: 99 }, /\.rela\.text changes section 99/);
    const bare = elfFile(64, 62, [TEXT]);
    assert.throws(() => linkEfiKernel(bare, 'x86_64'), /kernel\.img: no symbol table/);
  });

  test('is refused where it would need much memory', () => {
    const huge = elfFile(64, 62, [TEXT, { ...BSS, size: 2 ** 40 }, ...symbolSections([START], 4)]);
    assert.throws(() => linkEfiKernel(huge, 'x86_64'), /section \.bss ends at \d+, want 16777216 at most/);
  });

  test('never does anything but throw an ImagerError', () => {
    const samples = {
      x86_64: fc.sample(efiKernel('x86_64'), { seed: 6, numRuns: 3 }),
      aarch64: fc.sample(efiKernel('aarch64'), { seed: 7, numRuns: 3 }),
    };
    let linked = 0;
    fc.assert(
      fc.property(
        fc.constantFrom<EfiMachine>('x86_64', 'aarch64'),
        fc.nat({ max: 2 }),
        // Without fast-check's liking for 0, which would hit the first byte of the file nearly every time.
        fc.array(fc.tuple(fc.noBias(fc.nat()), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        (machine, which, edits) => {
          const damaged = Buffer.from(samples[machine][which]!);
          for (const [index, [place, value]] of edits.entries()) {
            // Every other edit falls behind the contents: into symbols, relocations and the section table.
            const from = index % 2 === 0 ? damaged.length - 8000 : 0;
            damaged[from + (place % (damaged.length - from))] = value;
          }
          try {
            linkEfiKernel(damaged, machine);
            linked++;
          } catch (error) {
            assert.ok(error instanceof ImagerError, String(error));
          }
        },
      ),
      { seed: 8, numRuns: FUZZ_RUNS },
    );
    assert.ok(linked > FUZZ_RUNS / 10 && linked < FUZZ_RUNS, `${linked} of ${FUZZ_RUNS} were linked all the same`);
  });
});
