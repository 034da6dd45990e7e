/** The text of INSTALLER_META_BASE64, both ways, against upstream's own answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { decodeBase64, encodeBase64 } from '../../src/meta/base64.ts';
import { decodeMetaEnvironment, encodeMetaEnvironment } from '../../src/meta/environment.ts';
import { decodeGzip, encodeGzip } from '../../src/meta/gzip.ts';
import type { MetaValue } from '../../src/meta/value.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface EncodeCase {
  readonly id: string;
  readonly values: readonly MetaValue[];
  readonly gzipAllowed: boolean;
  readonly expect: {
    readonly gzip: boolean;
    readonly encoded?: string;
    readonly text: string;
    readonly decodeError?: string;
    readonly decodesTo?: readonly MetaValue[];
  };
}

interface DecodeCase {
  readonly id: string;
  readonly encoded: string;
  readonly expect: { readonly values?: readonly MetaValue[]; readonly error?: string };
}

/** Ours: what upstream's own reader would not give back is refused. */
function cannotReturn(one: EncodeCase): boolean {
  return (
    one.expect.decodeError !== undefined ||
    one.expect.decodesTo !== undefined ||
    one.values.some(({ key, value }) => key === 0 || value.includes(';'))
  );
}

test('encoded values are upstream’s text, and come back', () => {
  const cases = vectorLines<EncodeCase>('meta/encode.jsonl.gz');
  assert.equal(cases.length, 100);
  for (const one of cases) {
    if (cannotReturn(one)) {
      assert.throws(
        () => encodeMetaEnvironment(one.values, { gzip: one.gzipAllowed }),
        { code: 'invalid-input' },
        one.id,
      );
      continue;
    }
    const encoded = encodeMetaEnvironment(one.values, { gzip: one.gzipAllowed });
    assert.deepEqual(decodeMetaEnvironment(encoded), one.values, one.id);
    const data = Buffer.from(encoded, 'base64');
    assert.equal(data.toString('base64'), encoded, one.id);
    if (one.expect.gzip) {
      assert.equal(data.subarray(0, 10).toString('hex'), '1f8b08000000000002ff', one.id);
      assert.equal(gunzipSync(data).toString('utf8'), one.expect.text, one.id);
      if (one.expect.encoded !== undefined) {
        assert.deepEqual(decodeMetaEnvironment(one.expect.encoded), one.values, `${one.id}: upstream's own bytes`);
      }
    } else {
      assert.equal(data.toString('utf8'), one.expect.text, one.id);
      if (one.expect.encoded !== undefined) assert.equal(encoded, one.expect.encoded, one.id);
    }
  }
});

test('damaged and odd text is read or refused as upstream does, key 0 apart', () => {
  for (const one of vectorLines<DecodeCase>('meta/decode.jsonl')) {
    if (one.expect.error !== undefined || one.expect.values!.some(({ key }) => key === 0)) {
      assert.throws(() => decodeMetaEnvironment(one.encoded), { code: 'invalid-input' }, one.id);
    } else {
      assert.deepEqual(decodeMetaEnvironment(one.encoded), one.expect.values, one.id);
    }
  }
});

test('a semicolon is refused with the key and its place', () => {
  assert.throws(() => encodeMetaEnvironment([{ key: 10, value: 'a;b' }], { gzip: true }), {
    code: 'invalid-input',
    message: 'meta value 0xa: ";" at character 2, want none in a value that travels on the kernel command line',
  });
});

test('half a surrogate pair is refused, because UTF-8 would replace it', () => {
  assert.throws(() => encodeMetaEnvironment([{ key: 10, value: '\ud800' }], { gzip: false }), {
    code: 'invalid-input',
  });
});

