/** xfsprogs, GRUB and, for root, the kernel judge our XFS volumes, and our reader theirs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Bytes, ofMemory, patch, zeros } from '../../src/bytes/bytes.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { GIB, MIB } from '../../src/bytes/units.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { seal } from '../../src/formats/xfs/checksum.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import { FEATURE_SETS, type FeatureSet, INCOMPATIBLE } from '../../src/formats/xfs/features.ts';
import { geometryOf } from '../../src/formats/xfs/geometry.ts';
import { layoutXfs, type XfsOptions, xfsSizeFor } from '../../src/formats/xfs/layout.ts';
import { children, nameOf, type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { stream } from '../support/bytes.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { imageFiles } from '../support/image-files.ts';
import { complaintsOf, xfsPrograms } from '../support/xfs-programs.ts';
import { bootTree, EPOCH, largeTree, mixedTree, oddTree, randomTree, wideTree } from '../support/xfs-trees.ts';

const skip = skipWithoutDebianPrograms();
const programs = skip === false ? await xfsPrograms() : undefined!;
const { directory, newPath, written, opened } = imageFiles();

const BOOT = guidOfLabel('BOOT');
const COMMON: XfsOptions = { label: 'BOOT', uuid: BOOT, features: 'lts_6.18', epoch: EPOCH };
const ALIGNED = { from: 65536, alignment: 65536, base: 2103 * MIB + 8192 };

/** lts_6.6 and lts_6.12 are the same features. */
const SETS: readonly FeatureSet[] = ['lts_6.1', 'lts_6.12', 'lts_6.18'];

const TREES: readonly (readonly [string, () => Tree, number, Partial<XfsOptions>?])[] = [
  ['an empty volume', () => treeOf([]), 300 * MIB],
  ['a boot partition', () => bootTree(), 1000 * MIB, { largeFiles: ALIGNED, contentFirst: ['A/vmlinuz'] }],
  ['a boot partition since 1.11', () => bootTree(8247232, 87894301), 2000 * MIB],
  ['every kind and form', oddTree, 300 * MIB],
  ['every kind and form, aligned', oddTree, 777 * MIB + 5 * 4096 + 7, { largeFiles: { ...ALIGNED, from: 4096 } }],
  ['5000 long names in one directory', () => wideTree(5000, 255), 300 * MIB],
  ['40,000 names in one directory', () => wideTree(40_000, 12), 2000 * MIB],
  ['10,000 random files', () => randomTree('conformance', 10_000), 1001 * MIB],
  ['10,000 files, half of them aligned', () => mixedTree(10_000), 2048 * MIB, { largeFiles: ALIGNED }],
  ['2 GiB in 4 GiB', () => largeTree(2048), 4096 * MIB],
  ['a file of 26 extents', () => largeTree(200 * 1024), 400 * GIB],
  ['groups of a terabyte, inode numbers above 32 bits', () => randomTree('terabytes', 300), 6 * 1024 * GIB],
];

for (const [what, make, size, more] of TREES) {
  test(`xfs_repair has nothing to say about ${what}`, { skip }, async () => {
    const tree = make();
    for (const features of SETS) {
      for (const sectorSize of [512, 4096]) {
        const image = await written(layoutXfs(tree, size, { ...COMMON, ...more, features, sectorSize }).bytes);
        assert.deepEqual(complaintsOf(programs, image), [], `${features} ${sectorSize}`);
        rmSync(image);
      }
    }
  });
}

test('a directory whose hash tree has two levels of nodes is sound', { skip }, async () => {
  const { bytes } = layoutXfs(wideTree(260_000, 7), 4096 * MIB, { ...COMMON, features: 'lts_6.12', sectorSize: 4096 });
  const image = await written(bytes);
  assert.deepEqual(complaintsOf(programs, image), []);
  rmSync(image);
});

