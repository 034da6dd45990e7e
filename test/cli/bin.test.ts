/** `bin/imager.js` as a process: which Node it runs on, what it loads, how it ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scratch } from '../support/command-line.ts';
import { IMAGER, processEnvironment } from '../support/imager-process.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `during` gets the process and everything it has written so far, each time something comes. */
function run(
  command: string,
  args: readonly string[],
  during: (pid: number, stdout: string) => void = () => undefined,
): Promise<Ended> {
  const child = spawn(command, args, {
    env: { ...processEnvironment(), HOME: space.directory },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    during(child.pid!, stdout);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

function node(args: readonly string[], during?: (pid: number, stdout: string) => void): Promise<Ended> {
  return run(process.execPath, args, during);
}

function preload(script: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(script)}`;
}

/** The Node this test runs on, taken for an old one. The process it may start is not told so. */
const AS_NODE_20 = preload(
  "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });",
);

/** A copy of the program beside a `node` of our own, as npm ci puts it there. */
async function checkoutWithNode(name: string, script: string): Promise<string> {
  const program = space.path(`${name}/bin/imager.js`);
  await cp(IMAGER, program);
  await writeFile(space.path(`${name}/package.json`), '{"type":"module"}');
  const own = space.path(`${name}/node_modules/node/bin/node`);
  await mkdir(dirname(own), { recursive: true });
  await writeFile(own, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return program;
}

describe('under an old Node', { concurrency: true }, () => {
  test('it starts again under the one npm ci brought: arguments, streams and exit code pass', async () => {
    const program = await checkoutWithNode('checkout', 'echo "$#: $2|$3"; echo oops >&2; exit 7');
    const { code, stdout, stderr } = await node([AS_NODE_20, program, 'iso', 'a b']);
    assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: '3: iso|a b\n', stderr: 'oops\n' });
  });

  test('without it, it says what it wants', async () => {
    const program = space.path('bare/bin/imager.js');
    await cp(IMAGER, program);
    await writeFile(space.path('bare/package.json'), '{"type":"module"}');
    const { code, stdout, stderr } = await node([AS_NODE_20, program, 'iso']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.equal(stderr, 'imager: Node.js 20.20.2: want 24.15 or newer (in a checkout, npm ci brings it)\n');
  });

  for (const [signal, expected] of [
    ['SIGINT', 41],
    ['SIGTERM', 42],
  ] as const) {
    test(`${signal} is passed on, and the exit code comes back`, async () => {
      const script = `trap 'exit ${expected}' ${signal.slice(3)}; echo ready; for i in $(seq 200); do sleep 0.05; done`;
      const program = await checkoutWithNode(signal, script);
      let isSent = false;
      const { code } = await node([AS_NODE_20, program], (pid) => {
        if (!isSent) process.kill(pid, signal);
        isSent = true;
      });
      assert.equal(code, expected);
    });
  }

  test('a process that a signal ended counts as a shell counts it', async () => {
    const program = await checkoutWithNode('killed', 'kill -9 $$');
    assert.equal((await node([AS_NODE_20, program])).code, 137);
  });
});

test('a checkout without its packages says how to get them', async () => {
  const program = space.path('unprepared/bin/imager.js');
  await cp(IMAGER, program);
  await symlink(fileURLToPath(new URL('../../package.json', import.meta.url)), space.path('unprepared/package.json'));
  await cp(fileURLToPath(new URL('../../src', import.meta.url)), space.path('unprepared/src'), { recursive: true });
  const { code, stderr } = await node([program, '--help']);
  assert.equal(code, 1);
  assert.match(stderr, /^imager: Cannot find package 'commander' .*\n {2}hint: npm ci brings what it needs\n$/);
});

test('--help loads nothing large', async () => {
  const listing = preload(
    `import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    process.on('exit', () => process.stderr.write(loaded.join('\\n')));`,
  );
  // The sources, whatever bin/imager.js takes: there modules are seen one by one.
  const sources = new URL('../../src/cli/run.ts', import.meta.url);
  const start = ['--input-type=module', '--eval', `(await import('${sources}')).run()`];
  const { code, stdout, stderr } = await node([listing, ...start, 'imager', '--help']);
  assert.equal(code, 0);
  assert.match(stdout, /^Usage: imager /);
  const packages = [...stderr.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map(([, name]) => name);
  assert.deepEqual([...new Set(packages)], ['commander']);
  assert.ok(!stderr.includes('/src/pipeline/'), stderr);
});

test('a full disk behind standard output is an error, a reader that has gone is none', {
  skip: !existsSync('/dev/full'),
}, async () => {
  const command = 'node=$1 imager=$2; shift 2';
  const shell = (script: string): Promise<Ended> =>
    run('sh', ['-c', `${command}; ${script}`, 'sh', process.execPath, IMAGER]);
  const full = await shell('"$node" "$imager" plan iso --no-resolve >/dev/full');
  assert.equal(full.code, 6);
  assert.equal(full.stderr, 'imager: standard output: ENOSPC: no space left on device, write\n');
  const gone = await shell('{ "$node" "$imager" --help; echo "code $?" >&2; } | :');
  assert.equal(gone.stderr, 'code 0\n');
});
