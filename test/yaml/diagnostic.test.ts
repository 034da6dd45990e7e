import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorAt, nearName, problemsError, quoted, renderProblem } from '../../src/yaml/diagnostic.ts';

const SOURCE = { file: 'n.yaml', text: 'addresses:\n  - address: 192.168.1.10\n    linkName: eth0\n' };
const PROBLEM = {
  severity: 'error',
  position: { line: 2, column: 14 },
  length: 12,
  path: 'addresses[0].address',
  message: '"192.168.1.10": want a prefix',
} as const;

test('a problem is one line, the source line and a caret', () => {
  assert.equal(
    renderProblem(SOURCE, PROBLEM),
    'n.yaml:2:14: addresses[0].address: "192.168.1.10": want a prefix\n    2 |   - address: 192.168.1.10\n      |              ^^^^^^^^^^^^',
  );
  const error = errorAt(SOURCE, { ...PROBLEM, hint: 'write 192.168.1.10/24' });
  assert.equal(error.code, 'invalid-input');
  assert.equal(error.hint, 'write 192.168.1.10/24');
});

test('several problems stand in the order of the text, each with its hint', () => {
  const first = { severity: 'error', position: { line: 1, column: 1 }, message: 'one', hint: 'do this' } as const;
  const { message, hint } = problemsError(SOURCE, [PROBLEM, first]);
  assert.equal(hint, undefined);
  assert.deepEqual(
    message.split('\n').filter((line) => line.startsWith('n.yaml') || line.includes('hint')),
    ['n.yaml:1:1: one', '      hint: do this', 'n.yaml:2:14: addresses[0].address: "192.168.1.10": want a prefix'],
  );
});

test('long lines are cut around the caret, marks say so', () => {
  const text = `${'x'.repeat(300)}BAD${'y'.repeat(300)}`;
  const rendered = renderProblem(
    { file: 'f', text },
    { severity: 'error', position: { line: 1, column: 301 }, length: 3, message: 'm' },
  );
  const [, line = '', caret = ''] = rendered.split('\n');
  assert.ok(line.length < 140 && line.includes('\u2026') && line.endsWith('\u2026'));
  assert.equal(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1), 'BAD');
});

test('neither secrets nor terminal sequences get through', () => {
  const at = { severity: 'error', position: { line: 1, column: 1 }, message: 'm' } as const;
  const shown = (text: string): string => renderProblem({ file: 'f', text }, at);
  assert.ok(!shown('{privateKey: "abc=", apiToken: t0ken, presharedKey: p}').match(/abc|t0ken|: p/));
  const terminal = shown('a: \u001b[31mred\u202e');
  assert.ok(!terminal.includes('\u001b') && !terminal.includes('\u202e'));
  assert.equal(quoted('a\u001bb'), '"a\\u001bb"');
  assert.equal(quoted('x'.repeat(100)).length, 62);
});

test('near names: letter case, separators, swapped and missing letters', () => {
  const names = ['address', 'linkName', 'vlanID', 'mtu', 'resendIgmp'];
  assert.equal(nearName('adress', names), 'address');
  assert.equal(nearName('link_name', names), 'linkName');
  assert.equal(nearName('resendIGMP', names), 'resendIgmp');
  assert.equal(nearName('vlna-id', names), 'vlanID');
  assert.equal(nearName('mtz', names), 'mtu');
  assert.equal(nearName('gateway', names), undefined);
  assert.equal(nearName('x'.repeat(10_000), names), undefined);
});