test('a volume filled to the last MiB that it takes is sound', { skip }, async () => {
  for (const tree of [randomTree('full', 4000, 300_000), bootTree(60 * MIB, 500 * MIB)]) {
    const image = await written(layoutXfs(tree, xfsSizeFor(tree, COMMON), COMMON).bytes);
    assert.deepEqual(complaintsOf(programs, image), []);
    rmSync(image);
  }
});

test('xfs_repair does find what is wrong', { skip }, async () => {
  const { bytes } = layoutXfs(bootTree(), 300 * MIB, COMMON);
  const image = await written(patch(bytes, [{ at: 4096 + 60, bytes: ofMemory(Uint8Array.of(9)) }]));
  assert.notDeepEqual(complaintsOf(programs, image), []);
  rmSync(image);
});

/** Options that stand for the feature sets, as long as there are releases without their files. */
function optionsFor(features: FeatureSet): string[] {
  const { rmapbt, nrext64, exchange, parent } = FEATURE_SETS[features];
  const bit = (on: boolean): number => (on ? 1 : 0);
  return [
    ...['-m', `bigtime=1,crc=1,finobt=1,inobtcount=1,metadir=0,reflink=1,rmapbt=${bit(rmapbt)},autofsck=0`],
    ...['-i', `sparse=1,nrext64=${bit(nrext64)},exchange=${bit(exchange)}`],
    ...['-n', `ftype=1,parent=${bit(parent)}`],
  ];
}

function makeTheirs(size: number, features: FeatureSet, sectorSize: number, ...more: readonly string[]): string {
  const image = newPath();
  writeFileSync(image, '');
  truncateSync(image, size);
  const fixed = ['-f', '-q', '-L', 'BOOT', '-m', `uuid=${BOOT}`, '-s', `size=${sectorSize}`];
  const { code, text } = programs.run('mkfs.xfs', ...fixed, ...optionsFor(features), ...more, image);
  assert.equal(code, 0, text);
  return image;
}

test('an empty volume is that of mkfs.xfs, inodes apart', { skip }, async () => {
  for (const features of SETS) {
    for (const sectorSize of [512, 4096]) {
      const size = 300 * MIB;
      const theirs = await opened(makeTheirs(size, features, sectorSize));
      const ours = layoutXfs(treeOf([]), size, { ...COMMON, features, sectorSize }).bytes;
      const same = await equals(withoutVarying(ours), withoutVarying(theirs));
      assert.ok(same, `${features} ${sectorSize}`);
    }
  }
});

/** With zeros over what differs between two runs of mkfs.xfs, or between its releases. */
function withoutVarying(bytes: Bytes): Bytes {
  const agBytes = 19200 * 4096;
  const copies = [1, 2, 3].flatMap((ag) =>
    // Copies of the super block: some of theirs lack the root inode, and the mark that attributes are in use.
    (
      [
        [0x38, 0x40],
        [0x65, 0x66],
        [0xe0, 0xe4],
      ] as const
    ).map(([first, end]) => ({
      at: ag * agBytes + first,
      bytes: zeros(end - first),
    })),
  );
  // The first chunk: generations are drawn by lot, times differ, and their root has an attribute that switches repairs off.
  return patch(bytes, [{ at: 16 * 4096, bytes: zeros(8 * 4096) }, ...copies]);
}

test('dimensions are those of mkfs.xfs for any size', { skip }, async () => {
  let size = 300 * MIB;
  const sizes: number[] = [];
  for (; size < 6 * 1024 * GIB; size = Math.floor(size * 1.41) + 12_345) sizes.push(size);
  for (const [index, one] of sizes.entries()) {
    const features = SETS[index % SETS.length]!;
    const sectorSize = index % 2 === 0 ? 512 : 4096;
    const image = makeTheirs(one, features, sectorSize);
    const { superblock } = await decodeXfs(await opened(image));
    const { agBlocks, agCount, blocks, logBlocks } = geometryOf(one, sectorSize, FEATURE_SETS[features]);
    assert.deepEqual(
      { agBlocks, agCount, blocks, logBlocks },
      {
        agBlocks: superblock.agBlocks,
        agCount: superblock.agCount,
        blocks: superblock.blocks,
        logBlocks: superblock.logBlocks,
      },
      `${one} bytes`,
    );
    const ours = await decodeXfs(layoutXfs(treeOf([]), one, { ...COMMON, features, sectorSize }).bytes);
    assert.deepEqual(ours.superblock, superblock, `${one} bytes`);
    rmSync(image);
  }
});

