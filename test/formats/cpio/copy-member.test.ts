import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { copyMember } from '../../../src/formats/cpio/copy-member.ts';
import { layoutCpio } from '../../../src/formats/cpio/layout-cpio.ts';
import { treeOfLiterals } from '../../../src/tree/tree.ts';
import { rejected } from '../../support/rejected.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const ARCHIVE = await read(
  layoutCpio(
    treeOfLiterals({ 'a/rootfs.sqsh': 'another', init: '12345', 'rootfs.sqsh': 'content', z: { link: 'init' } }),
  ),
);

async function* cut(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function copied(data: Uint8Array, name: string, size: number): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  const found = await copyMember(cut(data, size), name, { write: async (chunk) => void parts.push(chunk.slice()) });
  return found ? Buffer.concat(parts).toString() : undefined;
}

test('a file is found however the archive is cut', async () => {
  for (const size of [1, 7, 110, 4096]) {
    assert.equal(await copied(ARCHIVE, 'rootfs.sqsh', size), 'content');
    assert.equal(await copied(ARCHIVE, 'init', size), '12345');
  }
});

test('what is not there, or no file, is not found', async () => {
  assert.equal(await copied(ARCHIVE, 'nothing', 64), undefined);
  assert.equal(await copied(ARCHIVE, 'z', 64), undefined);
});

test('an archive that ends, or is none, is refused', async () => {
  await assert.rejects(
    copied(ARCHIVE.subarray(0, 300), 'rootfs.sqsh', 64),
    rejected('invalid-input', /^cpio archive: ends at 300, /),
  );
  await assert.rejects(
    copied(new Uint8Array(200), 'x', 64),
    rejected('invalid-input', /^cpio archive: no member at 0$/),
  );
});

test('damage is refused or of no account', async () => {
  const damage = fc.array(fc.tuple(fc.nat(ARCHIVE.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const data = ARCHIVE.slice();
      for (const [at, value] of changes) data[at] = value;
      try {
        await copied(data, 'rootfs.sqsh', 100);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { numRuns: Math.min(FUZZ_RUNS, 20_000), seed: 7 },
  );
});
