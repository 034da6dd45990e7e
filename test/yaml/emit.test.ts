/** The YAML writer against what the Go libraries wrote, release by release. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseYaml, type YamlNode } from '../../src/yaml/document.ts';
import { emitYaml, type YamlEra } from '../../src/yaml/emit.ts';
import { compareNaturally, inNaturalKeyOrder } from '../../src/yaml/key-order.ts';
import {
  formatFloat,
  formatTimestamp,
  nodeValue,
  TypedScalar,
  type YamlMapping,
  type YamlValue,
} from '../../src/yaml/value.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

const ERAS: readonly YamlEra[] = ['v3', 'v4-rc3', 'v4-rc4', 'v4-rc6', 'v4'];

interface EncoderCase {
  readonly id: string;
  readonly value?: unknown;
  readonly text?: string;
  readonly indent: number;
  readonly marshal?: boolean;
  readonly out: Readonly<Partial<Record<YamlEra, string>>>;
}

function fromJson(value: unknown): YamlValue {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value !== 'object' || value === null) return value as YamlValue;
  const entries = Object.entries(value);
  if ('$f' in value) return new TypedScalar('float', formatFloat(value.$f as number));
  return new Map(entries.map(([key, item]) => [key, fromJson(item)]));
}

function valueOfText(text: string): YamlValue {
  const [document] = parseYaml(text);
  return document === undefined ? null : nodeValue(document, unexpected);
}

function unexpected(_: YamlNode, message: string): void {
  assert.fail(message);
}

test('values as each release of the encoder writes them', () => {
  const cases = vectorLines<EncoderCase>('yaml/encoders.jsonl.gz').filter(({ text }) => text === undefined);
  assert.ok(cases.length > 900);
  for (const { id, value, indent, marshal = false, out } of cases) {
    for (const era of ERAS) {
      const fold = !marshal && (era === 'v4-rc6' || era === 'v4');
      const text = emitYaml(fromJson(value), { indent, fold, era, sortKeys: true });
      assert.equal(text, out[era] ?? out['v4-rc6'], `${id} ${era}`);
    }
  }
});

test('untyped YAML read and written again', () => {
  const cases = vectorLines<EncoderCase>('yaml/encoders.jsonl.gz').filter(({ text }) => text !== undefined);
  assert.ok(cases.length > 100);
  for (const { id, text, indent, out } of cases) {
    if (out['v4-rc6'] === 'ERR') assert.throws(() => valueOfText(text!), id);
    else
      assert.equal(
        emitYaml(valueOfText(text!), { indent, fold: true, sortKeys: true }),
        out['v4-rc6'],
        `${id} ${text}`,
      );
  }
});

test('canonical schematics of every release', () => {
  const cases = vectorLines<{ id: string; era: YamlEra; canonical: string }>('yaml/schematics.jsonl.gz');
  assert.ok(cases.length > 1000);
  for (const { id, era, canonical } of cases) {
    const schematic = valueOfText(canonical) as { readonly [key: string]: YamlValue };
    const overlay = schematic.overlay as { readonly [key: string]: YamlValue } | undefined;
    const options = overlay?.options;
    const sorted = { ...overlay, ...(options === undefined ? {} : { options: inNaturalKeyOrder(options) }) };
    const value = overlay === undefined ? schematic : { ...schematic, overlay: sorted };
    assert.equal(emitYaml(value, { era }), canonical, `${id} ${era}`);
  }
});

test('natural order of keys', () => {
  const ordered = [
    '_x',
    '1',
    '2',
    '10',
    'B',
    'a',
    'a-1',
    'a-b',
    'a1',
    'a1a',
    'a1b',
    'a01',
    'a001',
    'a2',
    'a10',
    'aa',
    'b9',
    'b10',
  ];
  for (let index = 1; index < ordered.length; index++) {
    assert.ok(
      compareNaturally(ordered[index - 1]!, ordered[index]!) < 0,
      `${ordered[index - 1]} before ${ordered[index]}`,
    );
    assert.ok(
      compareNaturally(ordered[index]!, ordered[index - 1]!) > 0,
      `${ordered[index]} after ${ordered[index - 1]}`,
    );
  }
  assert.ok(compareNaturally('7x', '70') < 0);
  assert.ok(compareNaturally('100', '99') > 0);
});

test('keys of several types: booleans and numbers by value, then null, then text', () => {
  const keys = new Map<null | boolean | number | string | TypedScalar, number>([
    ['x', 0],
    [null, 1],
    [2, 2],
    [new TypedScalar('timestamp', '2024-01-02T00:00:00Z'), 3],
    [true, 4],
    [new TypedScalar('float', '1.5'), 5],
    [1, 6],
  ]);
  const text = 'true: 4\n1: 6\n1.5: 5\n2: 2\nnull: 1\nx: 0\n2024-01-02T00:00:00Z: 3\n';
  assert.equal(emitYaml(keys, { sortKeys: true }), text);
});

test('numbers and timestamps as Go prints them', () => {
  const floats = { '1e+06': 1e6, '100000': 1e5, '1.2345675e+06': 1234567.5, '1e-05': 1e-5, '0.0001': 1e-4, '-0': -0 };
  for (const [text, value] of Object.entries(floats)) assert.equal(formatFloat(value), text);
  assert.equal(formatTimestamp('2024-1-2'), '2024-01-02T00:00:00Z');
  assert.equal(formatTimestamp('2024-01-02T03:04:05.120+00:00'), '2024-01-02T03:04:05.12Z');
  assert.equal(formatTimestamp('2024-01-02t3:4:5.123456789123-01:60'), '2024-01-02T03:04:05.123456789-02:00');
  assert.equal(
    emitYaml({ big: 2n ** 64n - 1n, large: 1e21, half: 0.5 }),
    'big: 18446744073709551615\nlarge: 1000000000000000000000\nhalf: 0.5\n',
  );
});

test('unpaired surrogates become replacement characters, names of JavaScript are names like any other', () => {
  assert.equal(emitYaml({ a: 'x\ud800y' }), 'a: x\ufffdy\n');
  const value = valueOfText('{__proto__: 1, constructor: 2}') as YamlMapping;
  assert.equal(emitYaml(value, { sortKeys: true }), '__proto__: 1\nconstructor: 2\n');
});

test('what the last release writes reads back as it was', () => {
  const text = fc.string({
    unit: fc.constantFrom(...'ab01 \t\n\n-?:#"\'\\[]{},&*!|>%@`~=<._+é日😀\0\u0007\ufeff\u00a0'),
    maxLength: 12,
  });
  const scalar = fc.oneof(text, fc.boolean(), fc.constant(null), fc.maxSafeInteger());
  const { tree } = fc.letrec<{ tree: YamlValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      scalar,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(text, tie('tree'), { maxKeys: 3, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.boolean(), fc.integer({ min: 2, max: 9 }), (value, fold, indent) => {
      const written = emitYaml(value, { fold, indent, era: 'v4' });
      assert.deepEqual(valueOfText(written), value, written);
    }),
    { numRuns: Math.min(FUZZ_RUNS, 20_000), seed: 7 },
  );
});