test('xfs_db shows what we meant', { skip }, async () => {
  const image = await written(layoutXfs(mixedTree(10_000), 2048 * MIB, { ...COMMON, largeFiles: ALIGNED }).bytes);
  const show = (...commands: readonly string[]): string => {
    const { code, text } = programs.run('xfs_db', '-r', ...commands.flatMap((command) => ['-c', command]), image);
    assert.equal(code, 0, text);
    return text;
  };
  // Two levels and more are tried only if the tree does have them.
  assert.match(show('agf 0', 'p bnolevel cntlevel rmaplevel'), /^bnolevel = 2\ncntlevel = 2\nrmaplevel = 2\n$/);
  assert.match(show('sb 0', 'p fname uuid logsunit'), new RegExp(`^fname = "BOOT.*\nuuid = ${BOOT}\nlogsunit = 1\n$`));
  assert.match(show('inode 128', 'p v3.crtime.sec v3.bigtime'), /^v3.crtime.sec = .* 2019\nv3.bigtime = 1\n$/);
  rmSync(image);
});

const PROTOTYPE = `/
0 0
d--755 0 0
file ---644 7 8 SOURCE
sub d-g751 0 0
 link l--777 0 0 ../file
 null c--666 0 0 1 3
 fifo p--600 0 0
 disk b--660 0 6 8 17
${Array.from({ length: 700 }, (_, index) => ` entry-${index} ---600 0 0 SOURCE`).join('\n')}
$
$
`;

test('our reader reads what mkfs.xfs wrote', { skip }, async () => {
  const content = stream('source', 10_001);
  const source = join(directory, 'source');
  writeFileSync(source, content);
  const prototype = join(directory, 'prototype');
  writeFileSync(prototype, PROTOTYPE.replaceAll('SOURCE', source));
  for (const features of SETS) {
    const image = makeTheirs(300 * MIB, features, 512, '-p', prototype);
    const { tree, superblock } = await decodeXfs(await opened(image));
    assert.equal(superblock.uuid, BOOT);
    assert.equal(tree.entries.length, 3 + 4 + 700);
    const of = (path: string): object => {
      const { kind, mode, uid, gid, ...rest } = tree.byPath.get(path)!;
      const target = 'target' in rest ? { target: rest.target } : {};
      const device = 'major' in rest ? { major: rest.major, minor: rest.minor } : {};
      return { kind, mode, uid, gid, ...target, ...device };
    };
    assert.deepEqual(of('file'), { kind: 'file', mode: 0o644, uid: 7, gid: 8 });
    assert.deepEqual(of('sub'), { kind: 'directory', mode: 0o2751, uid: 0, gid: 0 });
    assert.deepEqual(of('sub/link'), { kind: 'symlink', mode: 0o777, uid: 0, gid: 0, target: '../file' });
    assert.deepEqual(of('sub/null'), { kind: 'character', mode: 0o666, uid: 0, gid: 0, major: 1, minor: 3 });
    assert.deepEqual(of('sub/disk'), { kind: 'block', mode: 0o660, uid: 0, gid: 6, major: 8, minor: 17 });
    assert.deepEqual(of('sub/fifo'), { kind: 'fifo', mode: 0o600, uid: 0, gid: 0 });
    const last = tree.byPath.get('sub/entry-699');
    assert.ok(last?.kind === 'file' && (await equals(last.content, ofMemory(content))));
    rmSync(image);
  }
});

