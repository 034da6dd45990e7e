/** Volumes come back from our own reader, entry for entry; what is shared is not stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, ofMemory, ofSource, ofText, patch, slice, zeros } from '../../../src/bytes/bytes.ts';
import { digest, equals, read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeIso9660, type IsoVolume } from '../../../src/formats/iso9660/decode.ts';
import { type IsoOptions, layoutIso9660 } from '../../../src/formats/iso9660/layout.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const TIME = 1559424892;
const OPTIONS: IsoOptions = { volumeId: 'TALOS_V1_13_0', volumeSetId: 'Talos-v1.13.0', preparerId: 'TEST', time: TIME };

async function assertTree(volume: IsoVolume, tree: Tree): Promise<void> {
  assert.deepEqual([...volume.tree.byPath.keys()].sort(), [...tree.byPath.keys()].sort());
  for (const wanted of tree.entries) {
    const found = volume.tree.byPath.get(wanted.path)!;
    if (wanted.kind === 'file' && found.kind === 'file') {
      assert.ok(await equals(found.content, wanted.content), wanted.path);
      assert.deepEqual(plain(found), plain(wanted));
    } else {
      assert.deepEqual(plain(found), plain(wanted));
    }
  }
}

function plain(entry: Entry): Record<string, unknown> {
  const { kind, path, mode, uid, gid, mtime } = entry;
  const common = { kind, path, mode, uid, gid, mtime };
  if (entry.kind === 'symlink') return { ...common, target: entry.target };
  return entry.kind === 'character' || entry.kind === 'block'
    ? { ...common, device: [entry.major, entry.minor] }
    : common;
}

/** Directories of several blocks, names and links that go on elsewhere, ten levels, every kind. */
function sample(): Tree {
  const common = { uid: 1000, gid: 5, mtime: TIME - 86400 };
  return treeOf([
    ...treeOfLiterals(
      {
        'boot/vmlinuz': stream('kernel', 5000),
        empty: '',
        'deep/a/b/c/d/e/f/g/h/i/j': 'down here',
        link: { link: '../a/b' },
        'long-link': { link: Array.from({ length: 15 }, (_, index) => `${index}`.repeat(120)).join('/') },
        ['x'.repeat(255)]: 'long name',
        ['é'.repeat(127)]: 'long name in UTF-8',
        ...Object.fromEntries(
          Array.from({ length: 300 }, (_, index) => [`many/${'n'.repeat(200)}${index}`, `${index}`]),
        ),
      },
      { mtime: TIME },
    ).entries,
    { kind: 'file', path: 'tool', content: ofText('#!'), mode: 0o4755, ...common },
    { kind: 'fifo', path: 'dev/fifo', mode: 0o600, ...common },
    { kind: 'character', path: 'dev/null', major: 1, minor: 3, mode: 0o666, ...common },
    { kind: 'block', path: 'dev/sda', major: 8, minor: 0, mode: 0o660, ...common },
  ]);
}

test('a tree with everything comes back', async () => {
  const layout = layoutIso9660(sample(), OPTIONS);
  const image = await decodeIso9660(layout.bytes);
  await assertTree(image, sample());
  assert.equal(image.descriptor.blocks * 2048, layout.bytes.size);
  assert.equal(image.pathTable.length, sample().entries.filter(({ kind }) => kind === 'directory').length);
  assert.equal(image.partitionView, undefined);
  assert.equal(image.boot, undefined);
  for (const [path, { offset, size }] of layout.files) {
    const entry = sample().byPath.get(path);
    assert.ok(
      entry?.kind === 'file' && (await equals(slice(layout.bytes, offset, offset + size), entry.content)),
      path,
    );
    assert.equal(offset % 2048, 0);
  }
});

test('the partition view is a volume of its own', async () => {
  const appended = { bytes: ofMemory(stream('esp', 9000)), alignment: 1 << 20 };
  const layout = layoutIso9660(sample(), { ...OPTIONS, partitionView: true, appended, tail: 4096 });
  const image = await decodeIso9660(layout.bytes);
  await assertTree(image, sample());
  await assertTree(image.partitionView!, sample());
  assert.deepEqual(layout.appended, { offset: layout.end - (1 << 20), size: 1 << 20 });
  assert.equal(layout.bytes.size, layout.end + 4096);
  // Cut out, the partition still is a volume: nothing in it points outside.
  const partition = slice(layout.bytes, 16 * 2048, layout.appended!.offset);
  const alone = await decodeIso9660(partition);
  await assertTree(alone, sample());
  assert.equal(alone.descriptor.blocks * 2048, partition.size);
});

