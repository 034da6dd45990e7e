/** squashfs-tools and, where it can be asked, this machine's kernel judge our squashfs images, and our reader theirs. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { equals } from '../../src/bytes/read.ts';
import { decodeSquashfs, type SquashfsContent } from '../../src/formats/squashfs/decode.ts';
import { type SquashfsOptions, squashTree } from '../../src/formats/squashfs/write.ts';
import type { Compression } from '../../src/platform/types.ts';
import { type Entry, filter, type Tree } from '../../src/tree/tree.ts';
import { imageFiles } from '../support/image-files.ts';
import { EPOCH, formsTree, randomTree } from '../support/squashfs-trees.ts';
import { skipWithout } from '../support/tools.ts';
import { assertSameTree } from '../support/tree.ts';

const skip = skipWithout('mksquashfs', 'unsquashfs');
const isRoot = process.getuid?.() === 0;
const skipExtraction = skip || (isRoot ? false : 'owners, devices and attributes are for root to make');
const { platform, directory, newPath, written, opened } = imageFiles();

async function decoded(path: string): Promise<SquashfsContent> {
  return decodeSquashfs(await opened(path), platform.compression);
}

/** Every compressor, and block sizes between the least and the largest. */
function optionsOf(index: number): SquashfsOptions {
  const compressor = index % 4 === 3 ? ({ name: 'xz' } as const) : ({ name: 'zstd', level: 1 + (index % 5) } as const);
  return { compressor, epoch: EPOCH, ...(index % 3 === 0 ? {} : { blockSize: 4096 << (index % 9) }) };
}

/** Attributes of users are for files and directories only; those of the others root may give to anything. */
const SPACES = ['trusted.', 'security.'];
const SETTINGS = ['gzip', 'xz', 'zstd'];

function mksquashfs(source: string, setting: string): string {
  const image = newPath();
  const fixed = ['-noappend', '-quiet', '-no-progress', '-no-exports', '-comp', setting];
  const { status, stderr, stdout } = spawnSync('mksquashfs', [source, image, ...fixed], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.equal(stderr, '');
  return image;
}

function unsquashfs(image: string, ...options: readonly string[]): string {
  const { status, stderr, stdout } = spawnSync('unsquashfs', [...options, '-no-progress', image], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, TZ: 'UTC' },
    maxBuffer: 1 << 26,
  });
  assert.equal(status, 0, stdout + stderr);
  assert.equal(stderr, '');
  return stdout;
}

test('unsquashfs lists what we wrote', { skip }, async () => {
  const trees = [formsTree(), ...Array.from({ length: 20 }, (_, index) => randomTree(`listed ${index}`, SPACES))];
  for (const [index, tree] of trees.entries()) {
    const image = await written(await squashTree(tree, optionsOf(index), platform));
    const lines = unsquashfs(image, '-lln', '-d', 'at')
      .split('\n')
      .filter((line) => / at(\/|$| )/.test(line));
    assert.deepEqual(lines.map(comparable).sort(), tree.entries.map(lineOf).sort());
    rmSync(image);
  }
});

/** Without sizes of directories and pipes, which are of no meaning, and numbers of devices, which it shows undecoded; runs of blanks as one. */
function comparable(line: string): string {
  const blanks = line.replace(/ +/g, ' ');
  return /^[dpbc]/.test(blanks) ? blanks.replace(/^(\S+ \S+) .*?(?=\d{4}-\d\d-\d\d )/, '$1 ') : blanks;
}

/** As unsquashfs prints it. */
function lineOf(entry: Entry): string {
  const type = { file: '-', directory: 'd', symlink: 'l', character: 'c', block: 'b', fifo: 'p' }[entry.kind];
  const path = entry.path === '' ? 'at' : `at/${entry.path}`;
  const time = new Date(entry.mtime * 1000).toISOString().slice(0, 16).replace('T', ' ');
  const target = entry.kind === 'symlink' ? ` -> ${entry.target}` : '';
  return `${type}${permissions(entry.mode)} ${entry.uid}/${entry.gid} ${sizeOf(entry)} ${time} ${path}${target}`.replace(
    / +/g,
    ' ',
  );
}

function sizeOf(entry: Entry): string {
  switch (entry.kind) {
    case 'file':
      return String(entry.content.size);
    case 'symlink':
      return String(new TextEncoder().encode(entry.target).length);
    case 'character':
    case 'block':
    case 'directory':
    case 'fifo':
      return '';
  }
}

/** `rwxr-xr-x`, with the letters for setuid, setgid and sticky. */
function permissions(mode: number): string {
  const bits = Array.from('rwxrwxrwx', (letter, index) => ((mode >> (8 - index)) & 1 ? letter : '-'));
  for (const [index, at, letter] of [
    [11, 2, 's'],
    [10, 5, 's'],
    [9, 8, 't'],
  ] as const) {
    if ((mode >> index) & 1) bits[at] = bits[at] === 'x' ? letter : letter.toUpperCase();
  }
  return bits.join('');
}

test('what unsquashfs extracts and mksquashfs packs again is what we wrote: 200 random trees', {
  skip: skipExtraction,
}, async () => {
  for (let index = 0; index < 200; index++) {
    const tree = randomTree(`extracted ${index}`, SPACES);
    const image = await written(await squashTree(tree, optionsOf(index), platform));
    const extracted = newPath();
    unsquashfs(image, '-d', extracted, '-quiet');
    const repacked = mksquashfs(extracted, SETTINGS[index % SETTINGS.length]!);
    await assertSameTree((await decoded(repacked)).tree, tree);
    for (const path of [image, extracted, repacked]) rmSync(path, { recursive: true });
  }
});

