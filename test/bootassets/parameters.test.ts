/** The command line data model against upstream's own library. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AppendOptions,
  appendAll,
  appendValue,
  deleteKey,
  deleteValues,
  formatParameters,
  type Parameters,
  setAll,
  setValues,
} from '../../src/boot/parameters.ts';
import { parseCommandLine } from '../../src/machineconfig/command-line.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

type Operation =
  | ['append', string, string]
  | ['set', string, string[]]
  | ['setAll', string[]]
  | ['delete', string, string[]]
  | ['deleteAll', string]
  | ['appendAll', string[], AppendOptions?];

interface Case {
  readonly id: string;
  readonly init: string;
  readonly ops: readonly Operation[];
  readonly expect: { readonly parameters: readonly [string, string[]][]; readonly string: string };
}

function apply(parameters: Parameters, operation: Operation): Parameters {
  switch (operation[0]) {
    case 'append':
      return appendValue(parameters, operation[1], operation[2]);
    case 'set':
      return setValues(parameters, operation[1], operation[2]);
    case 'setAll':
      return setAll(parameters, operation[1]);
    case 'delete':
      return deleteValues(parameters, operation[1], operation[2]);
    case 'deleteAll':
      return deleteKey(parameters, operation[1]);
    case 'appendAll':
      return appendAll(parameters, operation[1], operation[2] ?? {});
  }
}

test('every operation gives what upstream’s library gives', () => {
  const cases = vectorLines<Case>('cmdline/procfs.jsonl.gz');
  assert.equal(cases.length, 226);
  for (const one of cases) {
    const got = one.ops.reduce(apply, parseCommandLine(one.init));
    assert.deepEqual(
      got.map(({ key, values }) => [key, values]),
      one.expect.parameters,
      one.id,
    );
    assert.equal(formatParameters(got), one.expect.string, one.id);
  }
});

test('operations leave the list they were given alone', () => {
  const before = parseCommandLine('a=1 b=2 a=3');
  const copy = structuredClone(before);
  appendAll(before, ['-a', 'b=3', 'c'], { negate: true, overwrite: ['b'] });
  setAll(before, ['a=9']);
  deleteValues(before, 'a', ['1']);
  assert.deepEqual(before, copy);
});

test('fuzz: a printed line parses to what was printed', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: fc.constantFrom('a', 'b', '=', '-', ' ', '\t', '\u0085', '\ufeff', '"'), maxLength: 40 }),
  );
  fc.assert(
    fc.property(text, (line) => {
      const parameters = parseCommandLine(line);
      const keys = parameters.map(({ key }) => key);
      assert.equal(new Set(keys).size, keys.length);
      // `=` alone is an empty key with an empty value, which prints as nothing.
      const printed = formatParameters(parameters);
      const visible = parameters
        .map(({ key, values }) => ({ key, values: key === '' ? values.filter((value) => value !== '') : values }))
        .filter(({ values }) => values.length > 0);
      assert.deepEqual(parseCommandLine(printed), visible);
    }),
    { numRuns: FUZZ_RUNS },
  );
});
