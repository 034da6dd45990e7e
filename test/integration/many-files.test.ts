/** Extensions with more files than there is any use for: refused by a rule or a bound, in bounded memory. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const MANY_FILES = fileURLToPath(new URL('../support/many-files.ts', import.meta.url));

// A layer may have a million entries, an extension half of them.
for (const [count, expected] of [
  [1_000_000, /^many: \d+ files and directories, want at most 500000 \(rule size\)$/],
  [1_000_001, /^tar: more than 1000000 entries$/],
] as const) {
  test(`${count} files are refused in bounded memory`, async () => {
    const { stdout } = await run(process.execPath, ['--max-old-space-size=1024', MANY_FILES, String(count)]);
    const { told, memory } = JSON.parse(stdout) as { told: string[]; memory: number };
    assert.equal(told.length, 1);
    assert.match(told[0]!, expected);
    assert.ok(memory < 1.5 * 2 ** 30, `${memory} bytes`);
  });
}