test('files that lie in the appended bytes or in another file are not stored', async () => {
  const esp = memorySource(stream('esp', 20000));
  const inner = ofSource(esp, 4096, 5000);
  const tree = treeOfLiterals(
    { 'a/uki': inner, 'a/image': ofSource(esp, 2048, 9000), 'a/inside': ofSource(esp, 4096, 10) },
    { mtime: TIME },
  );
  const layout = layoutIso9660(tree, {
    ...OPTIONS,
    partitionView: true,
    appended: { bytes: ofSource(esp), alignment: 2048 },
    shared: new Map([
      ['a/uki', { in: 'appended', offset: 4096 } as const],
      ['a/inside', { in: 'file', path: 'a/image', offset: 2048 } as const],
    ]),
  });
  const image = await decodeIso9660(layout.bytes);
  await assertTree(image, tree);
  assert.deepEqual([...image.partitionView!.tree.byPath.keys()], ['', 'a', 'a/image', 'a/inside']);
  assert.deepEqual(layout.files.get('a/uki'), { offset: layout.appended!.offset + 4096, size: 5000 });
  const stored = layout.bytes.extents.reduce((sum, extent) => sum + (extent.kind === 'range' ? extent.length : 0), 0);
  assert.equal(stored, 20000 + 9000);
});

test('the same content is stored once', () => {
  const source = memorySource(stream('blob', 4000));
  const tree = treeOfLiterals({ one: ofSource(source), two: ofSource(source), other: ofSource(source, 1) });
  const { files } = layoutIso9660(tree, OPTIONS);
  assert.deepEqual(files.get('one'), files.get('two'));
  assert.notDeepEqual(files.get('one'), files.get('other'));
});

test('ranks decide what is stored first, and names the order in directories', () => {
  const tree = treeOfLiterals({ 'A/x': '1', 'boot/z': '2', 'boot/a': '3', c: '4' });
  const { files } = layoutIso9660(tree, { ...OPTIONS, rank: (path) => (path.startsWith('boot/') ? 0 : 1) });
  const order = [...files].sort(([, a], [, b]) => a.offset - b.offset).map(([path]) => path);
  assert.deepEqual(order, ['boot/a', 'boot/z', 'A/x', 'c']);
});

test('a boot catalog is a file and leads to what it names', async () => {
  const tree = treeOfLiterals({ 'boot/core.img': stream('core', 3000) }, { mtime: TIME });
  const boot = {
    catalogPath: 'boot.catalog',
    images: [
      { platform: 0, sectors: 4, image: { in: 'file', path: 'boot/core.img' } },
      { platform: 0xef, sectors: 7, image: { in: 'appended' } },
    ],
  } as const;
  const layout = layoutIso9660(tree, { ...OPTIONS, boot, appended: { bytes: ofText('esp'), alignment: 2048 } });
  const image = await decodeIso9660(layout.bytes);
  assert.deepEqual(image.boot?.images, [
    { platform: 0, sectors: 4, block: layout.files.get('boot/core.img')!.offset / 2048 },
    { platform: 0xef, sectors: 7, block: layout.appended!.offset / 2048 },
  ]);
  assert.equal(image.boot?.catalogBlock, layout.files.get('boot.catalog')!.offset / 2048);
  assert.equal(image.tree.byPath.get('boot.catalog')!.mode, 0o444);
  const missing = { ...boot, images: [{ ...boot.images[0], image: { in: 'file', path: 'gone' } }] } as const;
  assert.throws(() => layoutIso9660(tree, { ...OPTIONS, boot: missing }), /not in the tree/);
});

test('zeros are stored once, and never where the boot catalog is written', async () => {
  const tree = treeOfLiterals({ boot: zeros(2048), a: zeros(2048), b: zeros(2048) }, { mtime: TIME });
  const images = [{ platform: 0xef, sectors: 4, image: { in: 'file', path: 'boot' } }] as const;
  const layout = layoutIso9660(tree, { ...OPTIONS, boot: { catalogPath: 'boot.catalog', images } });
  const [catalog, boot, a, b] = ['boot.catalog', 'boot', 'a', 'b'].map((path) => layout.files.get(path)!.offset);
  assert.deepEqual([a, b], [boot, boot]);
  assert.notEqual(catalog, a);
  const { tree: found } = await decodeIso9660(layout.bytes);
  const entry = found.byPath.get('a');
  assert.ok(entry?.kind === 'file' && (await equals(entry.content, zeros(2048))));
});

test('files of more than 4 GiB take several sections', async () => {
  const size = 2 ** 33 + 5;
  const big = ofSource({ key: 'big', label: 'big', size, read: () => Promise.resolve() });
  const tree = treeOfLiterals({ big, next: zeros(2 ** 32) }, { mtime: TIME });
  const layout = layoutIso9660(tree, OPTIONS);
  const image = await decodeIso9660(layout.bytes);
  await assertTree(image, tree);
  const { offset } = layout.files.get('big')!;
  const section = 2 ** 32 - 2048;
  assert.deepEqual(image.files.get('big'), [
    { offset, size: section },
    { offset: offset + section, size: section },
    { offset: offset + 2 * section, size: size - 2 * section },
  ]);
  assert.equal(image.files.get('next')!.length, 2);
});

