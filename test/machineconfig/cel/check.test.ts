import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkExpression } from '../../../src/machineconfig/cel/check.ts';
import { ENVIRONMENTS } from '../../../src/machineconfig/cel/environments.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

function problem(text: string, environment = 'disk'): string | undefined {
  return checkExpression(text, ENVIRONMENTS[environment]!);
}

test('expressions of the guides', () => {
  const good: readonly (readonly [string, string])[] = [
    ['disk', 'disk.transport == "nvme" && !system_disk'],
    ['disk', 'disk.size > 120u * GB && disk.size < 1u * TB'],
    ['disk', '"/dev/disk/by-id/x" in disk.symlinks || glob("Samsung*", disk.model)'],
    ['disk', 'disk.symlinks.exists(s, s.startsWith("/dev")) ? true : false // the first'],
    ['disk', "disk.serial in ['a', 'b',] && {'a': 1u}['a'] <= disk.size && size(disk.symlinks) > 0"],
    ['volume', 'volume.partition_label == "DATA" && disk.transport != ""'],
    ['link', 'mac(link.permanent_addr) == "00:1a:2b:3c:4d:5e"'],
    ['memory', 'multiply_qos_vectors(d_qos_memory_full_total, {System: 8.0, Podruntime: 4.0}) > 3000.0'],
    ['memory', 'memory_full_avg10 > 75.0 && time_since_trigger > duration("10s")'],
    [
      'cgroup',
      'memory_max.hasValue() ? 0.0 : {Besteffort: 1.0, System: 0.0}[class] * double(memory_current.orValue(0u))',
    ],
  ];
  for (const [environment, text] of good) assert.equal(problem(text, environment), undefined, text);
});

test('mistakes, with the character', () => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /^character 1: unexpected the end/],
    ['disk.size >', /^character 12: unexpected the end/],
    ['disk.size > 1 * GB', /^character 15: no \* of int, uint/],
    ['disk.sise == 1u', /^character 5: sise: disk has no such field/],
    ['volume.name == ""', /^character 1: volume: no such name here/],
    ['disk.size', /^gives uint: want bool/],
    ['disk.model.exists(s, true)', /string has no items/],
    ['has(disk)', /has: want a field/],
    ['"unclosed', /^character 1: unexpected/],
    ['1 == 99999999999999999999999', /want a number of 64 bits/],
    [`${'('.repeat(200)}true${')'.repeat(200)}`, /more than 100 levels/],
    [`${'!'.repeat(200)}true`, /more than 100 levels/],
    ['disk.constructor == disk.toString', /no such field/],
    ['constructor', /no such name/],
  ];
  for (const [text, message] of bad) assert.match(problem(text) ?? '', message, text);
});

test('long flat expressions end before the stack does', () => {
  const chains: readonly (readonly [start: string, link: string])[] = [
    ['1u', ' + 1u'],
    ['true', ' || true'],
    ['disk', '.a'],
    ['disk', '[0]'],
    ['disk', '.a()'],
    ['true', ' && !true'],
  ];
  for (const [start, link] of chains) {
    const message = /^character \d+: more than 1000 operators and selections/;
    assert.match(problem(start + link.repeat(10_000)) ?? '', message, link);
    assert.match(problem(`${start}${`${link.repeat(40)} == (${start}`.repeat(60)}${')'.repeat(60)}`) ?? '', message);
  }
  assert.equal(problem(`1u${' + 1u'.repeat(999)} == 1u`), undefined);
  assert.equal(problem(`disk.model in [${'"a", '.repeat(5000)}]`), undefined, 'a list nests nothing');
});

test('random expressions end', () => {
  const words = [
    'disk',
    '.',
    'size',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ':',
    '?',
    '!',
    '-',
    '1',
    '2u',
    '"a"',
    '==',
    '&&',
    ',',
  ];
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (expression) => {
      const found = problem(expression);
      assert.ok(found === undefined || found.length > 0);
    }),
    { numRuns: FUZZ_RUNS, seed: 1 },
  );
});
