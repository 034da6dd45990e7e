import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { concat, ofMemory, ofSource, zeros } from '../../src/bytes/bytes.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { writeTree } from '../../src/sandbox/write-tree.ts';
import { type Entry, type Tree, treeOf } from '../../src/tree/tree.ts';

const MIB = 1 << 20;
const platform = nodePlatform({});
const space = await mkdtemp(join(tmpdir(), 'write-tree-'));
after(async () => {
  await platform.close();
  await rm(space, { recursive: true });
});

const common = { uid: 0, gid: 0, mtime: 0 };
const file = (path: string, content: ReturnType<typeof zeros>): Entry => ({
  kind: 'file',
  path,
  content,
  mode: 0o755,
  ...common,
});
const link = (path: string, target: string): Entry => ({ kind: 'symlink', path, target, mode: 0o777, ...common });

/** A file of zeros behind a source: nobody knows that they are before they are read. */
async function sourceOfZeros(size: number): Promise<ReturnType<typeof zeros>> {
  const path = join(space, `zeros${size}`);
  const made = await platform.files.create(path);
  await made.truncate(size);
  await made.close();
  return ofSource(await platform.files.source(path));
}

test('links become copies, holes stay holes, wherever the zeros come from', async () => {
  const text = ofMemory(Buffer.from('text'));
  const tree = treeOf([
    file('a', concat([text, zeros(8 * MIB), text])),
    file('b', await sourceOfZeros(8 * MIB)),
    link('c', 'a'),
    link('none', '../../etc/passwd'),
  ]);
  const directory = join(space, 'holes');
  await writeTree(platform.files, tree, directory, { limit: 100 * MIB });
  const expected = Buffer.concat([Buffer.from('text'), Buffer.alloc(8 * MIB), Buffer.from('text')]);
  for (const name of ['a', 'c']) assert.ok((await readFile(join(directory, name))).equals(expected), name);
  assert.ok((await readFile(join(directory, 'b'))).equals(Buffer.alloc(8 * MIB)));
  assert.deepEqual((await readdir(directory)).sort(), ['a', 'b', 'c']);
  for (const name of ['a', 'b', 'c']) {
    const { blocks, mode } = await stat(join(directory, name));
    assert.ok(blocks * 512 < MIB, `${name} occupies ${blocks * 512} bytes`);
    assert.equal(mode & 0o100, 0o100);
  }
});

test('what links make of a file counts as often, and nothing of a tree that is too large is written', async () => {
  const content = await sourceOfZeros(4 * MIB);
  const tree: Tree = treeOf([file('a', content), ...Array.from({ length: 9 }, (_, at) => link(`link${at}`, 'a'))]);
  const directory = join(space, 'large');
  await assert.rejects(writeTree(platform.files, tree, directory, { limit: 39 * MIB }), {
    code: 'dependency',
    message: /files of 41943040 bytes, .* want at most 40894464/,
  });
  assert.equal(await platform.files.info(directory), undefined);
  await writeTree(platform.files, tree, directory, { limit: 40 * MIB });
});

test('writing stops when it is told to', async () => {
  const content = await sourceOfZeros(64 * MIB);
  const control = new AbortController();
  const files = {
    ...platform.files,
    makeDirectory: platform.files.makeDirectory.bind(platform.files),
    create: async (...given: Parameters<typeof platform.files.create>) => {
      control.abort();
      return platform.files.create(...given);
    },
  };
  const options = { limit: 100 * MIB, signal: control.signal };
  await assert.rejects(writeTree(files, treeOf([file('a', content)]), join(space, 'stopped'), options), {
    code: 'canceled',
  });
});
