import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Terminal } from '../../src/cli/io.ts';
import { chooseStyle, formatBytes, type Progress, type ProgressStyle, startProgress } from '../../src/cli/progress.ts';
import { ImagerError } from '../../src/errors.ts';
import { terminalInto } from '../support/command-line.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const LAYER = `registry.example/a layer ${DIGEST}`;

/** What is written while `tell` speaks. */
async function written(
  style: ProgressStyle,
  tell: (progress: Progress, abort: AbortController) => void | Promise<void>,
  columns = 100,
): Promise<string> {
  const parts: Uint8Array[] = [];
  const abort = new AbortController();
  const stderr = terminalInto(parts, columns, style === 'bars');
  const progress = await startProgress(style, { stderr, now: () => 12.5, signal: abort.signal });
  await tell(progress, abort);
  progress.finish();
  return Buffer.concat(parts).toString();
}

/** Two layers at once, a note between, one that never ends. */
function pull({ report, note, warn }: Progress): void {
  report({ task: LAYER, done: 0, total: 3 << 20, unit: 'bytes' });
  report({ task: 'other', done: 0, total: 10, unit: 'bytes' });
  report({ task: LAYER, done: 1 << 20, total: 3 << 20, unit: 'bytes' });
  note('by the way');
  warn('careful');
  report({ task: LAYER, done: 3 << 20, total: 3 << 20, unit: 'bytes' });
  report({ task: 'other', done: 5, total: 10, unit: 'bytes' });
}

test('plain lines: a task when it begins and when it ends', async () => {
  assert.equal(
    await written('plain', pull),
    [
      'registry.example/a layer sha256:0123456789ab ...',
      'other ...',
      'by the way',
      'warning: careful',
      'registry.example/a layer sha256:0123456789ab: done, 3.0 MiB',
      '',
    ].join('\n'),
  );
});

test('JSON lines: one per percent, each an object', async () => {
  const lines = (
    await written('json', (progress) => {
      for (let done = 0; done <= 10_000; done++) progress.report({ task: 'a', done, total: 10_000, unit: 'bytes' });
      progress.report({ task: 'unknown', done: 1, total: 0, unit: 'step' });
      progress.report({ task: 'unknown', done: 2, total: 0, unit: 'step' });
      progress.note('n\n"quoted"');
      progress.warn('w');
    })
  )
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(lines.length, 101 + 1 + 2);
  assert.deepEqual(lines[50], { time: 12.5, type: 'progress', task: 'a', done: 5000, total: 10_000, unit: 'bytes' });
  assert.deepEqual(lines.slice(-2), [
    { time: 12.5, type: 'note', message: 'n\n"quoted"' },
    { time: 12.5, type: 'warning', message: 'w' },
  ]);
});

test('none: warnings only', async () => {
  assert.equal(await written('none', pull), 'warning: careful\n');
});

describe('bars', () => {
  test('end up as the lines that stay; nothing of a bar is left', async () => {
    const screen = await written('bars', pull);
    assert.deepEqual(shown(screen), [
      'by the way',
      'warning: careful',
      'registry.example/a layer sha256:0123456789ab: done, 3.0 MiB',
      '',
    ]);
  });

  test('are drawn at a pace, within the width', async () => {
    for (const columns of [30, 60, 200]) {
      const screen = await written(
        'bars',
        async (progress) => {
          for (let done = 0; done < 10_000; done++)
            progress.report({ task: LAYER, done, total: 10_000, unit: 'bytes' });
          await new Promise((resolve) => setTimeout(resolve, 90));
          progress.report({ task: LAYER, done: 5000, total: 10_000, unit: 'bytes' });
        },
        columns,
      );
      const drawn = screen.replaceAll('\u001b', '␛').match(/\[[#-]+\] +\d+%[^␛\n]*/g) ?? [];
      assert.ok(drawn.length >= 2 && drawn.length < 10, `${drawn.length} of 10001 reports`);
      for (const line of drawn) assert.ok(line.length < columns, line);
      assert.match(drawn.at(-1)!, /^\[#+-+\] {2}50% registry/);
      assert.deepEqual(shown(screen), ['']);
    }
  });

  test('say nothing after the end', async () => {
    const screen = await written('bars', (progress) => {
      progress.report({ task: 'a', done: 1, total: 2, unit: 'bytes' });
      progress.finish();
      progress.finish();
    });
    assert.deepEqual(shown(screen), ['']);
  });
});

test('a signal is answered in every style', async () => {
  for (const style of ['plain', 'json', 'bars'] as const) {
    const text = await written(style, (_progress, abort) => abort.abort(new ImagerError('canceled', 'SIGINT')));
    assert.match(text, /stopping \(a second signal stops at once\)/, style);
  }
});

test('which style', () => {
  const at = (isTTY: boolean): Terminal => terminalInto([], 80, isTTY);
  assert.equal(chooseStyle(undefined, false, at(true)), 'bars');
  assert.equal(chooseStyle('auto', false, at(false)), 'plain');
  assert.equal(chooseStyle('bars', false, at(false)), 'bars');
  assert.equal(chooseStyle('json', false, at(true)), 'json');
  assert.equal(chooseStyle('json', true, at(true)), 'none');
});

test('sizes', () => {
  const sizes = [0, 1023, 1024, 1536, 2 ** 20, 102_236_160, 2 ** 31, 2 ** 52].map(formatBytes);
  assert.deepEqual(sizes, ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 MiB', '97.5 MiB', '2.0 GiB', '4096.0 TiB']);
});

/** The lines down to the cursor on a terminal of endless height: of its control sequences, those that are used here. */
function shown(output: string): string[] {
  const lines = [''];
  let row = 0;
  let column = 0;
  for (const [token] of output.replaceAll('\u001b', '␛').matchAll(/␛\[\??(\d*)([A-Za-z])|\n|[^␛\n]+/g)) {
    const sequence = /^␛\[\??(\d*)([A-Za-z])$/.exec(token);
    if (token === '\n') {
      row++;
      column = 0;
      lines[row] ??= '';
    } else if (sequence === null) {
      lines[row] = lines[row]!.slice(0, column).padEnd(column) + token + lines[row]!.slice(column + token.length);
      column += token.length;
    } else if (sequence[2] === 'A') row = Math.max(0, row - Number(sequence[1] || 1));
    else if (sequence[2] === 'B') row += Number(sequence[1] || 1);
    else if (sequence[2] === 'G') column = Math.max(0, Number(sequence[1] || 1) - 1);
    else if (sequence[2] === 'K') lines[row] = sequence[1] === '2' ? '' : lines[row]!.slice(0, column);
    else if (sequence[2] === 'J') lines.splice(row + 1);
    else assert.match(token, /^␛\[\?(2026|25)[hl]$/, 'a control sequence nobody expects');
  }
  assert.equal(lines.slice(row).join('').trim(), '', 'something is left from the cursor on');
  assert.equal(column, 0);
  return lines.slice(0, row + 1).map((line) => line.trimEnd());
}
