import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ofText } from '../../src/bytes/bytes.ts';
import { writeOutput } from '../../src/cli/output-file.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { scratch } from '../support/command-line.ts';

const NAME = 'metal-amd64.raw';

const space = await scratch();
const platform = nodePlatform({});
after(async () => {
  await platform.close();
  await space[Symbol.asyncDispose]();
});

test('what killed processes left of the same name goes, all else stays', async () => {
  const directory = space.path('left');
  await mkdir(directory);
  const dead = spawnSync(process.execPath, ['-e', '0']).pid;
  const kept = [
    `${NAME}.${process.ppid}.partial`,
    `${NAME}.zst.${dead}.partial`,
    `other.${dead}.partial`,
    `${NAME}.${dead}.partial.bak`,
    `${NAME}.x${dead}.partial`,
    `${NAME}.partial`,
  ];
  for (const name of [`${NAME}.${dead}.partial`, ...kept]) await writeFile(join(directory, name), 'begun');
  const artifact = { name: NAME, mediaType: 'application/octet-stream', bytes: ofText('whole') };
  const path = await writeOutput(platform, artifact, `${directory}/`);
  assert.equal(path, join(directory, NAME));
  assert.equal(await readFile(path, 'utf8'), 'whole');
  assert.deepEqual((await readdir(directory)).sort(), [NAME, ...kept].sort());
});

test('a directory that is not there yet', async () => {
  const artifact = { name: NAME, mediaType: 'application/octet-stream', bytes: ofText('whole') };
  assert.equal(await readFile(await writeOutput(platform, artifact, space.path('a/b')), 'utf8'), 'whole');
});