test('the same input gives the same bytes, in whatever order it comes', async () => {
  const one = layoutIso9660(sample(), OPTIONS).bytes;
  const other = layoutIso9660(treeOf([...sample().entries].reverse()), OPTIONS).bytes;
  assert.ok(await equals(one, other));
});

test('what does not fit is refused', () => {
  const tree = treeOfLiterals({ file: 'content', none: '' });
  const refused = (options: Partial<IsoOptions>, reason: RegExp): void => {
    assert.throws(
      () => layoutIso9660(tree, { ...OPTIONS, ...options }),
      (error) => error instanceof ImagerError && reason.test(error.message),
    );
  };
  const appended = { bytes: zeros(4096), alignment: 2048 };
  const shared = (path: string, offset: number): Partial<IsoOptions> => ({
    appended,
    shared: new Map([[path, { in: 'appended', offset }]]),
  });
  refused({ volumeId: 'X'.repeat(33) }, /at most 32/);
  refused(shared('file', 1), /not the start of a block/);
  refused(shared('file', 4096), /lies outside/);
  refused(shared('none', 0), /no file with content/);
  refused({ shared: new Map([['file', { in: 'file', path: 'none', offset: 0 }]]) }, /lies outside/);
  refused({ appended: { bytes: zeros(2 ** 43), alignment: 2048 } }, /at most 8 TiB/);
});

/** Any change of a small image is read, or refused with a reason. */
test('damaged images are refused with a reason', async () => {
  const tree = treeOfLiterals(
    { 'a/b.txt': 'text', link: { link: '/x/../y' }, ['n'.repeat(250)]: 'z', empty: '' },
    { mtime: TIME },
  );
  const boot = {
    catalogPath: 'boot.catalog',
    images: [{ platform: 0xef, sectors: 1, image: { in: 'appended' } }],
  } as const;
  const layout = layoutIso9660(tree, {
    ...OPTIONS,
    boot,
    partitionView: true,
    appended: { bytes: ofText('esp'), alignment: 2048 },
  });
  const whole = await read(layout.bytes);
  // Everything but file contents: the interesting bytes are few, so most changes hit one.
  const used = [...whole.keys()].filter((at) => whole[at] !== 0 && whole[at] !== 0x20);
  const change = fc.record({
    index: fc.nat(used.length - 1),
    near: fc.integer({ min: -2, max: 2 }),
    value: fc.nat(255),
  });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(whole.length)),
      async (changes, cut) => {
        const data = whole.slice(0, cut ?? whole.length);
        for (const { index, near, value } of changes) data[used[index]! + near] = value;
        try {
          await decodeIso9660(ofMemory(data));
        } catch (error) {
          if (!(error instanceof ImagerError) || error.code !== 'invalid-input') throw error;
          refused++;
        }
      },
    ),
    { seed: 9660, numRuns: FUZZ_RUNS },
  );
  assert.ok(refused > FUZZ_RUNS / 4);
});

test('loops and things that are no ISO are refused', async () => {
  const refuses = (bytes: Bytes, reason: RegExp): Promise<void> => assert.rejects(decodeIso9660(bytes), reason);
  await refuses(zeros(100), /lies outside the image/);
  await refuses(zeros(2048 * 20), /no volume descriptor in block 16/);
  const { bytes } = layoutIso9660(treeOfLiterals({ 'a/b/c': 'x' }, { mtime: TIME }), OPTIONS);
  // Directories follow each other: root 18 and its continuation 19, a 20, b 21. Let b lead to a.
  const data = await read(bytes, 20 * 2048, 2048);
  const at = Buffer.from(data).indexOf('B', 1) - 33;
  const block = Uint8Array.of(20, 0, 0, 0, 0, 0, 0, 20);
  await refuses(patch(bytes, [{ at: 20 * 2048 + at + 2, bytes: ofMemory(block) }]), /two parents/);
});

test('decoding reads directories only', async () => {
  const source = memorySource(stream('big', 1 << 20));
  const layout = layoutIso9660(treeOfLiterals({ big: ofSource(source) }), OPTIONS);
  await decodeIso9660(layout.bytes);
  // Where the descriptor of a partition view could be there is content here.
  assert.ok(source.reads.length <= 1 && source.reads.every(({ length }) => length === 2048));
  await digest(layout.bytes, { update: () => undefined, digest: () => new Uint8Array() });
  assert.ok(source.reads.length > 1);
});
