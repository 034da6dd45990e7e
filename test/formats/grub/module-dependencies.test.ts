import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../../src/errors.ts';
import { parseModuleDependencies, resolveModules } from '../../../src/formats/grub/module-dependencies.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const resolve = (text: string, ...wanted: string[]): string =>
  resolveModules(parseModuleDependencies(text), wanted).join(' ');

describe('moddep.lst', () => {
  test('is lines of a module and what it needs', () => {
    const parsed = parseModuleDependencies('xfs: fshelp\nfshelp:\nnormal:\tterminal  crypto \n');
    assert.deepEqual(
      [...parsed],
      [
        ['xfs', ['fshelp']],
        ['fshelp', []],
        ['normal', ['terminal', 'crypto']],
      ],
    );
  });

  test('counts the last line for a module, as grub-mkimage finds it first', () => {
    assert.equal(resolve('a: b\na: c\n', 'a'), 'c a');
  });

  test('names the line that is none', () => {
    assert.throws(
      () => parseModuleDependencies('a:\nnonsense\n'),
      /moddep\.lst line 2: "nonsense": want "module: modules"/,
    );
    assert.throws(() => parseModuleDependencies('a:\n\nb:\n'), /line 2/);
    assert.throws(() => parseModuleDependencies(': a\n'), /line 1/);
  });
});

describe('resolving modules', () => {
  test('puts what is needed before, from the end of the line', () => {
    assert.equal(resolve('a: b c\nb: d\nc: d e\nd:\ne:\n', 'a'), 'e d c b a');
  });

  test('keeps the order of the wanted, each once', () => {
    assert.equal(resolve('a: s\nb: s\ns:\n', 'b', 'a', 'b', 's'), 's b a');
  });

  test('lets modules without a line need nothing', () => {
    assert.equal(resolve('', 'x', 'y'), 'x y');
    assert.equal(resolve('', ...[]), '');
  });

  test('refuses modules that need each other', () => {
    for (const text of ['a: a\n', 'a: b\nb: a\n', 'a: x b\nb: c\nc: y a\n']) {
      assert.throws(() => resolve(text, 'a'), { code: 'invalid-input', message: /need each other/ });
    }
  });

  test('survives a chain of any length', () => {
    const lines = Array.from({ length: 100000 }, (_, index) => `m${index}: m${index + 1}\n`);
    assert.equal(resolveModules(parseModuleDependencies(lines.join('')), ['m0']).length, 100001);
  });

  test('never does anything but throw an ImagerError', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', '', 'toString', '__proto__');
    const line = fc.tuple(name, fc.constantFrom(':', ': ', ''), fc.array(name, { maxLength: 4 }));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.string({ maxLength: 20 }), (lines, noise) => {
        const listed = lines.map(([one, colon, needed]) => `${one}${colon}${needed.join(' ')}\n`).join('');
        for (const text of [listed, noise]) {
          try {
            const order = resolve(text, 'a', '__proto__').split(' ');
            assert.equal(new Set(order).size, order.length);
          } catch (error) {
            assert.ok(error instanceof ImagerError, String(error));
          }
        }
      }),
      { seed: 3, numRuns: FUZZ_RUNS },
    );
  });
});
