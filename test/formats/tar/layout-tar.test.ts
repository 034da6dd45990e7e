import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofMemory, ofSource } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { layoutTar } from '../../../src/formats/tar/layout-tar.ts';
import { tarIndexer } from '../../../src/formats/tar/tar-index.ts';
import { flatten } from '../../../src/oci/layer/flatten.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { memorySource } from '../../support/bytes.ts';

const COMMON = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };

/** Through the archive and back. */
async function roundTrip(tree: Tree): Promise<Tree> {
  const archive = await read(layoutTar(tree));
  const indexer = tarIndexer();
  indexer.push(archive);
  return flatten([{ label: 'layer', entries: indexer.finish(), source: memorySource(archive) }]);
}

async function assertSame(found: Tree, want: Tree): Promise<void> {
  const plain = async (tree: Tree): Promise<unknown[]> => {
    const inodes = new Map<symbol, string>();
    return Promise.all(
      tree.entries.map(async (entry) => {
        if (entry.path === '') return entry.path;
        if (entry.kind !== 'file') return { ...entry };
        const { content, inode, ...rest } = entry;
        if (inode !== undefined && !inodes.has(inode)) inodes.set(inode, entry.path);
        return {
          ...rest,
          first: inode && inodes.get(inode),
          text: Buffer.from(await read(content)).toString('latin1'),
        };
      }),
    );
  };
  assert.deepEqual(await plain(found), await plain(want));
}

/**
 * The embedded machine configuration of spec profiles-and-inputs 7.8, fields as listed there: written out by hand, not by us.
 */
test('headers are those of Go, byte for byte', async () => {
  const selinux = new TextEncoder().encode('system_u:object_r:system_state_t:s0');
  const tree = treeOf([
    { kind: 'directory', path: 'rootfs', ...COMMON, mode: 0o755 },
    {
      kind: 'file',
      path: 'rootfs/config.yaml',
      ...COMMON,
      mode: 0o400,
      content: ofMemory(Buffer.from('hello')),
      xattrs: new Map([['security.selinux', selinux]]),
    },
  ]);
  const header = (name: string, mode: string, size: string, type: string): Buffer => {
    const block = Buffer.alloc(512);
    block.write(`${name}`, 0, 'latin1');
    block.write(`${mode}\x000000000\x000000000\x00${size}\x0000000000000\0`, 100, 'latin1');
    block.write(`        ${type}`, 148, 'latin1');
    block.write('ustar\x0000', 257, 'latin1');
    // The embedded configurations of test/vectors/extensions show that headers of records have none.
    if (type !== 'x') block.write('0000000\x000000000\0', 329, 'latin1');
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return block;
  };
  const padded = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.alloc(-text.length & 511)]);
  const record = '69 SCHILY.xattr.security.selinux=system_u:object_r:system_state_t:s0\n';
  const want = (directory: string): Buffer =>
    Buffer.concat([
      header(directory, '0000755', '00000000000', '5'),
      header('rootfs/PaxHeaders.0/config.yaml', '0000000', '00000000105', 'x'),
      padded(record),
      header('rootfs/config.yaml', '0000400', '00000000005', '0'),
      padded('hello'),
      Buffer.alloc(1024),
    ]);
  assert.equal(record.length, 69);
  assert.deepEqual(Buffer.from(await read(layoutTar(tree, { directories: 'plain' }))), want('rootfs'));
  assert.deepEqual(Buffer.from(await read(layoutTar(tree, { directories: 'slash' }))), want('rootfs/'));
  assert.deepEqual(Buffer.from(await read(layoutTar(tree))), want('rootfs/'));
  assert.deepEqual(Buffer.from(await read(layoutTar(tree, { directories: 'omit' }))), want('rootfs/').subarray(512));
});

