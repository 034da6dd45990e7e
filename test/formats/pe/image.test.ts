/** Reading PE32+ files, whole and damaged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofMemory, ofSource } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeCoffHeader, encodeCoffHeader, machineName } from '../../../src/formats/pe/coff-header.ts';
import { decodePe, readPe, sectionContent } from '../../../src/formats/pe/image.ts';
import { decodeSectionHeader, encodeSectionHeader } from '../../../src/formats/pe/section-header.ts';
import { layoutUki } from '../../../src/formats/pe/uki.ts';
import { memorySource } from '../../support/bytes.ts';
import { INPUT_NAMES, syntheticInput } from '../../support/uki-inputs.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const STUBS = INPUT_NAMES.filter((name) => name.endsWith('.efi'));
const GOOD = STUBS.filter((name) => !/trunc|empty|text|pe32/.test(name));

test('headers and sections of a stub', () => {
  const image = decodePe(syntheticInput('stub-a.efi'), 'stub');
  assert.equal(machineName(image.coff.machine), 'amd64');
  assert.deepEqual(
    image.sections.map(({ name, virtualAddress, virtualSize, rawSize }) => [
      name,
      virtualAddress,
      virtualSize,
      rawSize,
    ]),
    [
      ['.text', 0x1000, 933, 1024],
      ['.rodata', 0x2000, 4611, 5120],
      ['.sbat', 0x4000, 108, 512],
      ['.reloc', 0x5000, 8, 512],
    ],
  );
  assert.equal(image.optional.imageBase, 0x14df90000n);
  assert.equal(image.optional.subsystem, 10);
});

test('reading from a source touches headers only, and gives what reading from memory gives', async () => {
  for (const name of GOOD) {
    const data = syntheticInput(name);
    const source = memorySource(data);
    const fromSource = await readPe(ofSource(source), name);
    const fromMemory = decodePe(data, name);
    assert.deepEqual({ ...fromSource, sections: [] }, { ...fromMemory, sections: [] }, name);
    const touched = Math.max(...source.reads.map(({ position, length }) => position + length));
    assert.ok(touched <= fromMemory.optional.sizeOfHeaders, name);
    for (const [index, section] of fromSource.sections.entries()) {
      assert.deepEqual(await read(section.raw), await read(fromMemory.sections[index]!.raw), `${name} ${section.name}`);
    }
  }
});

test('what is no PE32+ file is refused by both readers alike', async () => {
  const messages: Readonly<Record<string, RegExp>> = {
    'stub-empty.efi': /begin with "MZ"/,
    'stub-text.efi': /begin with "MZ"/,
    'stub-trunc-40.efi': /begin with "MZ"/,
    'stub-trunc-header.efi': /256 bytes, its headers alone need/,
    'stub-trunc-body.efi': /section \.sbat at 7168\+512 reaches past the file's 7424 bytes/,
    'stub-pe32.efi': /32-bit PE file, want PE32\+/,
  };
  for (const [name, message] of Object.entries(messages)) {
    const data = syntheticInput(name);
    assert.throws(() => decodePe(data, 'x'), { code: 'invalid-input', message }, name);
    await assert.rejects(readPe(ofMemory(data), 'x'), { code: 'invalid-input' }, name);
  }
});

test('memory gets the lesser of both sizes and zeros for the rest', async () => {
  const { sections } = decodePe(syntheticInput('stub-sbatvbig.efi'), 'x');
  const sbat = sections.find(({ name }) => name === '.sbat')!;
  const content = await read(sectionContent(sbat));
  assert.equal(content.length, 0x400);
  assert.ok(content.subarray(0x200).every((byte) => byte === 0));
  const cut = decodePe(syntheticInput('stub-a.efi'), 'x').sections[0]!;
  assert.equal(sectionContent(cut).size, 933);
});

test('headers come back from their bytes', () => {
  const { coff, sections } = decodePe(syntheticInput('stub-a.efi'), 'x');
  assert.deepEqual(decodeCoffHeader(encodeCoffHeader(coff), 'x'), coff);
  for (const { raw, ...header } of sections) {
    assert.equal(raw.size, header.rawSize);
    assert.deepEqual(decodeSectionHeader(encodeSectionHeader(header), 0), header);
  }
});

test('section names must fit', () => {
  const stub = syntheticInput('stub-a.efi');
  const add = (name: string) => layoutUki(stub, [{ name, content: ofMemory(new Uint8Array(1)) }], { timestamp: 0 });
  assert.throws(() => add('.toolongname'), { code: 'invalid-input' });
  assert.throws(() => add('.ä'), { code: 'invalid-input' });
  assert.equal(add('.eightch').sections.at(-1)!.name, '.eightch');
});

test('alignments that cannot be kept are refused', () => {
  const stub = syntheticInput('stub-a.efi');
  const content = ofMemory(new Uint8Array(1));
  const layout = (rawAlignment: number) => layoutUki(stub, [{ name: '.x', content, rawAlignment }], { timestamp: 0 });
  assert.throws(() => layout(1000), { message: 'section .x: raw alignment 1000, want a multiple of 512' });
  assert.equal(layout(4096).sections.at(-1)!.offset % 4096, 0, 'the stub’s last section can be padded');
});

test('a stub whose sections leave no room for more headers is refused', () => {
  const stub = syntheticInput('stub-align512.efi');
  const many = Array.from({ length: 30 }, (_, index) => ({ name: `.s${index}`, content: ofMemory(new Uint8Array(1)) }));
  assert.throws(
    () => layoutUki(stub, many, { timestamp: 0 }),
    /its first section is loaded at 1536, and the headers of 33/,
  );
  const tooMany = Array.from({ length: 100 }, () => many[0]!);
  assert.throws(() => layoutUki(stub, tooMany, { timestamp: 0 }), /want at most 96/);
});

test('a signed or debuggable stub loses the directories that point into its own file', () => {
  const stub = Buffer.from(syntheticInput('stub-a.efi'));
  const directories = 0xc0 + 24 + 112;
  for (const index of [4, 6]) stub.writeUInt32LE(0x2000, directories + index * 8);
  const { bytes } = layoutUki(stub, [], { timestamp: 0 });
  return read(bytes).then((data) => {
    const { directories: kept } = decodePe(data, 'x').optional;
    assert.deepEqual(
      [kept[4], kept[5], kept[6]],
      [
        { address: 0, size: 0 },
        { address: 0x5000, size: 8 },
        { address: 0, size: 0 },
      ],
    );
  });
});

test('fuzz: a damaged stub is laid out or refused, and what is laid out can be read', async () => {
  const seeds = GOOD.map(syntheticInput).filter(({ length }) => length <= 8192);
  const change = fc.tuple(
    fc.oneof(fc.nat(0x300), fc.nat(3071)),
    fc.oneof(fc.constantFrom(0, 1, 0x2f, 0x7f, 0xff), fc.nat(255)),
  );
  let laidOut = 0;
  const sections = [{ name: '.linux', content: ofMemory(Buffer.from('kernel')), rawAlignment: 65536 }];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...seeds),
      fc.array(change, { maxLength: 6 }),
      fc.nat(1000),
      async (seed, changes, cut) => {
        const data = Buffer.from(seed);
        for (const [at, byte] of changes) if (at < data.length) data[at] = byte;
        const stub = cut < 100 ? data.subarray(0, cut * 10) : data;
        try {
          const { bytes } = layoutUki(stub, sections, { timestamp: 0 });
          const image = await readPe(bytes, 'uki');
          const linux = image.sections.at(-1)!;
          assert.equal(linux.rawOffset % 65536, 0);
          assert.equal(Buffer.from(await read(sectionContent(linux))).toString(), 'kernel');
          laidOut++;
        } catch (error) {
          assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
        }
      },
    ),
    { numRuns: FUZZ_RUNS },
  );
  // The changes must not all end at the first check.
  assert.ok(laidOut > FUZZ_RUNS / 10, `${laidOut} of ${FUZZ_RUNS} laid out`);
});
