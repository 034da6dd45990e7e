import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DirectDependencies, sortDependencies } from '../../../src/formats/kmod/dependencies.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

function all(direct: DirectDependencies): string[] {
  const allOf = sortDependencies(direct, NAMES);
  return direct.map((_, index) =>
    allOf(index)
      .map((one) => NAMES[one]!)
      .join(''),
  );
}

test('dependencies of dependencies, those that others need last', () => {
  assert.deepEqual(all([[1], [2], []]), ['bc', 'c', '']);
  assert.deepEqual(all([[2, 1], [3], [3], []]), ['bcd', 'd', 'd', '']);
  assert.deepEqual(all([[], [0], [0, 1], [1]]), ['', 'a', 'ba', 'ba']);
  assert.deepEqual(all([]), []);
});

test('asking twice gives the same', () => {
  const allOf = sortDependencies([[1], [2], []], NAMES);
  assert.deepEqual(allOf(0), allOf(0));
});

test('modules that need each other are named', () => {
  const cases: readonly (readonly [DirectDependencies, RegExp])[] = [
    [[[1], [2], [0]], /: 3 in dependency cycles: a -> b -> c -> a$/],
    [[[], [2], [1], [1]], /: 2 in dependency cycles: b -> c -> b$/],
    [[[0]], /: 1 in dependency cycles: a -> a$/],
    [[[1], [0], [3], [2]], /: 4 in dependency cycles: a -> b -> a; c -> d -> c$/],
    // Depmod never ends here: the circle is behind the first module that is in none.
    [[[1], [2], [3], [2], [0]], /: 2 in dependency cycles: c -> d -> c$/],
  ];
  for (const [direct, message] of cases) {
    assert.throws(() => sortDependencies(direct, NAMES), { code: 'invalid-input', message });
  }
});

test('chains may be long', () => {
  const count = 60_000;
  const names = Array.from({ length: count }, (_, index) => `m${index}`);
  const chain = names.map((_, index) => (index + 1 < count ? [index + 1] : []));
  assert.equal(sortDependencies(chain, names)(0).length, count - 1);
  chain[count - 1] = [0];
  assert.throws(() => sortDependencies(chain, names), { message: /60000 in dependency cycles: m0 -> m1/ });
});