/** The prototype for mkfs.xfs of a tree of files and directories: in each what is no directory first, all by name. */
function prototypeOf(tree: Tree, path = '', depth = 0): string {
  const held = children(tree, path);
  const pad = ' '.repeat(depth);
  const files = held.map((entry) => {
    if (entry.kind !== 'file') return '';
    const source = join(directory, `source-${entry.content.size}`);
    if (!existsSync(source)) writeFileSync(source, Buffer.alloc(entry.content.size, 1));
    return `${pad}${nameOf(entry.path)} ---644 0 0 ${source}\n`;
  });
  const directories = held.map((entry) => {
    if (entry.kind !== 'directory') return '';
    return `${pad}${nameOf(entry.path)} d--755 0 0\n${prototypeOf(tree, entry.path, depth + 1)}`;
  });
  return `${[...files, ...directories].join('')}${pad}$\n`;
}

test('a filled volume counts blocks and inodes as that of mkfs.xfs', { skip }, async () => {
  const tree = treeOfLiterals(
    Object.fromEntries(
      Array.from({ length: 54 }, (_, index) => [
        `${index % 5}/${index % 2 === 0 ? '' : 'below/deep/'}file ${index}`.replaceAll(' ', '-'),
        new Uint8Array(index * 300).fill(1),
      ]),
    ),
    { mtime: EPOCH },
  );
  const prototype = join(directory, 'prototype');
  writeFileSync(prototype, `/\n0 0\nd--755 0 0\n${prototypeOf(tree)}`);
  for (const features of SETS) {
    const image = makeTheirs(500 * MIB, features, 4096, '-p', prototype);
    const theirs = await decodeXfs(await opened(image));
    const ours = await decodeXfs(layoutXfs(tree, 500 * MIB, { ...COMMON, features, sectorSize: 4096 }).bytes);
    assert.deepEqual(ours.superblock, theirs.superblock);
    assert.deepEqual([...ours.tree.byPath.keys()], [...theirs.tree.byPath.keys()]);
    rmSync(image);
  }
});

/** GRUB 2.12 reads all we write, but refuses names of features that it need not know: 2.14 has them in its list and is otherwise the same. */
async function forGrub(bytes: Bytes): Promise<Bytes> {
  const sector = await read(bytes, 0, 512);
  const view = new DataView(sector.buffer);
  view.setUint32(0xd8, view.getUint32(0xd8) & ~(INCOMPATIBLE.exchange | INCOMPATIBLE.parent));
  seal(sector, 0xe0);
  return patch(bytes, [{ at: 0, bytes: ofMemory(sector) }]);
}

test('GRUB reads every form of file and directory', { skip }, async () => {
  const tree = oddTree();
  for (const features of SETS) {
    const image = await written(await forGrub(layoutXfs(tree, 300 * MIB, { ...COMMON, features }).bytes));
    const grub = (...args: readonly string[]): string => {
      const { code, text } = programs.run('grub-fstest', image, ...args);
      assert.equal(code, 0, `${args.join(' ')}: ${text}`);
      return text;
    };
    const local = join(directory, 'content');
    const tried = tree.entries.filter(({ path }) => !path.startsWith('counts/') || /\/\d*9$/.test(path));
    for (const entry of tried) {
      if (entry.kind !== 'file') continue;
      writeFileSync(local, await read(entry.content));
      assert.equal(grub('cmp', `(loop0)/${entry.path}`, local), '', entry.path);
    }
    for (const count of [1, 10, 60, 170, 600]) {
      const names = grub('ls', `(loop0)/counts/${count}/`)
        .trim()
        .split(/ (?=a file)/);
      assert.equal(names.length, count);
    }
    rmSync(image);
  }
});

