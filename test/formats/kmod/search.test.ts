import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEFAULT_CONFIGURATION,
  type DepmodConfiguration,
  parseDepmodConfiguration,
} from '../../../src/formats/kmod/configuration.ts';
import { orderModules } from '../../../src/formats/kmod/module-order.ts';
import { findModules } from '../../../src/formats/kmod/search.ts';
import { type Literal, treeOfLiterals } from '../../../src/tree/tree.ts';

function found(paths: readonly string[], configuration: Partial<DepmodConfiguration> = {}): string[] {
  const tree = treeOfLiterals(Object.fromEntries(paths.map((path) => [path, ''])));
  return pathsIn(tree, configuration);
}

function pathsIn(tree: Parameters<typeof findModules>[0], configuration: Partial<DepmodConfiguration> = {}): string[] {
  return [...findModules(tree, { ...DEFAULT_CONFIGURATION, ...configuration }).values()].map(({ path }) => path).sort();
}

test('of two modules with one name the one in the earlier directory is taken', () => {
  const both = ['kernel/a/x.ko', 'updates/x.ko.xz'];
  const cases: readonly (readonly [readonly string[], Partial<DepmodConfiguration>, string])[] = [
    [both, {}, 'updates/x.ko.xz'],
    [both, { search: ['updates', 'built-in'] }, 'updates/x.ko.xz'],
    [both, { search: ['built-in', 'updates'] }, 'kernel/a/x.ko'],
    [both, { search: ['extras', 'built-in'] }, 'kernel/a/x.ko'],
    [['extras/a-b.ko', 'updates/a_b.ko'], { search: ['extras', 'updates', 'built-in'] }, 'extras/a-b.ko'],
    [['extras/x.ko', 'kernel/x.ko'], { search: ['extras', 'built-in'] }, 'extras/x.ko'],
    [['extra/x.ko', 'extras/x.ko'], { search: ['extra', 'built-in'] }, 'extra/x.ko'],
    // Within `built-in` the first counts, within a directory of the list the last.
    [['kernel/a/x.ko', 'kernel/b/x.ko'], {}, 'kernel/a/x.ko'],
    [['updates/a/x.ko', 'updates/b/x.ko'], {}, 'updates/b/x.ko'],
    [both, { overrides: [{ module: 'x', directory: 'kernel/a' }] }, 'kernel/a/x.ko'],
    [both, { overrides: [{ module: 'x', directory: 'kernel/b' }] }, 'updates/x.ko.xz'],
    [
      both,
      {
        overrides: [
          { module: 'x', directory: 'updates' },
          { module: 'x', directory: 'kernel/a' },
        ],
      },
      'kernel/a/x.ko',
    ],
  ];
  for (const [paths, configuration, expected] of cases) {
    assert.deepEqual(found(paths, configuration), [expected], JSON.stringify([paths, configuration]));
  }
});

test('what is no module and what is excluded is passed over', () => {
  const paths = [
    'a.ko',
    'a.txt',
    'build/b.ko',
    'kernel/source/c.ko',
    'skip/d.ko',
    'kernel/skip/e.ko',
    'kernel/f.ko.zst',
  ];
  assert.deepEqual(found(paths, { excludes: ['skip'] }), ['a.ko', 'kernel/f.ko.zst']);
});

test('links are followed within the tree, and not in circles', () => {
  const tree = (literals: Record<string, Literal>): ReturnType<typeof treeOfLiterals> => treeOfLiterals(literals);
  const links = {
    'real/m.ko': '',
    'alias.ko': { link: 'real/m.ko' },
    dir: { link: 'elsewhere' },
    'elsewhere/n.ko': '',
    'elsewhere/up': { link: '..' },
    'gone.ko': { link: 'nothing.ko' },
    'out.ko': { link: '/etc/x.ko' },
  };
  assert.deepEqual(pathsIn(tree(links)), ['alias.ko', 'dir/n.ko', 'real/m.ko']);
  const twice: Record<string, Literal> = { 'd0/x.ko': '' };
  for (let index = 1; index < 30; index++) {
    twice[`d${index}/a`] = { link: `../d${index - 1}` };
    twice[`d${index}/b`] = { link: `../d${index - 1}` };
  }
  assert.throws(() => pathsIn(tree(twice)), { code: 'invalid-input', message: /symbolic links followed/ });
});

test("modules.order comes first, then the order of kmod's hash table", () => {
  const tree = treeOfLiterals(
    Object.fromEntries(['k/a.ko', 'k/b.ko.xz', 'k/c-d.ko', 'k/e.ko'].map((path) => [path, ''])),
  );
  const modules = findModules(tree, DEFAULT_CONFIGURATION);
  const order = (text: string | undefined, repeated: 'first' | 'last' = 'first'): string =>
    orderModules(modules, text, repeated)
      .map(({ name }) => name)
      .join(' ');
  const unordered = order(undefined);
  assert.equal(order('k/e.ko\nk/none.ko\nk/c-d.ko\nk/b.ko\nk/a.ko\n'), 'e c_d b a');
  assert.equal(order('k/e.ko\nk/a.ko\nk/e.ko\nk/b.ko\nk/c-d.ko\n'), 'e a b c_d');
  assert.equal(order('k/e.ko\nk/a.ko\nk/e.ko\nk/b.ko\nk/c-d.ko\n', 'last'), 'a e b c_d');
  assert.equal(order('k/e.ko\n'), ['e', ...unordered.split(' ').filter((name) => name !== 'e')].join(' '));
  assert.equal(order('k/e.ko\nk/a.ko'), unordered, 'the last line has no end');
  assert.equal(order(`${'x'.repeat(5000)}\nk/e.ko\n`), unordered, 'a line too long');
  assert.equal(order(''), unordered);
});

test('configuration files', () => {
  const text = [
    '# comment',
    'search  updates\textras \\',
    '  built-in',
    '',
    'override x * updates',
    'override y ^6\\.1\\. special',
    'override z 5.* never',
    'override w ( never',
    'make_map_files no',
    'exclude .debug',
  ].join('\n');
  assert.deepEqual(parseDepmodConfiguration(text, '6.1.0', 'test.conf'), {
    search: ['updates', 'extras', 'built-in'],
    overrides: [
      { module: 'x', directory: 'updates' },
      { module: 'y', directory: 'special' },
    ],
    excludes: ['.debug'],
  });
  const refused: readonly (readonly [string, string])[] = [
    ['find x', 'invalid-input'],
    ['override x *', 'invalid-input'],
    ['external * /opt', 'unsupported'],
    ['search external built-in', 'unsupported'],
  ];
  for (const [line, code] of refused) assert.throws(() => parseDepmodConfiguration(line, '6', 'x.conf'), { code });
});
