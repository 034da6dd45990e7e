/** JSON patches by themselves: what becomes of values that JavaScript has no type for, what counts as equal, what is too much. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImagerError } from '../../../src/errors.ts';
import { applyJsonPatch } from '../../../src/machineconfig/documents/json-patch.ts';
import { parseYaml, type SequenceNode } from '../../../src/yaml/document.ts';

function patched(config: string, operations: string): string {
  const [node] = parseYaml(operations);
  return applyJsonPatch(config, node as SequenceNode, { file: 'patch', text: operations }, 'config');
}

const TYPED = 'ratio: 1.5\nwhen: 2024-01-02\nlarge: 1e300\nid: 9007199254740993\nplain: "1.5"\n';

test('floats, timestamps and large integers stay what they are, wherever the patch is', () => {
  const kept = 'ratio: 1.5\nwhen: 2024-01-02T00:00:00Z\nlarge: 1e+300\nid: 9007199254740993\nplain: "1.5"\n';
  assert.equal(patched(TYPED, '[{op: add, path: /x, value: 2.5}]'), `${kept}x: 2.5\n`);
  assert.equal(patched(TYPED, '[{op: copy, from: /when, path: /x}]'), `${kept}x: 2024-01-02T00:00:00Z\n`);
  const copied = patched(`a:\n  deep: [1.5, {b: 2.5}]\n`, '[{op: copy, from: /a, path: /c}, {op: remove, path: /a}]');
  assert.equal(copied, 'c:\n    deep:\n        - 1.5\n        - b: 2.5\n');
});

test('a copy is a value of its own', () => {
  const operations =
    '[{op: copy, from: /a, path: /b}, {op: add, path: /a/x, value: 1}, {op: add, path: /b/l/-, value: 2}]';
  assert.equal(
    patched('a: {l: [1]}\n', operations),
    'a:\n    l:\n        - 1\n    x: 1\nb:\n    l:\n        - 1\n        - 2\n',
  );
});

const EQUAL: readonly (readonly [config: string, value: string])[] = [
  ['9007199254740993', '9007199254740993'],
  ['{x: 1, y: 2}', '{y: 2, x: 1}'],
  ['{x: {a: [1, {c: 1, d: null}]}}', '{x: {a: [1, {d: null, c: 1}]}}'],
  ['1.5', '1.50'],
  ['1', '1.0'],
  ['2.0', '2'],
  ['2024-01-02', '2024-01-02'],
  ['{1: a}', '{"1": a}'],
  ['null', '~'],
  ['{constructor: 1}', '{constructor: 1}'],
];

const DIFFERENT: readonly (readonly [config: string, value: string])[] = [
  ['9007199254740993', '9007199254740995'],
  ['{x: 1}', '{x: 1, y: 2}'],
  ['{x: 1, y: 2}', '{x: 1}'],
  ['{x: 1, y: 2}', '{x: 1, z: 2}'],
  ['{}', '[]'],
  ['[1, 2]', '[2, 1]'],
  ['[1]', '[1, 1]'],
  ['1.5', '"1.5"'],
  ['1.5', '1'],
  ['2024-01-02', '"2024-01-02T00:00:00Z"'],
  ['null', '0'],
  ['{x: 1}', '{constructor: 1}'],
];

for (const [config, value] of EQUAL) {
  test(`test: ${config} is ${value}`, () => {
    assert.ok(patched(`a: ${config}\n`, `[{op: test, path: /a, value: ${value}}]`));
  });
}

for (const [config, value] of DIFFERENT) {
  test(`test: ${config} is not ${value}`, () => {
    const message = /does not fit the document/;
    assert.throws(() => patched(`a: ${config}\n`, `[{op: test, path: /a, value: ${value}}]`), { message });
  });
}

const REFUSED: readonly (readonly [what: string, operations: string])[] = [
  ['a place within a float', '[{op: replace, path: /ratio/text, value: 1}]'],
  ['a place within a timestamp', '[{op: remove, path: /when/tag}]'],
  ['a path that begins with no slash', '[{op: add, path: x, value: 1}]'],
  ['a test of nothing', '[{op: test, path: /nowhere, value: null}]'],
  ['a copy of nothing', '[{op: copy, from: /constructor, path: /x}]'],
];

for (const [what, operations] of REFUSED) {
  test(`${what} is refused`, () => assert.throws(() => patched(TYPED, operations), ImagerError));
}

test('a mapping with names that are no texts takes no members: they would be lost', () => {
  assert.throws(() => patched('a: {1: b}\n', '[{op: add, path: /a/x, value: 1}]'), /does not fit the document/);
});

test('copies that double the document end before memory does', () => {
  const copies = Array.from({ length: 60 }, (_, index) => `{op: copy, from: /a, path: /a/x${index}}`);
  assert.throws(() => patched('a: {b: c}\n', `[${copies.join(', ')}]`), /does not fit the document/);
});

test('moves that nest the document end before the stack does', () => {
  const nest = Array.from({ length: 2000 }, () => [
    '{op: add, path: /b, value: {}}',
    '{op: move, from: /a, path: /b/a}',
    '{op: move, from: /b, path: /a}',
  ]).flat();
  assert.throws(() => patched('a: {}\n', `[${nest.join(', ')}]`), /does not fit the document/);
});
