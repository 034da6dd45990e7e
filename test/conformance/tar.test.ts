/** GNU tar reads what we write, and we read every dialect it writes, sparse ones included. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { link, mkdir, mkdtemp, open, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { ofMemory, ofSource } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { flatten } from '../../src/oci/layer/flatten.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { fileAt, type Tree, treeOf } from '../../src/tree/tree.ts';
import { randomBytes } from '../support/image.ts';
import { skipWithout } from '../support/tools.ts';

const run = promisify(execFile);
const skip = skipWithout('tar');

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tar-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function treeOfArchive(t: TestContext, path: string): Promise<Tree> {
  const machine = nodePlatform({});
  t.after(() => machine.close());
  const source = await machine.files.source(path);
  return flatten([{ label: path, entries: await indexTarBytes(ofSource(source)), source }]);
}

test('GNU tar unpacks what we write', { skip }, async (t) => {
  const directory = await directoryFor(t);
  const common = { mode: 0o640, uid: 0, gid: 0, mtime: 1_600_000_000 };
  const inode = Symbol();
  const linked = { kind: 'file', ...common, content: ofMemory(Buffer.from('linked')), inode } as const;
  const long = `${'d'.repeat(120)}/${'e'.repeat(120)}/${'f'.repeat(120)}`;
  const tree = treeOf([
    { kind: 'directory', path: 'dir', ...common, mode: 0o755 },
    { kind: 'file', path: 'dir/file', ...common, content: ofMemory(randomBytes(5000, 1)) },
    { ...linked, path: 'dir/one' },
    { ...linked, path: 'two' },
    { kind: 'file', path: long, ...common, content: ofMemory(Buffer.from('long')) },
    { kind: 'file', path: 'ümlaut', ...common, mtime: -1000, content: ofMemory(Buffer.from('utf8')) },
    { kind: 'symlink', path: 'link', ...common, mode: 0o777, target: `x/${'t'.repeat(150)}` },
  ]);
  for (const directories of ['plain', 'slash', 'omit'] as const) {
    const out = join(directory, directories);
    await mkdir(out);
    await writeFile(join(directory, 'a.tar'), await read(layoutTar(tree, { directories })));
    const { stderr } = await run('tar', ['-xpf', join(directory, 'a.tar'), '-C', out, '--no-same-owner'], {
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    assert.equal(stderr.replace(/.*implausibly old time stamp.*\n/, ''), '');
    assert.deepEqual(await readFile(join(out, 'dir/file')), Buffer.from(randomBytes(5000, 1)));
    assert.equal(await readFile(join(out, long), 'utf8'), 'long');
    assert.equal(await readlink(join(out, 'link')), `x/${'t'.repeat(150)}`);
    assert.equal((await stat(join(out, 'dir/one'))).ino, (await stat(join(out, 'two'))).ino);
    assert.equal((await stat(join(out, 'ümlaut'))).mtimeMs, -1_000_000);
    assert.equal((await stat(join(out, 'dir/file'))).mode & 0o7777, 0o640);
  }
});

const DIALECTS: Readonly<Record<string, readonly string[]>> = {
  v7: ['--format=v7'],
  ustar: ['--format=ustar'],
  gnu: ['--format=gnu'],
  'old gnu': ['--format=oldgnu'],
  pax: ['--format=pax'],
  'gnu sparse': ['--format=gnu', '--sparse'],
  'pax sparse 0.0': ['--format=pax', '--sparse', '--sparse-version=0.0'],
  'pax sparse 0.1': ['--format=pax', '--sparse', '--sparse-version=0.1'],
  'pax sparse 1.0': ['--format=pax', '--sparse', '--sparse-version=1.0'],
};

for (const [dialect, options] of Object.entries(DIALECTS)) {
  test(`we read GNU tar's ${dialect}`, { skip }, async (t) => {
    const directory = await directoryFor(t);
    const content = join(directory, 'content');
    await mkdir(join(content, 'd'), { recursive: true });
    await writeFile(join(content, 'd/file'), randomBytes(3000, 2));
    await link(join(content, 'd/file'), join(content, 'd/hard'));
    await symlink('d/file', join(content, 'soft'));
    const longName = dialect === 'v7' || dialect === 'ustar' ? 'n'.repeat(90) : 'n'.repeat(200);
    await writeFile(join(content, longName), 'named');
    // Thirty islands: more than fit the header and one block of an old GNU map.
    const file = await open(join(content, 'holes'), 'w');
    for (let index = 0; index < 30; index++) await file.write(randomBytes(4096, index), 0, 4096, index * 131_072);
    await file.truncate(30 * 131_072 + 12_345);
    await file.close();
    const archive = join(directory, 'a.tar');
    await run('tar', ['-cf', archive, ...options, '-C', content, '.'], { env: { ...process.env, LC_ALL: 'C.UTF-8' } });
    const tree = await treeOfArchive(t, archive);
    assert.deepEqual(
      tree.entries.map(({ path }) => path),
      ['', 'd', 'd/file', 'd/hard', 'holes', longName, 'soft'],
    );
    for (const path of ['d/file', 'd/hard', 'soft', 'holes', longName]) {
      assert.deepEqual(Buffer.from(await read(fileAt(tree, path)!)), await readFile(join(content, path)), path);
    }
    const [one, two] = ['d/file', 'd/hard'].map((path) => tree.byPath.get(path));
    assert.ok(one?.kind === 'file' && two?.kind === 'file' && one.inode !== undefined && one.inode === two.inode);
    const holes = tree.byPath.get('holes');
    assert.ok(holes?.kind === 'file');
    assert.equal(
      holes.content.extents.some(({ kind }) => kind === 'zeros'),
      options.includes('--sparse'),
    );
  });
}
