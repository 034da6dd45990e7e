import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDiskFormatOptions, parseOptionSize } from '../../src/formats/disk-format-options.ts';
import { parseQcow2Options } from '../../src/formats/qcow2/options.ts';
import { checkVhdOptions } from '../../src/formats/vhd/options.ts';

test('the text of options', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['', {}],
    ['cluster_size=8k', { cluster_size: '8k' }],
    ['subformat=fixed,force_size', { subformat: 'fixed', force_size: 'on' }],
    ['a=1,a=2', { a: '2' }],
    ['a=x,,y,b=', { a: 'x,y', b: '' }],
    ['a=b=c', { a: 'b=c' }],
  ];
  for (const [text, want] of cases) assert.deepEqual(Object.fromEntries(parseDiskFormatOptions(text)), want, text);
  for (const text of ['=1', 'a,', ',a', ' a=1', 'A B=1', 'a\0=1']) {
    assert.throws(() => parseDiskFormatOptions(text), { code: 'invalid-input' }, text);
  }
});

test('sizes', () => {
  const cases = { 65536: 65536, '8k': 8192, '64K': 65536, '2M': 2097152, '512b': 512, '0x2000': 8192, '1G': 2 ** 30 };
  for (const [text, want] of Object.entries(cases)) assert.equal(parseOptionSize('cluster_size', text), want, text);
  for (const text of ['', 'k', '8kk', '8 k', '-8k', '8.5k', '8e3', '99999999999999999999', '8ki']) {
    assert.throws(() => parseOptionSize('cluster_size', text), { code: 'invalid-input' }, text);
  }
});

test('qcow2 options', () => {
  assert.deepEqual(parseQcow2Options(''), {});
  assert.deepEqual(parseQcow2Options('cluster_size=8k'), { clusterSize: 8192 });
  assert.deepEqual(parseQcow2Options('cluster_size=8k,compat=1.1,lazy_refcounts=off,cluster_size=2M'), {
    clusterSize: 2 << 20,
  });
  for (const text of [
    'cluster_size=256',
    'cluster_size=4M',
    'cluster_size=3k',
    'cluster_size',
    'clustersize=8k',
    'compat=',
  ]) {
    assert.throws(() => parseQcow2Options(text), { code: 'invalid-input' }, text);
  }
  for (const text of ['compat=0.10', 'preallocation=full', 'extended_l2', 'compression_type=zstd', 'refcount_bits=1']) {
    assert.throws(() => parseQcow2Options(text), { code: 'unsupported' }, text);
  }
  assert.throws(() => parseQcow2Options('subformat=fixed'), {
    message: /^qcow2 option "subformat": want one of cluster_size, compat, /,
  });
});

test('VHD options', () => {
  for (const text of ['', 'subformat=fixed,force_size', 'force_size=on', 'subformat=fixed']) checkVhdOptions(text);
  for (const text of ['subformat=dynamic', 'force_size=off', 'subformat']) {
    assert.throws(() => checkVhdOptions(text), { code: 'unsupported' }, text);
  }
  assert.throws(() => checkVhdOptions('cluster_size=8k'), { code: 'invalid-input' });
});
