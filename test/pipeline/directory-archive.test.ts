import assert from 'node:assert/strict';
import { chmod, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { readText } from '../../src/bytes/read.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { archiveDirectory } from '../../src/pipeline/directory-archive.ts';
import { testWorkplace, writeFiles } from '../support/pipeline.ts';

test('a directory as one gzip stream, owned by nobody in particular', async () => {
  await using workplace = await testWorkplace();
  const directory = join(workplace.directory, 'out');
  await writeFiles(directory, { 'a.iso': 'image', 'b/c': 'other' });
  await symlink('a.iso', join(directory, 'link'));
  for (const [path, mode] of [
    ['a.iso', 0o644],
    ['b', 0o755],
    ['b/c', 0o755],
  ] as const)
    await chmod(join(directory, path), mode);
  const packed = Buffer.concat(await Array.fromAsync(await archiveDirectory(workplace.platform, directory)));
  const archive = ofMemory(gunzipSync(packed));
  const entries = await indexTarBytes(archive);
  assert.deepEqual(
    entries.map((entry) => [entry.kind, entry.name, entry.mode, entry.uid, entry.gid]),
    [
      ['file', 'a.iso', 0o644, 0, 0],
      ['directory', 'b/', 0o755, 0, 0],
      ['file', 'b/c', 0o755, 0, 0],
      ['symlink', 'link', 0o777, 0, 0],
    ],
  );
  assert.match(await readText(archive, 'archive', 1 << 20), /image\0/);
});
