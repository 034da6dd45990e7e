/** Real overlay programs, well-behaved and not, in the sandbox and without one: what is contained, and what the error says. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { read, readText } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { gapWrites } from '../../src/overlays/gap.ts';
import { askOptions, install, type OverlayInstaller } from '../../src/overlays/installer.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { findSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { overlayTree } from '../support/overlay.ts';
import { skipWithout } from '../support/tools.ts';

const MIB = 2 ** 20;
const SOURCE = fileURLToPath(new URL('../support/overlay-program.c', import.meta.url));
const PLAIN: Sandbox = { kind: 'plain', reason: 'this test wants none' };

let space: string;
let program: Uint8Array;
let bubblewrap: Sandbox;
const platform = nodePlatform({ HOME: '/nonexistent', PATH: process.env.PATH, EXAMPLE_SECRET: 'hunter2' });

const skip = skipWithout('gcc', 'bwrap');

before(async () => {
  if (skip !== false) return;
  space = await mkdtemp(join(tmpdir(), 'bootwright-overlay-'));
  await promisify(execFile)('gcc', ['-static', '-O1', '-w', '-o', join(space, 'board'), SOURCE]);
  program = new Uint8Array(await readFile(join(space, 'board')));
  bubblewrap = await findSandbox(platform);
});
after(async () => {
  await platform.close();
  if (space !== undefined) await rm(space, { recursive: true, force: true });
});

function installer(options: Readonly<Record<string, string | number>>): OverlayInstaller {
  const tree = overlayTree({ 'installers/board': program, 'artifacts/loader.bin': 'U-BOOT' });
  return { overlay: { tree, image: 'board:v1' }, name: 'board', options, era: 'v4-rc6' };
}

let runs = 0;
const around = (sandbox: Sandbox, timeout = 20_000) => ({
  platform,
  sandbox,
  scratch: join(space, `run${runs++}`),
  timeout,
});
const ask = (sandbox: Sandbox, options: Readonly<Record<string, string | number>>, timeout?: number) =>
  askOptions(installer(options), around(sandbox, timeout));
const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ImagerError, String(error));
  assert.equal(error.code, 'dependency');
  return error.message;
};

for (const kind of ['bubblewrap', 'plain'] as const) {
  describe(kind, { skip }, () => {
    const sandbox = (): Sandbox => (kind === 'plain' ? PLAIN : bubblewrap);

    test('is what was found', () => assert.equal(bubblewrap.kind, 'bubblewrap'));

    test('a well-behaved program answers and installs', async () => {
      const { answer } = await ask(sandbox(), { offset: 64 });
      assert.deepEqual(answer, { name: 'board', kernelArgs: ['console=ttyS0', 'board.arg=1'], offset: 64n });
      const written = await install(installer({ plain: 'yes' }), around(sandbox()), 64 * MIB);
      assert.equal(await readText(fileAt(written.files, 'boot/EFI/config.txt')!, 'file', 100), 'arm_64bit=1\n');
      const gap = await gapWrites({ ...written, taken: [], gapEnd: MIB }, 'board');
      assert.deepEqual(
        gap.map(({ at }) => at),
        [32768],
      );
      assert.equal(new TextDecoder().decode(await read(gap[0]!.bytes)), 'U-BOOT');
    });

    const bad: readonly (readonly [string, RegExp, number?])[] = [
      ['hang', /^overlay board:v1: board get-options: still running after 700 ms, killed$/, 700],
      ['flood-stdout', /wrote more than 1048576 bytes, killed$/],
      ['flood-stderr', /wrote more than 1048576 bytes of errors, killed$/],
      ['crash', kind === 'plain' ? /ended by SIGABRT/ : /ended by signal 6/],
      ['exit', /exit status 7: no such board$/],
      ['bad-yaml', /board get-options:\d+:\d+: /],
      ['escape', /^[^\p{Cc}]*exit status 3: [^\p{Cc}]*$/u],
    ];
    for (const [behave, expected, timeout] of bad) {
      test(behave, async () => assert.match(await messageOf(ask(sandbox(), { behave }, timeout)), expected));
    }

    test('the environment is empty', async () => {
      const said = await messageOf(ask(sandbox(), { behave: 'environment' }));
      assert.match(said, /exit status 3/);
      assert.doesNotMatch(said, /hunter2|HOME|PATH/);
    });

    test('what would fill the disk is stopped', async () => {
      const said = await messageOf(
        install(installer({ behave: 'fill' }), { ...around(sandbox()), diskLimit: 32 * MIB }, MIB),
      );
      assert.match(said, /board install: wrote more than 33554432 bytes of files, killed$/);
    });

    test('a larger disk, and writes over partitions, are refused', async () => {
      assert.match(
        await messageOf(install(installer({ behave: 'grow' }), around(sandbox()), 64 * MIB)),
        /made the disk 1073741828 bytes, want the 67108864 it was given/,
      );
      const written = await install(installer({ behave: 'partition' }), around(sandbox()), 64 * MIB);
      const taken = [{ name: 'in partition EFI', start: MIB, end: 64 * MIB }];
      const said = await messageOf(gapWrites({ ...written, taken, gapEnd: MIB }, 'overlay board:v1'));
      assert.match(said, /byte 2097152 \(0x200000\), which is in partition EFI/);
    });
  });
}

describe('the sandbox alone', { skip }, () => {
  test('has no files of the host, to read or to write', async () => {
    await writeFile(join(space, 'secret'), 'hunter2');
    const said = await messageOf(ask(bubblewrap, { behave: 'read', file: join(space, 'secret') }));
    assert.match(said, /exit status 3: cannot read: No such file or directory/);
    assert.match(
      await messageOf(ask(bubblewrap, { behave: 'outside', directory: space })),
      /cannot write .*: No such file/,
    );
    assert.match(await messageOf(ask(bubblewrap, { behave: 'outside', directory: '/' })), /Read-only file system/);
    assert.ok(!(await readdir(space)).includes('outside'));
  });

  test('has no network', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    try {
      assert.match(await messageOf(ask(bubblewrap, { behave: 'connect', port })), /cannot connect: /);
    } finally {
      server.close();
    }
  });

  test('ends what a program leaves behind', async () => {
    for (const behave of ['fork', 'daemon']) {
      const started = Date.now();
      await ask(bubblewrap, { behave });
      assert.ok(Date.now() - started < 10_000, behave);
    }
  });
});

test('without a sandbox, what a program leaves behind is an error', { skip }, async () => {
  for (const behave of ['fork', 'daemon']) {
    assert.match(await messageOf(ask(PLAIN, { behave })), /left processes running when it ended, killed$/);
  }
});

test('where bubblewrap is not, or makes nothing, the reason is told', { skip }, async () => {
  const without = nodePlatform({ HOME: '/nonexistent', PATH: '/nonexistent' });
  assert.deepEqual(await findSandbox(without), { kind: 'plain', reason: 'bubblewrap (bwrap) is not installed' });
  await without.close();
  await writeFile(
    join(space, 'bwrap'),
    '#!/bin/sh\necho "bwrap: No permissions to create new namespace" >&2\nexit 1\n',
    { mode: 0o755 },
  );
  const refusing = nodePlatform({ HOME: '/nonexistent', PATH: space });
  const found = await findSandbox(refusing);
  assert.equal(found.kind, 'plain');
  assert.match(found.kind === 'plain' ? found.reason : '', /cannot make a sandbox here: bwrap: No permissions/);
  await refusing.close();
});
