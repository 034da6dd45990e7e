import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofText, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeCpio } from '../../../src/formats/cpio/decode-cpio.ts';
import { layoutCpio } from '../../../src/formats/cpio/layout-cpio.ts';
import { EMPTY_TREE, type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { assertSameTree } from '../../support/tree.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const ATTRIBUTES = { mode: 0o644, uid: 7, gid: 8, mtime: 0x12345678 };

/** One of everything, and a file with three names in two directories. */
function everything(): Tree {
  const inode = Symbol('linked');
  const linked = { kind: 'file', content: ofText('three names\n'), inode, ...ATTRIBUTES } as const;
  return treeOf([
    { kind: 'directory', path: 'd', ...ATTRIBUTES, mode: 0o1777 },
    { ...linked, path: 'd/b' },
    { ...linked, path: 'd/a' },
    { ...linked, path: 'z' },
    { kind: 'file', path: 'empty', content: ofText(''), ...ATTRIBUTES, mode: 0o4755 },
    { kind: 'file', path: 'größe', content: ofText('12345'), ...ATTRIBUTES },
    { kind: 'symlink', path: 'link', target: '../d/a', ...ATTRIBUTES, mode: 0o777 },
    { kind: 'character', path: 'dev/console', major: 5, minor: 1, ...ATTRIBUTES },
    { kind: 'block', path: 'dev/big', major: 259, minor: 1048575, ...ATTRIBUTES },
    { kind: 'fifo', path: 'pipe', ...ATTRIBUTES },
  ]);
}

async function text(bytes: Bytes): Promise<string> {
  return Buffer.from(await read(bytes)).toString('latin1');
}

/** Names in the order of the archive, with inode and size. */
async function members(bytes: Bytes): Promise<string[]> {
  const archive = Buffer.from(await read(bytes));
  const found: string[] = [];
  for (let at = 0; at < archive.length && !found.at(-1)?.startsWith('TRAILER'); ) {
    const field = (index: number): number =>
      Number(`0x${archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8)}`);
    found.push(`${archive.toString('utf8', at + 110, at + 109 + field(11))} ${field(0)} ${field(6)}`);
    at = Math.ceil((Math.ceil((at + 110 + field(11)) / 4) * 4 + field(6)) / 4) * 4;
  }
  return found;
}

test('a header has the fields of the format in upper-case digits', async () => {
  const tree = treeOf([{ kind: 'file', path: 'abc', content: ofText('data!'), ...ATTRIBUTES, mode: 0o755 }]);
  const archive = await text(layoutCpio(tree));
  const fields = ['00000000', '000081ED', '00000007', '00000008', '00000001', '12345678', '00000005'];
  const device = '00000000'.repeat(4);
  assert.equal(
    archive.slice(0, 124),
    `070701${fields.join('')}${device}0000000400000000abc\0\0\0data!\0\0\0`.slice(0, 124),
  );
  assert.equal(archive.length, 512);
  const trailer = `07070100000000000000000000000000000000000000010000000000000000${device}0000000B00000000TRAILER!!!\0`;
  assert.equal(archive.slice(124, 124 + trailer.length), trailer);
});

test('the names of a file stand together where the last is due, which has the data', async () => {
  const first = [
    'd 0 0',
    'dev 2 0',
    'dev/big 3 0',
    'dev/console 4 0',
    'empty 5 0',
    'größe 6 5',
    'link 7 6',
    'pipe 8 0',
  ];
  const last = ['d/b 1 0', 'd/a 1 0', 'z 1 12', 'TRAILER!!! 0 0'];
  assert.deepEqual(await members(layoutCpio(everything())), [...first, ...last]);
});

test('a tree comes back as it was', async () => {
  const tree = everything();
  const archive = layoutCpio(tree);
  assert.equal(archive.size % 512, 0);
  const { tree: found, end } = await decodeCpio(archive);
  assert.equal(end, archive.size);
  await assertSameTree(found, tree);
  await assertSameTree((await decodeCpio(layoutCpio(EMPTY_TREE))).tree, EMPTY_TREE);
});

test('contents are referred to, not copied', () => {
  const archive = layoutCpio(treeOf([{ kind: 'file', path: 'zeros', content: zeros(2 ** 32 - 1), ...ATTRIBUTES }]));
  assert.ok(archive.extents.some(({ kind, length }) => kind === 'zeros' && length >= 2 ** 32 - 1));
});

test('archives are read one after the other up to what is none', async () => {
  const first = layoutCpio(treeOfLiterals({ a: 'first', same: 'old' }), { blockSize: 4 });
  const second = layoutCpio(treeOfLiterals({ b: 'second', same: 'new' }));
  const rest = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3);
  const { tree, end } = await decodeCpio(concat([first, zeros(8), second, zeros(100), ofMemory(rest)]));
  assert.equal(end, first.size + 8 + second.size + 100);
  await assertSameTree(tree, treeOfLiterals({ a: 'first', b: 'second', same: 'new' }));
  assert.equal((await decodeCpio(ofMemory(rest))).end, 0);
});

