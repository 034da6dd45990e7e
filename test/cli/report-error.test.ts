import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportError } from '../../src/cli/report-error.ts';
import { type ErrorCode, ImagerError } from '../../src/errors.ts';
import { imager } from '../support/command-line.ts';

function reported(error: unknown, style: 'text' | 'json' = 'text'): { readonly code: number; readonly text: string } {
  let text = '';
  const code = reportError(
    error,
    {
      write(more) {
        text += more;
      },
    },
    style,
  );
  return { code, text };
}

test('message, then hint', () => {
  const error = new ImagerError('invalid-input', 'meta key 0x1ff: want 0x01..0xff', { hint: 'use --meta 0xa=...' });
  assert.deepEqual(reported(error), {
    code: 2,
    text: 'imager: meta key 0x1ff: want 0x01..0xff\n  hint: use --meta 0xa=...\n',
  });
});

test('as a JSON line', () => {
  const error = new ImagerError('io', 'a: b\nc', { hint: 'd', cause: new Error('never shown') });
  const { code, text } = reported(error, 'json');
  assert.equal(code, 6);
  assert.equal(text, '{"type":"error","code":"io","message":"a: b\\nc","hint":"d","exitCode":6}\n');
});

test('exit codes are upstream’s', () => {
  const codes: Readonly<Record<ErrorCode, number>> = {
    usage: 1,
    'invalid-input': 2,
    unsupported: 3,
    dependency: 5,
    verification: 5,
    io: 6,
    install: 7,
    canceled: 130,
  };
  for (const [code, expected] of Object.entries(codes)) {
    assert.equal(reported(new ImagerError(code as ErrorCode, 'x')).code, expected);
  }
});

test('anything else is a bug of ours: exit 1, with what a report needs', () => {
  for (const style of ['text', 'json'] as const) {
    const { code, text } = reported(new TypeError('x is not a function'), style);
    assert.equal(code, 1);
    assert.match(text, /a bug in imager, please report it/);
    assert.match(text, /x is not a function/);
    if (style === 'json') assert.equal(JSON.parse(text).type, 'error');
  }
  assert.equal(reported('a string').code, 1);
});

test('with JSON progress errors are JSON too, also of a command line that could not be parsed', async () => {
  for (const style of [['--progress=json'], ['--progress', 'json']]) {
    for (const [args, code] of [
      [['isoo', ...style], 2],
      [['iso', '--nope', ...style], 1],
    ] as const) {
      const outcome = await imager(args);
      assert.equal(outcome.code, code);
      const last = JSON.parse(outcome.stderr.trimEnd().split('\n').at(-1)!);
      assert.equal(last.type, 'error');
      assert.equal(last.exitCode, code);
    }
  }
});
