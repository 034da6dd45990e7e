/** Archives in the newc format: GNU cpio reads and unpacks ours, writes the same bytes for the same files, and we read its. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ofMemory, ofText } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { decodeCpio } from '../../src/formats/cpio/decode-cpio.ts';
import { layoutCpio } from '../../src/formats/cpio/layout-cpio.ts';
import { type Entry, treeOf } from '../../src/tree/tree.ts';
import { skipWithout } from '../support/tools.ts';
import { assertSameTree } from '../support/tree.ts';

const skip = skipWithout('cpio');
const ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000 };
let directory = '';

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'cpio-'));
});

after(() => rmSync(directory, { recursive: true, force: true }));

function cpio(args: readonly string[], input: Uint8Array | string): Buffer {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  return execFileSync('cpio', ['--quiet', ...args], { input, cwd: directory, env, stdio: ['pipe', 'pipe', 'pipe'] });
}

const LINKED = Symbol('linked');
const FILES: readonly Entry[] = [
  { kind: 'file', path: 'linked-a', content: ofText('three names'), inode: LINKED, ...ATTRIBUTES },
  { kind: 'file', path: 'linked-b', content: ofText('three names'), inode: LINKED, ...ATTRIBUTES },
  { kind: 'file', path: 'middle', content: ofText('x'.repeat(5001)), ...ATTRIBUTES, mode: 0o4755 },
  { kind: 'file', path: 'z-linked', content: ofText('three names'), inode: LINKED, ...ATTRIBUTES },
  { kind: 'file', path: 'zero', content: ofText(''), ...ATTRIBUTES },
];

test('cpio lists what the tree has', { skip }, async () => {
  const tree = treeOf([
    ...FILES,
    { kind: 'directory', path: 'dev', ...ATTRIBUTES, mode: 0o1777 },
    { kind: 'character', path: 'dev/console', major: 5, minor: 1, ...ATTRIBUTES },
    { kind: 'block', path: 'dev/disk', major: 259, minor: 70000, ...ATTRIBUTES },
    { kind: 'fifo', path: 'dev/pipe', ...ATTRIBUTES },
    { kind: 'symlink', path: 'link', target: 'dev/console', ...ATTRIBUTES, mode: 0o777 },
  ]);
  const lines = String(cpio(['-itvn'], await read(layoutCpio(tree))))
    .trimEnd()
    .split('\n');
  assert.deepEqual(
    lines.map((line) => line.replace(/\s+/g, ' ').replace('Sep 13 2020 ', '')),
    [
      'drwxrwxrwt 2 0 0 0 dev',
      'crw-r--r-- 1 0 0 5, 1 dev/console',
      'brw-r--r-- 1 0 0 259, 70000 dev/disk',
      'prw-r--r-- 1 0 0 0 dev/pipe',
      'lrwxrwxrwx 1 0 0 11 link -> dev/console',
      '-rwsr-xr-x 1 0 0 5001 middle',
      '-rw-r--r-- 3 0 0 0 linked-b',
      '-rw-r--r-- 3 0 0 0 linked-a',
      '-rw-r--r-- 3 0 0 11 z-linked',
      '-rw-r--r-- 1 0 0 0 zero',
    ],
  );
});

test('cpio unpacks it, hard links included', { skip }, async () => {
  const target = join(directory, 'unpacked');
  mkdirSync(target);
  const link: Entry = { kind: 'symlink', path: 'link', target: '../somewhere', ...ATTRIBUTES, mode: 0o777 };
  const archive = await read(layoutCpio(treeOf([...FILES, link])));
  cpio(['-id', '--no-preserve-owner', '-D', target], archive);
  for (const entry of FILES) {
    assert.ok(entry.kind === 'file');
    assert.equal(readFileSync(join(target, entry.path), 'utf8'), Buffer.from(await read(entry.content)).toString());
  }
  assert.equal(readlinkSync(join(target, 'link')), '../somewhere');
  const inodes = ['linked-a', 'linked-b', 'z-linked'].map((name) => statSync(join(target, name)).ino);
  assert.equal(new Set(inodes).size, 1);
});

test('cpio writes the same bytes', { skip }, async () => {
  const source = join(directory, 'source');
  mkdirSync(source);
  const first = new Map<symbol, string>();
  for (const entry of FILES) {
    assert.ok(entry.kind === 'file');
    const path = join(source, entry.path);
    const earlier = entry.inode && first.get(entry.inode);
    if (earlier === undefined) writeFileSync(path, await read(entry.content), { mode: entry.mode });
    else linkSync(earlier, path);
    if (entry.inode) first.set(entry.inode, path);
  }
  symlinkSync('../somewhere', join(source, 'link'));
  execFileSync('chmod', ['4755', join(source, 'middle')]);
  const link: Entry = { kind: 'symlink', path: 'link', target: '../somewhere', ...ATTRIBUTES, mode: 0o777 };
  const tree = treeOf([...FILES, link]);
  const names = tree.entries.slice(1).map(({ path }) => path);
  execFileSync('touch', ['-h', '-d', `@${ATTRIBUTES.mtime}`, ...names], { cwd: source });
  const theirs = cpio(['-o', '-H', 'newc', '--reproducible', '-R', '0:0', '-D', source], `${names.join('\n')}\n`);
  assert.equal(Buffer.from(await read(layoutCpio(tree))).equals(theirs), true);
  const { tree: found, end } = await decodeCpio(ofMemory(theirs));
  assert.equal(end, theirs.length);
  await assertSameTree(found, tree);
});
