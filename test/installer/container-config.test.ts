import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { carriedConfig } from '../../src/installer/container-config.ts';
import { encodeGoJson } from '../../src/installer/go-json.ts';
import { encodeImageConfig } from '../../src/installer/image-config.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

const carry = (given: unknown): string => encodeGoJson(carriedConfig(given, 'base'));

describe('what is carried over', () => {
  const cases: readonly (readonly [what: string, given: unknown, expected: string])[] = [
    ['nothing', undefined, '{}'],
    ['null', null, '{}'],
    [
      'members in their own order, unknown ones left out',
      { WorkingDir: '/', Env: ['A=1'], Unknown: 1, Entrypoint: ['/x'] },
      '{"Entrypoint":["/x"],"Env":["A=1"],"WorkingDir":"/"}',
    ],
    [
      'nothing that says nothing',
      { Tty: false, User: '', Cmd: null, Shell: [], Labels: {}, Volumes: {}, OpenStdin: true },
      '{"OpenStdin":true}',
    ],
    [
      'maps in the order of their keys, numbers too',
      { Labels: { b: '2', a: '1', 10: 'x', 9: 'y' }, ExposedPorts: { '9/tcp': {}, '80/tcp': { any: 1 } } },
      '{"Labels":{"10":"x","9":"y","a":"1","b":"2"},"ExposedPorts":{"80/tcp":{},"9/tcp":{}}}',
    ],
    [
      'a health check, even an empty one',
      { Healthcheck: { Test: ['CMD', 'x'], Interval: 30_000_000_000, Retries: 0, StartPeriod: 1 } },
      '{"Healthcheck":{"Test":["CMD","x"],"Interval":30000000000,"StartPeriod":1}}',
    ],
    ['an empty health check', { Healthcheck: {} }, '{"Healthcheck":{}}'],
    ['a label named like a prototype', JSON.parse('{"Labels":{"__proto__":"x"}}'), '{"Labels":{"__proto__":"x"}}'],
  ];
  for (const [what, given, expected] of cases) test(what, () => assert.equal(carry(given), expected));

  const refused: readonly (readonly [given: unknown, message: RegExp])[] = [
    [[], /^base: want an object$/],
    [{ Env: 'A=1' }, /^base: Env: want a list of texts$/],
    [{ Env: [1] }, /^base: Env: want text$/],
    [{ Tty: 'yes' }, /^base: Tty: want true or false$/],
    [{ Labels: { a: 1 } }, /^base: Labels: want text$/],
    [{ Healthcheck: { Retries: 1.5 } }, /^base: Healthcheck: Retries: want a whole number$/],
    [{ Volumes: ['/v'] }, /^base: Volumes: want an object$/],
  ];
  for (const [given, message] of refused) {
    test(`${JSON.stringify(given)} is refused`, () =>
      assert.throws(() => carry(given), { code: 'invalid-input', message }));
  }
});

test('whatever a base says, its configuration is carried over or refused', () => {
  const names = fc.constantFrom('Env', 'Labels', 'Healthcheck', 'Tty', 'Volumes', 'User', '__proto__', 'constructor');
  const value = fc.jsonValue({ maxDepth: 3 });
  fc.assert(
    fc.property(fc.dictionary(names, value), (given) => {
      try {
        const text = carry(given);
        assert.equal(encodeGoJson(carriedConfig(JSON.parse(text), 'base')), text);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { numRuns: FUZZ_RUNS, seed: 1 },
  );
});

test('text is written as Go writes it', () => {
  const text = '<a>&\u2028\u2029"\\\n\u0001é😀\ud800';
  assert.equal(encodeGoJson(text), '"\\u003ca\\u003e\\u0026\\u2028\\u2029\\"\\\\\\n\\u0001é😀\ufffd"');
});

test('the time of a configuration is the epoch of the build', () => {
  const createdAt = (epoch: number): unknown => {
    const data = encodeImageConfig({ architecture: 'amd64', epoch, diffIds: [], base: {}, baseName: 'base' });
    return (JSON.parse(new TextDecoder().decode(data)) as { created: unknown }).created;
  };
  assert.equal(createdAt(0), '1970-01-01T00:00:00Z');
  assert.equal(createdAt(4_294_967_295), '2106-02-07T06:28:15Z');
});
