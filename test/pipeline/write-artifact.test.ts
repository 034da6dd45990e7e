import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ofSource, ofText } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import { writeArtifact } from '../../src/pipeline/write-artifact.ts';
import { memorySource } from '../support/bytes.ts';
import { testWorkplace } from '../support/pipeline.ts';

const artifact = { name: 'cmdline-metal-amd64', mediaType: 'text/plain', bytes: ofText('quiet') };

test('a file of its name, in a directory that need not be there', async () => {
  await using workplace = await testWorkplace();
  const done: number[] = [];
  for (const directory of [join(workplace.directory, 'a/b'), `${workplace.directory}/c//`]) {
    const path = await writeArtifact(workplace.platform, artifact, directory, {
      sync: true,
      onProgress: (count) => done.push(count),
    });
    assert.equal(path, `${directory.replace(/\/+$/, '')}/${artifact.name}`);
    assert.equal(await readFile(path, 'utf8'), 'quiet');
  }
  assert.deepEqual(done, [5, 5]);
});

test('what was there stays when something fails, and nothing else is left behind', async () => {
  await using workplace = await testWorkplace();
  const directory = join(workplace.directory, 'out');
  await writeArtifact(workplace.platform, artifact, directory);
  const source = {
    ...memorySource(new Uint8Array(3_000_000)),
    read: async (position: number): Promise<void> => {
      if (position > 0) throw new ImagerError('io', 'gone');
    },
  };
  const failing = { ...artifact, bytes: ofSource(source) };
  await assert.rejects(writeArtifact(workplace.platform, failing, directory), { code: 'io', message: 'gone' });
  assert.deepEqual(await readdir(directory), [artifact.name]);
  assert.equal(await readFile(join(directory, artifact.name), 'utf8'), 'quiet');
});

test('a file in place of the directory', async () => {
  await using workplace = await testWorkplace();
  const path = join(workplace.directory, 'file');
  await writeFile(path, '');
  await assert.rejects(writeArtifact(workplace.platform, artifact, path), { code: 'io' });
});
