/** What signatures of PE files cover and where they go; `test/conformance/secureboot.test.ts` has sbverify judge it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ofMemory } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { appendSignature, authenticodeContent } from '../../../src/formats/pe/authenticode.ts';
import { decodePe } from '../../../src/formats/pe/image.ts';
import { CERTIFICATE_DIRECTORY, directoryField } from '../../../src/formats/pe/optional-header.ts';
import { withoutTablePadding } from '../../support/signed-pe.ts';
import { syntheticInput } from '../../support/uki-inputs.ts';

const LOADERS = ['boot-a.efi', 'boot-odd.efi', 'boot-arm64.efi'];

function tableOf(file: Uint8Array): { readonly address: number; readonly size: number } {
  return decodePe(file, 'file').optional.directories[CERTIFICATE_DIRECTORY]!;
}

for (const name of LOADERS) {
  test(`what is signed of ${name} stays whatever was signed before, padded or not`, async () => {
    const unsigned = ofMemory(syntheticInput(name));
    const content = await read(await authenticodeContent(unsigned, name));
    for (let length = 1; length <= 9; length++) {
      const signature = new Uint8Array(length).fill(length);
      const padded = await read(await appendSignature(unsigned, signature, name));
      for (const once of [padded, withoutTablePadding(padded)]) {
        assert.deepEqual(await read(await authenticodeContent(ofMemory(once), name)), content, `${length}`);
        const twice = await read(await appendSignature(ofMemory(once), Uint8Array.of(0xab), name));
        const { address, size } = tableOf(twice);
        assert.equal(address % 8, 0);
        assert.equal(address + size, twice.length, 'the table ends with the file');
        assert.equal(size, padded.length - address + 16, 'the second entry begins at a multiple of eight');
        assert.deepEqual(twice.slice(-16), Uint8Array.of(9, 0, 0, 0, 0, 2, 2, 0, 0xab, 0, 0, 0, 0, 0, 0, 0));
        assert.deepEqual(await read(await authenticodeContent(ofMemory(twice), name)), content, `${length} twice`);
      }
    }
  });
}

const CHANGES: readonly (readonly [what: string, at: number, value: number, wish: RegExp])[] = [
  ['four data directories, so that the fifth is the section table', 108, 4, /no room for a certificate table/],
  ['no data directory at all', 108, 0, /no room for a certificate table/],
  ['signatures before the end', directoryField(CERTIFICATE_DIRECTORY) + 4, 8, /not at the end of the file/],
];

for (const [what, at, value, wish] of CHANGES) {
  test(`a file with ${what} is refused`, async () => {
    const file = Uint8Array.from(syntheticInput('boot-a.efi'));
    const { optionalOffset } = decodePe(file, 'file');
    new DataView(file.buffer).setUint32(optionalOffset + at, value, true);
    await assert.rejects(authenticodeContent(ofMemory(file), 'loader'), wish);
    await assert.rejects(appendSignature(ofMemory(file), new Uint8Array(8), 'loader'), wish);
  });
}

test('signatures that begin between two multiples of eight are refused: readers disagree on what is signed', async () => {
  const loader = syntheticInput('boot-a.efi');
  const file = new Uint8Array(loader.length + 20);
  file.set(loader);
  const view = new DataView(file.buffer);
  const field = decodePe(file, 'file').optionalOffset + directoryField(CERTIFICATE_DIRECTORY);
  view.setUint32(field, file.length - 15, true);
  view.setUint32(field + 4, 15, true);
  await assert.rejects(appendSignature(ofMemory(file), new Uint8Array(8), 'loader'), /want a multiple of 8/);
});
