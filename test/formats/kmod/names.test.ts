import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBuiltin, parseBuiltinAliases } from '../../../src/formats/kmod/builtin.ts';
import { bytesOf, byteTextOf, byteTextOfPath } from '../../../src/formats/kmod/byte-text.ts';
import { deviceLine } from '../../../src/formats/kmod/device-name.ts';
import { hashOf, inHashOrder } from '../../../src/formats/kmod/hash-order.ts';
import { parseModuleInfo } from '../../../src/formats/kmod/modinfo.ts';
import { isModuleFile, moduleNameOf, normalizeAlias } from '../../../src/formats/kmod/module-name.ts';
import { NamePool } from '../../../src/formats/kmod/name-pool.ts';

test('a module is named by its file, up to the first dot', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['kernel/net/nf-conntrack.ko.xz', 'nf_conntrack'],
    ['a.b.ko', 'a'],
    ['x/plain', 'plain'],
    ['.ko', ''],
  ];
  for (const [path, name] of cases) assert.equal(moduleNameOf(path), name);
});

test('modules have one of four extensions, and a name before it', () => {
  const names = ['a.ko', 'a.ko.gz', 'a.ko.xz', 'a.ko.zst', '.ko', '.ko.xz', 'a.ko.bz2', 'ko', 'a.KO', 'a.ko~'];
  assert.deepEqual(names.filter(isModuleFile), ['a.ko', 'a.ko.gz', 'a.ko.xz', 'a.ko.zst']);
});

test('dashes of aliases become underscores but in brackets, which come in pairs', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['net-pf-10', 'net_pf_10'],
    ['pci:v[0-9A-F]d-', 'pci:v[0-9A-F]d_'],
    ['a[-]b-[x-y]', 'a[-]b_[x-y]'],
    ['', ''],
    ['[[]', '[[]'],
    ['a]', undefined],
    ['a[b', undefined],
    ['[a]]', undefined],
    ['-'.repeat(5000), '_'.repeat(4095)],
  ];
  for (const [alias, normal] of cases) assert.equal(normalizeAlias(alias), normal, alias.slice(0, 20));
});

test('hashes are those of kmod', () => {
  // Of shared/hash.c, computed by its code: each length modulo 4, and characters above ASCII.
  const known: readonly (readonly [string, number])[] = [
    ['', 0],
    ['a', 291415938],
    ['ab', 1366002500],
    ['abc', 3535673738],
    ['ext4', 3866733334],
    ['symbol', 321222505],
    ['__x86_return_thunk', 1977663118],
    ['nf_conntrack_find_get', 769043973],
    ['\xff', 0],
    ['ab\xc3', 3497678479],
    ['\xe4\xb8\xad\xe6\x96\x87', 4232330521],
  ];
  for (const [name, hash] of known) assert.equal(hashOf(name), hash, JSON.stringify(name));
});

test('the order is by bucket, then by bytes', () => {
  const names = ['ext4', 'jbd2', 'mbcache', 'xfs', 'btrfs', 'zlib'];
  for (const buckets of [1, 512]) {
    const ordered = inHashOrder(names, buckets);
    const expected = [...names].sort((a, b) => (hashOf(a) % buckets) - (hashOf(b) % buckets) || (a < b ? -1 : 1));
    assert.deepEqual(ordered, expected);
  }
});

test('names in a pool have one number each, whatever they are in', () => {
  const pool = new NamePool();
  const data = bytesOf('one\0two\0one\0\0three');
  assert.deepEqual(
    [0, 4, 8, 12, 13, 4].map((start) => pool.add(data, start)),
    [0, 1, 0, 2, 3, 1],
  );
  const many = Array.from({ length: 20_000 }, (_, index) => `symbol_${index}`);
  const numbers = many.map((name) => pool.add(bytesOf(name), 0));
  assert.deepEqual(numbers.slice(0, 2), [4, 5]);
  assert.deepEqual(
    many.map((name) => pool.add(bytesOf(name), 0)),
    numbers,
  );
  assert.equal(pool.nameOf(numbers[12_345]!), 'symbol_12345');
  assert.equal(pool.nameOf(3), 'three');
  assert.throws(() => pool.add(new Uint8Array(2000).fill(97), 0), { code: 'invalid-input', message: /at most 1024/ });
});

test('bytes come back from byte text', () => {
  const data = Uint8Array.from({ length: 70_000 }, (_, index) => index & 0xff);
  assert.deepEqual(bytesOf(byteTextOf(data)), data);
  assert.equal(byteTextOf(Uint8Array.of(0x80, 0x9f, 0xff)), '\x80\x9f\xff');
  assert.equal(byteTextOfPath('a/ü'), 'a/\xc3\xbc');
});

test('module information is split at NULs and at the first equals sign', () => {
  const section = bytesOf('\0\0license=GPL\0alias=a=b\0\0\0softdep=pre: x\0alias\0weakdep=w\0parm=alias=no\0alias=end');
  assert.deepEqual(parseModuleInfo(section), { aliases: ['a=b', '', 'end'], softdeps: ['pre: x'], weakdeps: ['w'] });
  assert.deepEqual(parseModuleInfo(undefined).aliases, []);
});

test('modules built in are named by lines that begin with a letter', () => {
  assert.deepEqual(parseBuiltin('kernel/fs/ext-4.ko\n\n# no\n1/x.ko\nkernel/odd\nlast.ko'), ['ext_4', 'odd\n', 'last']);
  assert.deepEqual(parseBuiltin(''), []);
});

test('aliases of modules built in', () => {
  const text = 'a.alias=x-y\0a.license=GPL\0b.alias=\0nothing\0.alias=z\0c.alias=[\0d.file=k/d.alias=no\0e.alias=cut';
  assert.deepEqual(parseBuiltinAliases(text), [
    { module: 'a', alias: 'x-y', normal: 'x_y' },
    { module: 'c', alias: '[', normal: undefined },
  ]);
});

test('a device line needs a name and numbers', () => {
  const cases: readonly (readonly [readonly string[], object])[] = [
    [['devname:net/tun', 'char-major-10-200'], { line: 'tun net/tun c10:200\n' }],
    [['char-major-1-1', 'block-major-7-2x', 'devname:loop'], { line: 'tun loop b7:2\n' }],
    [['devname:a', 'devname:b', 'char-major-10-1', 'char-major-11-1'], { line: 'tun b c10:1\n' }],
    [['char-major-10-*', 'x'], {}],
    [['devname:a', 'char-major-10-*'], { lack: 'module tun: device name a without major and minor number' }],
  ];
  for (const [aliases, expected] of cases) assert.deepEqual(deviceLine('tun', aliases), expected);
});
