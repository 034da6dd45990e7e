import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofText, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeSquashfs } from '../../../src/formats/squashfs/decode.ts';
import { squashTree } from '../../../src/formats/squashfs/write.ts';
import { nodePlatform } from '../../../src/platform/node.ts';
import { type Attributes, type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { EPOCH } from '../../support/squashfs-trees.ts';
import { assertSameTree } from '../../support/tree.ts';
import { FUZZ_RUNS, vectorFile } from '../../support/vectors.ts';

const platform = nodePlatform();
const { compression } = platform;

/** What the images of `test/vectors/squashfs` hold. */
function vectorTree(): Tree {
  const common: Attributes = { mode: 0o644, uid: 0, gid: 0, mtime: EPOCH };
  const label = new Map([['security.selinux', new TextEncoder().encode('system_u:object_r:lib_t:s0')]]);
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const inode = Symbol('file');
  const file = { kind: 'file', ...common, mode: 0o4755, content: ofText('hello\n'), inode, xattrs: label } as const;
  const long = text('v'.repeat(200));
  const every = Uint8Array.from({ length: 256 * 600 }, (_, index) => index % 256);
  return treeOf([
    { kind: 'directory', path: '', ...common, mode: 0o755 },
    {
      kind: 'directory',
      path: 'dir',
      ...common,
      mode: 0o755,
      xattrs: new Map([['trusted.overlay.opaque', text('y')]]),
    },
    { ...file, path: 'dir/file' },
    { ...file, path: 'dir/link' },
    { kind: 'directory', path: 'dir/sub', ...common, mode: 0o755 },
    ...Array.from({ length: 40 }, (_, index): Entry => {
      const content = ofText(`text ${index + 1} `.repeat(3));
      return { kind: 'file', path: `dir/sub/name${index + 1}`, ...common, content };
    }),
    { kind: 'symlink', path: 'symlink', ...common, mode: 0o777, target: 'dir/file', xattrs: label },
    { kind: 'fifo', path: 'fifo', ...common },
    { kind: 'character', path: 'null', ...common, major: 1, minor: 3 },
    { kind: 'block', path: 'disk', ...common, major: 8, minor: 300 },
    {
      kind: 'file',
      path: 'large',
      ...common,
      content: ofText('words and words '.repeat(20_000)),
      xattrs: new Map([['user.long', long]]),
    },
    { kind: 'file', path: 'sparse', ...common, content: concat([zeros(500_000), ofText('end')]) },
    {
      kind: 'file',
      path: 'rest',
      ...common,
      uid: 1000,
      gid: 50_000,
      content: ofMemory(every),
      xattrs: new Map([['user.other', long]]),
    },
  ]);
}

const VECTORS = ['gzip', 'xz', 'zstd'].map((name) => [name, vectorFile(`squashfs/${name}.squashfs`)] as const);

for (const [name, image] of VECTORS) {
  test(`an image of mksquashfs with ${name} is read`, async () => {
    const { tree, superblock } = await decodeSquashfs(ofMemory(image), compression);
    assert.equal(superblock.compressor, name);
    await assertSameTree(tree, vectorTree());
  });
}

test('an image with more behind it is read; so is one of ours of the same tree', async () => {
  const padded = concat([ofMemory(VECTORS[0]![1]), zeros(1000)]);
  await assertSameTree((await decodeSquashfs(padded, compression)).tree, vectorTree());
  const ours = await squashTree(vectorTree(), { compressor: { name: 'xz' }, epoch: EPOCH }, platform);
  await assertSameTree((await decodeSquashfs(ours, compression)).tree, vectorTree());
});

/** An image in which nothing is compressed, so that every field can be changed. */
async function storedImage(tree: Tree): Promise<Uint8Array> {
  const grown = { ...compression, zstdFrame: async (data: Uint8Array) => new Uint8Array(data.length + 1) };
  const options = { compressor: { name: 'zstd', level: 1 }, epoch: EPOCH, blockSize: 4096 } as const;
  return read(await squashTree(tree, options, { ...platform, compression: grown }));
}

const SMALL = await storedImage(
  treeOfLiterals({ a: 'in a fragment', b: 'b'.repeat(5000), dir: null, link: { link: 'target' } }),
);
const TABLES = (await decodeSquashfs(ofMemory(SMALL), compression)).superblock;

/** Where the fields of inodes and of the two listings are. */
const INODES = TABLES.inodeTable + 2;
const AT = { dir: 0, a: 32, b: 64, link: 64 + 32 + 8, root: 64 + 40 + 24 + 6 } as const;
const LISTING = TABLES.directoryTable + 2;

type Change = readonly [at: number, ...values: readonly number[]];
const u16 = (value: number): number[] => [value & 0xff, value >>> 8];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

const hostile: readonly (readonly [string, readonly Change[], RegExp])[] = [
  ['no magic number', [[0, 0]], /no magic number/],
  ['version 3', [[28, 3]], /version 3.0: want 4.0/],
  [
    'blocks of 2 KiB',
    [
      [12, 0, 8],
      [22, 11],
    ],
    /block size 2048/,
  ],
  ['a block size and another logarithm', [[22, 13]], /block size 4096, 2\^13/],
  ['lz4', [[20, 5]], /compressed with lz4: want gzip, xz or zstd/],
  ['lzo', [[20, 3]], /compressed with lzo/],
  ['lzma', [[20, 2]], /compressed with lzma/],
  ['a compressor nobody knows', [[20, 9]], /compressor 9/],
  ['more bytes than there are', [[40, ...u32(100_000)]], /squashfs of 100000 bytes: there are/],
  ['an inode table behind the end', [[64, ...u32(100_000)]], /table at 100000/],
  ['a million fragments and more', [[16, ...u32(1 << 30)]], /fragments, want at most/],
  ['fragments that pass the end', [[16, ...u32(1 << 18)]], /pass the end/],
  ['no identifiers', [[26, 0, 0]], /owner 0 of 0/],
  ['a root that is a file', [[32, AT.a, 0, 0]], /squashfs root: a file/],
  ['a root outside its block', [[32, ...u16(8000)]], /ends before 8000/],
  ['an inode of type 99', [[INODES + AT.a, 99]], /type 92/],
  ['a socket', [[INODES + AT.link, 7]], /"link": a socket/],
  ['a fragment that is not there', [[INODES + AT.a + 20, 9]], /fragment 9 of 1/],
  ['a place in a fragment behind its end', [[INODES + AT.a + 24, ...u16(4000)]], /bytes, want 4013/],
  ['a block outside the image', [[INODES + AT.b + 16, ...u32(1 << 30)]], /behind the image/],
  ['a block larger than blocks are', [[INODES + AT.b + 32, ...u32(0x1001001)]], /4097 bytes/],
  ['a file of more blocks than are counted', [[INODES + AT.b + 28, ...u32(0xfffff000)]], /ends before/],
  ['a link to 64 KiB', [[INODES + AT.link + 20, ...u32(65_536)]], /a target of 65536 bytes/],
  ['a link to nothing', [[INODES + AT.link + 20, 0]], /a target of 0 bytes/],
  ['a target that is not UTF-8', [[INODES + AT.link + 24, 0xff]], /not UTF-8/],
  ['a name with a slash', [[LISTING + 12 + 8, 0x2f]], /the name "\/"/],
  ['a name that is not UTF-8', [[LISTING + 12 + 8, 0xff]], /not UTF-8/],
  ['a name twice', [[LISTING + 12 + 9 + 8, 0x61]], /"a" is in the tree twice/],
  ['a header of 257 entries', [[LISTING, 0, 1]], /257 entries/],
  ['a header of more entries than follow', [[LISTING, 9]], /passes the end/],
  ['a name that passes the end', [[LISTING + 12 + 6, 200]], /a name of 201 bytes/],
  ['a listing that ends in a header', [[INODES + AT.root + 24, 12]], /9 bytes where a header should be/],
  ['a directory in itself', [[LISTING + 12 + 18, AT.root]], /it is in two places/],
];

for (const [what, changes, message] of hostile) {
  test(`refused: ${what}`, async () => {
    const image = SMALL.slice();
    for (const [at, ...values] of changes) image.set(values, at);
    await assert.rejects(decodeSquashfs(ofMemory(image), compression), (error: unknown) => {
      assert.ok(error instanceof ImagerError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

test('refused: nothing, and an image cut anywhere', async () => {
  for (let size = 0; size < TABLES.size; size += 13) {
    await assert.rejects(decodeSquashfs(ofMemory(SMALL.subarray(0, size)), compression), ImagerError);
  }
});

test('a block that unpacks to more than a block is found when it is read', async () => {
  const bomb = {
    ...compression,
    zstdFrame: (data: Uint8Array) => compression.zstdFrame(data.length > 2000 ? new Uint8Array(1 << 24) : data, 3),
  };
  const options = { compressor: { name: 'zstd', level: 1 }, epoch: EPOCH, blockSize: 4096 } as const;
  const image = await squashTree(treeOfLiterals({ bomb: 'x'.repeat(4096) }), options, {
    ...platform,
    compression: bomb,
  });
  const { tree } = await decodeSquashfs(image, compression);
  const entry = tree.byPath.get('bomb');
  assert.ok(entry?.kind === 'file');
  await assert.rejects(read(entry.content), { code: 'invalid-input' });
});

/** Reads all there is, and is content with an error of ours. */
async function tryAll(image: Bytes): Promise<void> {
  try {
    const { tree } = await decodeSquashfs(image, compression);
    for (const entry of tree.entries) {
      if (entry.kind !== 'file') continue;
      // Zeros cost nothing to claim.
      await read(entry.content, 0, Math.min(entry.content.size, 1 << 16));
    }
  } catch (error) {
    assert.ok(error instanceof ImagerError, error instanceof Error ? error.stack : String(error));
  }
}

const changed = fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { minLength: 1, maxLength: 6 });

test('images with damage of any kind are refused or read, in bounds', async () => {
  const seeds = [SMALL.subarray(0, TABLES.size), ...VECTORS.map(([, image]) => image)];
  await fc.assert(
    fc.asyncProperty(fc.nat(9), changed, async (seed, changes) => {
      // Mostly the image in which every byte means something.
      const image = Uint8Array.from(seeds[seed] ?? seeds[0]!);
      for (const [at, value] of changes) image[at % image.length] = value;
      await tryAll(ofMemory(image));
    }),
    { numRuns: FUZZ_RUNS, seed: 6 },
  );
});

test('any bytes behind a super block are refused or read, in bounds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 600 }), async (noise) => {
      const image = SMALL.slice(0, TABLES.size);
      image.set(noise.subarray(0, TABLES.size - TABLES.inodeTable), TABLES.inodeTable + 2);
      await tryAll(ofMemory(image));
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 4), seed: 7 },
  );
});

test('a small image whose paths would take all memory is refused', async () => {
  const common: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: EPOCH };
  const directories = Array.from({ length: 50 }, (_, index): Entry => {
    return {
      kind: 'directory',
      path: Array<string>(index + 1)
        .fill('d'.repeat(255))
        .join('/'),
      ...common,
    };
  });
  const inode = Symbol('one file of many names');
  const names = Array.from({ length: 12_000 }, (_, index): Entry => {
    const path = `${directories.at(-1)!.path}/${String(index).padStart(5, '0')}`;
    return { kind: 'file', path, content: ofText('x'), inode, ...common };
  });
  const image = await squashTree(
    treeOf([...directories, ...names]),
    { compressor: { name: 'zstd', level: 3 }, epoch: EPOCH },
    platform,
  );
  assert.ok(image.size < 256 * 1024, `${image.size}`);
  await assert.rejects(decodeSquashfs(image, compression), /paths of more than 134217728 characters/);
});