test('contents are referred to', () => {
  const source = memorySource(new Uint8Array(100_000));
  const bytes = layoutTar(treeOfLiterals({ a: ofSource(source) }));
  assert.equal(source.reads.length, 0);
  assert.equal(bytes.size, 512 + 100_352 + 1024);
  assert.ok(bytes.extents.some(({ kind }) => kind === 'range'));
});

test('every kind of entry and value comes back', async () => {
  const inode = Symbol('two names');
  const content = ofMemory(Buffer.from('linked'));
  const long = `${'a'.repeat(90)}/${'b'.repeat(90)}/${'c'.repeat(90)}`;
  const entries: Entry[] = [
    { kind: 'file', path: 'one', ...COMMON, content, inode },
    { kind: 'file', path: 'two', ...COMMON, content, inode },
    { kind: 'file', path: long, ...COMMON, content: ofMemory(Buffer.from('long')) },
    { kind: 'file', path: `${'p'.repeat(100)}/${'n'.repeat(60)}`, ...COMMON, content: ofMemory(Buffer.from('split')) },
    { kind: 'file', path: 'n'.repeat(101), ...COMMON, content: ofMemory(Buffer.from('no place to split')) },
    { kind: 'file', path: 'bücher/日本語', ...COMMON, content: ofMemory(Buffer.from('utf8')) },
    { kind: 'symlink', path: 'link', ...COMMON, mode: 0o777, target: 't'.repeat(300) },
    { kind: 'symlink', path: 'ümlaut', ...COMMON, mode: 0o777, target: 'ä/../b' },
    { kind: 'fifo', path: 'fifo', ...COMMON, mode: 0o4711 },
    {
      kind: 'directory',
      path: 'd'.repeat(130),
      ...COMMON,
      mode: 0o1777,
      uid: 2_097_152,
      gid: 4_294_967_295,
      mtime: -5,
    },
    { kind: 'directory', path: 'times', ...COMMON, mtime: 2 ** 33 },
  ];
  const tree = treeOf(entries);
  await assertSame(await roundTrip(tree), tree);
});

test('trees come back from their archives', async () => {
  const name = fc.constantFrom('a', 'b', 'ä', 'x'.repeat(80), '.hidden', 'with space', '\u{1f600}');
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));
  const attributes = fc.record({
    mode: fc.nat(0o7777),
    uid: fc.nat(0xffffffff),
    gid: fc.nat(0xffffffff),
    mtime: fc.integer({ min: -(2 ** 35), max: 2 ** 35 }),
  });
  const xattrs = fc.option(
    fc.uint8Array({ minLength: 1, maxLength: 30 }).map((value) => new Map([['user.x', value]])),
    { nil: undefined },
  );
  const entry = fc.record({ path, attributes, xattrs, data: fc.uint8Array({ maxLength: 700 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 6 }), async (files) => {
      const byPath = new Map(files.map((file) => [file.path, file]));
      const leaves = [...byPath.values()].filter(
        (file) => ![...byPath.keys()].some((other) => other.startsWith(`${file.path}/`)),
      );
      const tree = treeOf(
        leaves.map((file) => ({
          kind: 'file',
          path: file.path,
          ...file.attributes,
          content: ofMemory(file.data),
          ...(file.xattrs === undefined ? {} : { xattrs: file.xattrs }),
        })),
      );
      await assertSame(await roundTrip(tree), tree);
    }),
    { numRuns: 200, seed: 4 },
  );
});

test('the same tree gives the same bytes, and a device number that does not fit is refused', async () => {
  const tree = treeOfLiterals({ 'b/c': 'x', a: 'y' });
  assert.deepEqual(await read(layoutTar(tree)), await read(layoutTar(treeOfLiterals({ a: 'y', 'b/c': 'x' }))));
  const device: Entry = { kind: 'block', path: 'a', ...COMMON, major: 8, minor: 2 ** 24 };
  assert.throws(() => layoutTar(treeOf([device])), { code: 'invalid-input', message: /device number 16777216/ });
});