test('GRUB reads a file that lies in several pieces', { skip }, async () => {
  const { bytes } = layoutXfs(largeTree(700), 701 * MIB + 300 * MIB, { ...COMMON, features: 'lts_6.12' });
  const image = await written(bytes);
  const local = join(directory, 'zeros');
  writeFileSync(local, '');
  truncateSync(local, 700 * MIB + 1);
  const { code, text } = programs.run('grub-fstest', image, 'cmp', `(loop0)/large/${'l'.repeat(255)}`, local);
  assert.equal(`${code} ${text}`, '0 ');
  rmSync(image);
});

const skipMount = skip || skipWithoutXfsMount();

function skipWithoutXfsMount(): string | false {
  if (process.getuid?.() !== 0) return 'mounting takes root';
  if (!readFileSync('/proc/filesystems', 'utf8').includes('\txfs\n')) return 'this kernel has no XFS';
  return existsSync('/dev/loop-control') ? false : 'needs loop devices';
}

/** Runs `body` with the image mounted; both sector sizes get a device that has them. */
function mounted(image: string, sectorSize: number, body: (path: string) => void): void {
  const mountPoint = mkdtempSync(join(directory, 'mount-'));
  const device = execFileSync('losetup', ['-f', '--show', '-b', String(sectorSize), image], {
    encoding: 'utf8',
  }).trim();
  try {
    execFileSync('mount', ['-t', 'xfs', device, mountPoint]);
    try {
      body(mountPoint);
    } finally {
      execFileSync('umount', [mountPoint]);
    }
  } finally {
    execFileSync('losetup', ['-d', device]);
  }
}

for (const sectorSize of [512, 4096]) {
  test(`the kernel mounts, reads and goes on writing: sectors of ${sectorSize}`, { skip: skipMount }, async () => {
    const tree = oddTree();
    const contents = new Map<string, Uint8Array>();
    for (const entry of tree.entries) if (entry.kind === 'file') contents.set(entry.path, await read(entry.content));
    for (const features of SETS) {
      const image = await written(layoutXfs(tree, 300 * MIB, { ...COMMON, features, sectorSize }).bytes);
      mounted(image, sectorSize, (top) => {
        for (const entry of tree.entries) {
          const path = join(top, entry.path);
          const found = lstatSync(path);
          assert.deepEqual([found.mode & 0o7777, found.uid, found.gid], [entry.mode, entry.uid, entry.gid], entry.path);
          assert.equal(Math.floor(found.mtimeMs / 1000), entry.mtime, entry.path);
          if (entry.kind === 'symlink') assert.equal(readlinkSync(path), entry.target);
          if (entry.kind === 'file') assert.ok(readFileSync(path).equals(contents.get(entry.path)!), entry.path);
        }
        for (let index = 0; index < 500; index++)
          writeFileSync(join(top, 'hard', `new ${index}`), 'x'.repeat(index * 20));
        mkdirSync(join(top, 'counts/600/more'));
        for (const gone of ['counts/170', 'attributes', 'links', 'd0']) rmSync(join(top, gone), { recursive: true });
      });
      assert.deepEqual(complaintsOf(programs, image), [], features);
      const { tree: back } = await decodeXfs(await opened(image));
      assert.equal(back.byPath.has('hard/new 499'), true);
      rmSync(image);
    }
  });
}

test('the kernel finds room for its own trees in a full volume', { skip: skipMount }, async () => {
  const complaints = (): number =>
    execFileSync('dmesg', { encoding: 'utf8' }).split(/\n.*(?:Per-AG reservation|XFS.*(?:ENOSPC|error|corrupt))/i)
      .length;
  const tree = bootTree(60 * MIB, 500 * MIB);
  const before = complaints();
  for (const features of SETS) {
    const options = { ...COMMON, features };
    const image = await written(layoutXfs(tree, xfsSizeFor(tree, options), options).bytes);
    mounted(image, 512, (top) => lstatSync(join(top, 'A/vmlinuz')));
    assert.equal(complaints(), before, features);
    rmSync(image);
  }
});
