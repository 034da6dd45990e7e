import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseYaml, type ScalarNode } from '../../src/yaml/document.ts';
import { asBoolean, asInteger, asText, isNull, resolveScalar } from '../../src/yaml/scalar.ts';
import { vectorLines } from '../support/vectors.ts';

interface ScalarCase {
  readonly yaml: string;
  readonly bool: boolean | 'ERR' | null;
  readonly i64: string | null;
  readonly u64: string | null;
  readonly u8: string | null;
  readonly str: string | null;
}

function scalar(yaml: string): ScalarNode {
  const [node] = parseYaml(yaml);
  assert.ok(node?.kind === 'scalar');
  return node;
}

function within(value: bigint | undefined, min: bigint, max: bigint): string {
  return value === undefined || value < min || value > max ? 'ERR' : String(value);
}

test('scalars mean for typed fields what Go yaml takes them for', () => {
  for (const one of vectorLines<ScalarCase>('machine-config/scalars.jsonl.gz')) {
    const node = scalar(one.yaml);
    const integer = asInteger(node);
    const read = isNull(node)
      ? { bool: null, i64: null, u64: null, u8: null, str: null }
      : {
          bool: asBoolean(node) ?? 'ERR',
          i64: within(integer, -(2n ** 63n), 2n ** 63n - 1n),
          u64: within(integer, 0n, 2n ** 64n - 1n),
          u8: within(integer, 0n, 255n),
          str: asText(node) ?? 'ERR',
        };
    const { bool, i64, u64, u8, str } = one;
    assert.deepEqual(read, { bool, i64, u64, u8, str }, JSON.stringify(one.yaml));
  }
});

test('numbers have their own types, larger ones become floats', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['0777', 511n],
    ['08', 8],
    ['0o17', 15n],
    ['-0x10', -16n],
    ['1_000', 1000n],
    ['18446744073709551615', 2n ** 64n - 1n],
    ['18446744073709551616', 2 ** 64],
    ['+9223372036854775808', 2 ** 63],
    ['1.5e3', 1500],
  ];
  for (const [text, value] of cases) {
    const resolved = resolveScalar(scalar(text));
    assert.ok('value' in resolved);
    assert.equal(resolved.value, value, text);
  }
});

test('tags decide, and must fit', () => {
  assert.deepEqual(resolveScalar(scalar('!!str 5')), { type: 'string', value: '5' });
  assert.deepEqual(resolveScalar(scalar('!!int "5"')), { type: 'integer', value: 5n });
  assert.deepEqual(resolveScalar(scalar('!!float 5')), { type: 'float', value: 5 });
  assert.deepEqual(resolveScalar(scalar('!!int x')), { type: 'mismatch' });
  assert.deepEqual(resolveScalar(scalar('!local x')), { type: 'tagged', value: 'x' });
  assert.equal(asText(scalar('!!binary aGk=')), 'hi');
  assert.equal(asText(scalar('!!binary aGk')), undefined);
});
