import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkMachineConfig } from '../../../src/machineconfig/documents/check.ts';
import { encodeMachineConfig } from '../../../src/machineconfig/documents/encode.ts';
import { loadDocuments } from '../../../src/machineconfig/documents/load.ts';
import { FUZZ_RUNS, vectorLines } from '../../support/vectors.ts';

const SEEDS: readonly string[] = vectorLines<{ id: string; doc: string }>('machine-config/config-documents.jsonl.gz')
  .filter(({ id, doc }) => /\/(?:full|minimal)$/.test(id) && doc.length < 2000)
  .map(({ doc }) => doc);

/** Pieces that mean something to YAML or to a decoder. */
const PIECES = [
  '~',
  '{}',
  '[]',
  '- ',
  ': ',
  '\n',
  '  ',
  '&a ',
  '*a',
  '<<: ',
  '!!int ',
  '"',
  "'",
  '|\n',
  '0',
  '-1',
  '1e3',
  '---\n',
  'kind',
  'name: a\n',
];

const mutated: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(fc.tuple(fc.nat(), fc.nat(12), fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5 }))), {
      minLength: 1,
      maxLength: 4,
    }),
  )
  .map(([text, changes]) =>
    changes.reduce((before, [at, length, piece]) => {
      const start = at % (before.length + 1);
      return before.slice(0, start) + piece + before.slice(start + length);
    }, text),
  );

test('mutated documents get a verdict with places inside the text', () => {
  fc.assert(
    fc.property(mutated, fc.constantFrom('metal', 'container'), (text, mode) => {
      const { problems, loads } = checkMachineConfig(text, 'f', { mode: mode as 'metal' });
      const lines = text.split(/\r\n|[\r\n\u0085\u2028\u2029]/).length;
      for (const { position } of problems) assert.ok(position.line >= 1 && position.line <= lines, text);
      assert.ok(loads || problems.some(({ severity }) => severity === 'error'), text);
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 2), seed: 7 },
  );
});

test('what is written back is read as the same', () => {
  for (const text of SEEDS) {
    const loaded = loadDocuments(text, 'f', 14);
    assert.deepEqual(loaded.problems, []);
    const encoded = encodeMachineConfig(loaded.documents);
    const again = loadDocuments(encoded, 'f', 14);
    assert.deepEqual(again.problems, [], encoded);
    assert.equal(encodeMachineConfig(again.documents), encoded);
  }
});

test('aliases cannot multiply without end', () => {
  const levels = Array.from(
    { length: 9 },
    (_, index) => `  a${index + 1}: &a${index + 1} [${`*a${index}, `.repeat(9)}*a${index}]`,
  );
  const text = `apiVersion: v1alpha1\nkind: KubeEtcdEncryptionConfig\nconfig:\n  a0: &a0 [x]\n${levels.join('\n')}\n`;
  const { loads, problems } = checkMachineConfig(text, 'f');
  assert.equal(loads, false);
  assert.match(problems[0]!.message, /once aliases are expanded/);
});
