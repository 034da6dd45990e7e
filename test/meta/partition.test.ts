/** The META partition, written and read, against upstream's own bytes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { slice } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { ADV_BLOCK_SIZE, decodeAdvBlock, decodeAdvRecords, layoutAdvBlock } from '../../src/meta/adv.ts';
import { decodeMetaPartition, layoutMetaPartition, META_PARTITION_SIZE } from '../../src/meta/partition.ts';
import { decodeSyslinuxAdv } from '../../src/meta/syslinux-adv.ts';
import type { MetaValue } from '../../src/meta/value.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface WriteCase {
  readonly id: string;
  readonly values: readonly MetaValue[];
  readonly expect: { readonly sha256: string; readonly sha256OfFirst512KiB: string; readonly checksum: string };
}

interface LimitCase {
  readonly id: string;
  readonly values: readonly { readonly key: number; readonly length: number }[];
  readonly expect: { readonly accepted: boolean; readonly sha256OfFirst512KiB?: string };
  readonly exactFit: boolean;
}

interface ReadCase {
  readonly id: string;
  readonly size: number;
  readonly image: string;
  readonly expect: {
    readonly error?: string;
    readonly values?: readonly {
      readonly key: number;
      readonly base64?: string;
      readonly length?: number;
      readonly sha256?: string;
    }[];
  };
}

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

test('the partition is upstream’s, byte for byte, key 0 apart', async () => {
  for (const one of vectorLines<WriteCase>('meta/adv-write.jsonl.gz')) {
    if (one.values.some(({ key }) => key === 0)) {
      assert.throws(() => layoutMetaPartition(one.values), { code: 'invalid-input' }, one.id);
      continue;
    }
    const partition = layoutMetaPartition(one.values);
    assert.equal(partition.size, META_PARTITION_SIZE);
    const data = await read(partition);
    assert.equal(sha256(data), one.expect.sha256, one.id);
    assert.equal(sha256(data.subarray(0, 2 * ADV_BLOCK_SIZE)), one.expect.sha256OfFirst512KiB, one.id);
    assert.equal(Buffer.from(data.subarray(0x3ffdc, 0x3fffc)).toString('hex'), one.expect.checksum, one.id);
    const last = new Map(one.values.map(({ key, value }) => [key, value]));
    const back = decodeMetaPartition(data);
    assert.equal(back.copy, 'first');
    assert.deepEqual(new Map(back.values.map(({ key, value }) => [key, Buffer.from(value).toString()])), last, one.id);
  }
});

test('no values at all leave the partition zero', () => {
  const partition = layoutMetaPartition(undefined);
  assert.equal(partition.size, META_PARTITION_SIZE);
  assert.deepEqual(
    partition.extents.map(({ kind }) => kind),
    ['zeros'],
  );
});

test('exactly what fits is accepted', async () => {
  for (const one of vectorLines<LimitCase>('meta/adv-limits.jsonl.gz')) {
    const values = one.values.map(({ key, length }) => ({ key, value: 'x'.repeat(length) }));
    if (!one.exactFit) {
      assert.throws(
        () => layoutMetaPartition(values),
        { code: 'invalid-input', message: /want at most 262104/ },
        one.id,
      );
      continue;
    }
    const partition = layoutMetaPartition(values);
    if (one.expect.sha256OfFirst512KiB !== undefined) {
      const data = await read(slice(partition, 0, 2 * ADV_BLOCK_SIZE));
      assert.equal(sha256(data), one.expect.sha256OfFirst512KiB, one.id);
    }
  }
});

test('damaged, odd and legacy partitions read as Talos reads them', () => {
  for (const one of vectorLines<ReadCase>('meta/adv-read.jsonl.gz')) {
    const partition = gunzipSync(Buffer.from(one.image, 'base64'));
    assert.equal(partition.length, one.size, one.id);
    if (one.id === 'read/records-len-huge') {
      // Upstream's reader crashes on a length that overflows 32 bits; ours ends the list there.
      assert.deepEqual(decodeMetaPartition(partition), { copy: 'none', values: [] }, one.id);
      continue;
    }
    if (one.expect.error !== undefined) {
      assert.throws(() => decodeMetaPartition(partition), { code: 'invalid-input' }, one.id);
      continue;
    }
    const got = decodeMetaPartition(partition).values;
    const want = one.expect.values!;
    assert.deepEqual(
      got.map(({ key }) => key),
      want.map(({ key }) => key),
      one.id,
    );
    for (const [index, { base64, length, sha256: digest }] of want.entries()) {
      const value = got[index]!.value;
      if (base64 !== undefined) assert.equal(Buffer.from(value).toString('base64'), base64, one.id);
      if (length !== undefined) assert.equal(value.length, length, one.id);
      if (digest !== undefined) assert.equal(sha256(value), digest, one.id);
    }
  }
});

test('a block is only as many extents as it has content', () => {
  const kinds = layoutAdvBlock([{ tag: 10, value: Buffer.from('foo') }]).extents.map(({ kind }) => kind);
  assert.deepEqual(kinds, ['memory', 'zeros', 'memory']);
});

test('the syslinux example of the specification', () => {
  const area = Buffer.alloc(1024);
  Buffer.from('a52f2d5a6116c3a20601410000000000', 'hex').copy(area);
  assert.deepEqual(
    decodeSyslinuxAdv(area).map(({ tag, value }) => [tag, Buffer.from(value).toString()]),
    [[6, 'A']],
  );
});

test('fuzz: a changed block is never taken for an intact one', async () => {
  const plain = await read(layoutAdvBlock([{ tag: 10, value: Buffer.from('foo') }]));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(ADV_BLOCK_SIZE - 65), (noise, at) => {
      const block = plain.slice();
      block.set(noise, at);
      const changed = !Buffer.from(block).equals(plain);
      assert.equal(decodeAdvBlock(block) === undefined, changed);
    }),
    { numRuns: 50 },
  );
});

test('fuzz: record lists of any content are walked within their area', () => {
  // Small numbers, so that lengths often fit and the walk goes on.
  const word = fc.oneof(fc.nat(12), fc.nat(300), fc.nat(0xffffffff)).map((value) => {
    const data = Buffer.alloc(4);
    data.writeUInt32BE(value);
    return data;
  });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 24 }), fc.nat(3), (words, odd) => {
      const area = Buffer.concat([...words, Buffer.alloc(odd, 0x41)]);
      const total = decodeAdvRecords(area).records.reduce((sum, { value }) => sum + 8 + value.length, 0);
      assert.ok(total <= area.length);
    }),
    { numRuns: FUZZ_RUNS },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1024, maxLength: 1024 }), (area) => {
      const total = decodeSyslinuxAdv(area).reduce((sum, { value }) => sum + 2 + value.length, 0);
      assert.ok(total <= 500);
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 10) },
  );
});