test('compressed bytes are pinned: they may not change with the Node release', () => {
  const value = Array.from(
    { length: 40 },
    (_, index) => `- address: 10.0.${index}.5/24\n  linkName: eth${index}\n`,
  ).join('');
  assert.equal(
    encodeMetaEnvironment([{ key: 10, value }], { gzip: true }),
    'H4sIAAAAAAAC/3XUPU7DABBE4T6n8AUAz4ydxJG4AnewFEsgfgpCwfFRWuZZ275qP+2Ov+vzw7Ber9/b7XYZND7eZ37ydBiGj7ev95f1c7sM28/rePjfCTtVZ+xcXbBLdRN2U3UzdnN1R+yO1Z2wO1V3xu5c3YLd0ntmEIHIDkmbiFHUKmIWtYsYRi0jplHbiHHUOmIetY8YSC0kJlIbmY3cRmYjw93sHE4bmY3cRmYjt5HZyG1kNnIbmY3cRmYjt5HZyG0UNkobhY3SRmGjwHfbeW9tFDZKG4WN0kZho7RR2ChtFDZKG4WNshz+ABxkulmABgAA',
  );
});

test('gzip: header fields, several members and a limit', () => {
  const text = new TextEncoder().encode('0xa=foo');
  const named = Buffer.from(gzipSync(text));
  named[3] = 0x08 | 0x10 | 0x04;
  const extras = Buffer.concat([
    named.subarray(0, 10),
    Buffer.from([3, 0, 1, 2, 3]),
    Buffer.from('name\0comment\0'),
    named.subarray(10),
  ]);
  assert.deepEqual(decodeGzip(extras, 'x', 100), text);
  const twice = Buffer.concat([gzipSync(text), encodeGzip(text)]);
  assert.equal(Buffer.from(decodeGzip(twice, 'x', 14)).toString(), '0xa=foo0xa=foo');
  assert.throws(() => decodeGzip(twice, 'x', 13), { message: 'x: more than 6 bytes when decompressed' });
  assert.throws(() => decodeGzip(gzipSync(Buffer.alloc(1 << 24)), 'x', 1 << 20), /when decompressed/);
  const endless = Buffer.concat([Buffer.from('1f8b080800000000', 'hex'), Buffer.alloc(2000, 0x61)]);
  assert.throws(() => decodeGzip(endless, 'x', 100), /longer than 512 bytes/);
});

test('gzip: a wrong header checksum is refused, a right one taken', () => {
  const text = new TextEncoder().encode('0xa=foo');
  const plain = Buffer.from(encodeGzip(text));
  plain[3] = 0x02;
  const header = plain.subarray(0, 10);
  const { crc32 } = process.getBuiltinModule('node:zlib');
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc32(header) & 0xffff);
  assert.deepEqual(decodeGzip(Buffer.concat([header, sum, plain.subarray(10)]), 'x', 100), text);
  sum[0]! ^= 1;
  assert.throws(() => decodeGzip(Buffer.concat([header, sum, plain.subarray(10)]), 'x', 100), /header checksum/);
});

test('base64 agrees with Buffer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
      const text = encodeBase64(data);
      assert.equal(text, Buffer.from(data).toString('base64'));
      assert.deepEqual(decodeBase64(text, 'x'), data);
    }),
  );
});

test('values of any text come back', () => {
  const value = fc.string({ unit: 'binary', maxLength: 400 }).map((text) => text.replaceAll(';', ','));
  const meta = fc.record({ key: fc.integer({ min: 1, max: 255 }), value }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(meta, { minLength: 1, maxLength: 5 }), fc.boolean(), (values, gzip) => {
      assert.deepEqual(decodeMetaEnvironment(encodeMetaEnvironment(values, { gzip })), values);
    }),
  );
});

test('fuzz: the reader answers or refuses, nothing else', () => {
  const seeds = vectorLines<DecodeCase>('meta/decode.jsonl').map(({ encoded }) => Buffer.from(encoded, 'base64'));
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    .map(([seed, changes]) => {
      const data = Buffer.from(seed);
      for (const [at, byte] of changes) if (data.length > 0) data[at % data.length] = byte;
      return data.toString('base64');
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string({ maxLength: 40 })), (encoded) => {
      try {
        decodeMetaEnvironment(encoded);
      } catch (error) {
        assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
      }
    }),
    { numRuns: FUZZ_RUNS },
  );
});