test('numbers of inodes hold for one archive', async () => {
  const inode = Symbol('linked');
  const pair = (a: string, b: string, data: string): Tree =>
    treeOf([a, b].map((path): Entry => ({ kind: 'file', path, content: ofText(data), inode, ...ATTRIBUTES })));
  const { tree } = await decodeCpio(concat([layoutCpio(pair('a', 'b', '1')), layoutCpio(pair('c', 'd', '22'))]));
  const sizes = tree.entries.map((entry) => (entry.kind === 'file' ? `${entry.path} ${entry.content.size}` : ''));
  assert.deepEqual(sizes.slice(1), ['a 1', 'b 1', 'c 2', 'd 2']);
  const [a, c] = [tree.byPath.get('a'), tree.byPath.get('c')];
  assert.ok(a?.kind === 'file' && c?.kind === 'file' && a.inode !== c.inode);
});

test('what the format cannot hold is refused', () => {
  const file = { kind: 'file', path: 'f', content: ofText(''), ...ATTRIBUTES } as const;
  const cases: readonly (readonly [Entry, RegExp])[] = [
    [{ ...file, content: zeros(2 ** 32) }, /"f": size 4294967296/],
    [{ ...file, mtime: -1 }, /mtime -1/],
    [{ ...file, uid: 2 ** 32 }, /uid 4294967296/],
    [{ ...file, path: 'TRAILER!!!' }, /end the cpio archive/],
    [{ ...file, path: 'x'.repeat(4096) }, /4096 bytes/],
    [{ kind: 'symlink', path: 'l', target: 'x'.repeat(4096), ...ATTRIBUTES }, /target of 4096 bytes/],
  ];
  for (const [entry, message] of cases) {
    assert.throws(() => layoutCpio(treeOf([entry])), { code: 'invalid-input', message });
  }
});

test('archives that Linux would not unpack are refused', async () => {
  const archive = Buffer.from(await read(layoutCpio(treeOfLiterals({ abc: 'data' }))));
  const changed = (at: number, value: string): Buffer => {
    const copy = Buffer.from(archive);
    copy.write(value, at, 'latin1');
    return copy;
  };
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [archive.subarray(0, 120), /ends at 120 without a TRAILER/],
    [archive.subarray(0, 112), /in the middle/],
    [changed(54, 'FFFFFFFF'), /"abc": its 4294967295 bytes/],
    [changed(94, '00000000'), /a name of 0 bytes/],
    [changed(94, '00001001'), /a name of 4097 bytes/],
    [changed(14, '0000C1ED'), /mode 0140755/],
    [changed(14, '00008xED'), /mode "00008xED"/],
    [changed(110, '../'), /without "\.\."/],
    [changed(110, 'a\0c'), /only NUL/],
    [changed(110, '\xff'), /UTF-8/],
    [changed(14, '0000A1FF').fill(0, 114, 118), /contains NUL/],
    [changed(120, 'x'), /no member at 120/],
  ];
  for (const [data, message] of cases) {
    await assert.rejects(decodeCpio(ofMemory(data)), { code: 'invalid-input', message });
  }
  const many = layoutCpio(treeOfLiterals({ a: '', b: '', c: '' }));
  await assert.rejects(decodeCpio(many, { maxMembers: 2 }), { message: /more than 2 members/ });
});

test('damaged archives give an error or a tree, nothing else', async () => {
  const archive = await read(layoutCpio(everything(), { blockSize: 4 }));
  const change = fc.record({
    at: fc.nat(archive.length - 1),
    value: fc.oneof(fc.constantFrom(0x30, 0x46, 0, 0x2f, 0x2e), fc.nat(255)),
  });
  const damage = fc.record({ changes: fc.array(change, { maxLength: 4 }), length: fc.nat(archive.length) });
  await fc.assert(
    fc.asyncProperty(damage, async ({ changes, length }) => {
      const data = archive.slice(0, changes.length === 0 ? length : archive.length);
      for (const { at, value } of changes) data[at] = value;
      try {
        const { end } = await decodeCpio(ofMemory(data));
        assert.ok(end <= data.length);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { seed: 1, numRuns: FUZZ_RUNS },
  );
});