test('every form is extracted', { skip: skipExtraction }, async () => {
  for (const index of [0, 1, 3, 5]) {
    const tree = formsTree();
    const image = await written(await squashTree(tree, optionsOf(index), platform));
    const extracted = newPath();
    unsquashfs(image, '-d', extracted, '-quiet');
    await assertSameTree((await decoded(mksquashfs(extracted, 'zstd'))).tree, tree);
  }
});

test('what is made without the native coder is extracted, too', { skip: skipExtraction }, async () => {
  const compression: Compression = { ...platform.compression, lzma2: undefined };
  const tree = randomTree('own coder', SPACES);
  const bytes = await squashTree(tree, { compressor: { name: 'xz' }, epoch: EPOCH }, { ...platform, compression });
  const extracted = newPath();
  unsquashfs(await written(bytes), '-d', extracted, '-quiet');
  await assertSameTree((await decoded(mksquashfs(extracted, 'xz'))).tree, tree);
});

test('our reader sees the same in an image of mksquashfs and in ours of it', { skip }, async () => {
  const source = new URL('../../src', import.meta.url).pathname;
  for (const setting of SETTINGS) {
    const { tree } = await decoded(mksquashfs(source, setting));
    assert.ok(tree.byPath.has('formats/squashfs/decode.ts'));
    const ours = await squashTree(tree, optionsOf(0), platform);
    await assertSameTree((await decodeSquashfs(ours, platform.compression)).tree, tree);
  }
});

test('the settings of upstream give an image about as large, of the same bytes each time', { skip }, async () => {
  const source = new URL('../../src', import.meta.url).pathname;
  for (const [compressor, settings, limit] of [
    [{ name: 'zstd', level: 18 }, ['-comp', 'zstd', '-Xcompression-level', '18'], 1.01],
    // Another encoder, set to take as much time.
    [{ name: 'xz' }, ['-comp', 'xz', '-Xdict-size', '100%'], 1.05],
  ] as const) {
    const image = newPath();
    const fixed = ['-all-root', '-noappend', '-no-progress', '-quiet'];
    execFileSync('mksquashfs', [source, image, ...fixed, ...settings], { stdio: 'ignore' });
    const theirs = await decoded(image);
    const ours = await squashTree(theirs.tree, { compressor, epoch: EPOCH }, platform);
    const { superblock } = await decodeSquashfs(ours, platform.compression);
    const { flags, inodes, blockSize, fragments, ids } = superblock;
    assert.deepEqual(
      { flags, inodes, blockSize, ids },
      {
        flags: theirs.superblock.flags,
        inodes: theirs.superblock.inodes,
        blockSize: theirs.superblock.blockSize,
        ids: theirs.superblock.ids,
      },
    );
    assert.ok(Math.abs(fragments - theirs.superblock.fragments) <= 1);
    assert.ok(
      superblock.size < theirs.superblock.size * limit,
      `${superblock.size} bytes, theirs ${theirs.superblock.size}`,
    );
    assert.ok(await equals(await squashTree(theirs.tree, { compressor, epoch: EPOCH }, platform), ours));
  }
});

/** What the kernel shows is packed by mksquashfs, which asks it for everything there is. */
test('the kernel of this machine mounts our images and shows what we wrote', {
  skip: skipExtraction || cannotMount(),
}, async () => {
  const trees = [formsTree(), ...Array.from({ length: 12 }, (_, index) => randomTree(`mounted ${index}`, SPACES))];
  for (const [index, tree] of trees.entries()) {
    const image = await written(await squashTree(tree, optionsOf(index), platform));
    const mounted = newPath();
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'squashfs', '-o', 'loop,ro', image, mounted]);
    try {
      await assertSameTree((await decoded(mksquashfs(mounted, 'zstd'))).tree, tree);
    } finally {
      execFileSync('umount', [mounted]);
    }
    rmSync(image);
  }
});

/** A kernel without squashfs or loop devices is no fault of ours; `test/boot` asks one that has both. */
function cannotMount(): string | false {
  if (skipExtraction !== false) return skipExtraction;
  const empty = join(directory, 'empty');
  mkdirSync(join(empty, 'mounted'), { recursive: true });
  const image = mksquashfs(empty, 'zstd');
  const { status } = spawnSync('mount', ['-t', 'squashfs', '-o', 'loop,ro', image, join(empty, 'mounted')]);
  if (status !== 0) return 'this kernel mounts no squashfs';
  execFileSync('umount', [join(empty, 'mounted')]);
  return false;
}

test('user attributes are kept', { skip: skipExtraction }, async () => {
  // Linux has them for files and directories only.
  const kept = filter(
    randomTree('user', ['user.']),
    ({ kind, xattrs }) => xattrs === undefined || kind === 'file' || kind === 'directory',
  );
  const extracted = newPath();
  unsquashfs(await written(await squashTree(kept, optionsOf(0), platform)), '-d', extracted, '-quiet');
  await assertSameTree((await decoded(mksquashfs(extracted, 'zstd'))).tree, kept);
});

/** Contents by which trees are told apart, not only by name. */
function isSame(a: Tree, b: Tree): Promise<boolean> {
  return assertSameTree(a, b).then(
    () => true,
    () => false,
  );
}

test('the comparison does find what is different', async () => {
  assert.ok(!(await isSame(randomTree('one', SPACES), randomTree('other', SPACES))));
});
