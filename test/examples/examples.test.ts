/** The example programs, started as a reader would start them. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { digestOf } from '../support/image.ts';
import { processEnvironment, runImager } from '../support/imager-process.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { startPushRegistry } from '../support/push-registry.ts';
import { writeSyntheticAssets } from '../support/synthetic-assets.ts';

const KIB = 1024;

let directory: string;
let inputs: readonly string[];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-examples-'));
  // arm64 needs no GRUB, which not every machine has.
  const sizes = {
    kernelSize: 200 * KIB,
    initramfsSize: 700 * KIB,
    architectures: ['arm64'],
    grubPlatforms: [],
  } as const;
  const { source } = await writeSyntheticAssets(join(directory, 'assets'), sizes);
  inputs = ['--arch', 'arm64', '--talos-version', 'v1.13.0', '--imager-image', source];
});
after(() => rm(directory, { recursive: true }));

function start(example: string, ...args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  const path = fileURLToPath(new URL(`../../examples/${example}`, import.meta.url));
  const env = { ...processEnvironment(), HOME: directory };
  return spawn(process.execPath, [path, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(example: string, ...args: readonly string[]): Promise<Finished> {
  const child = start(example, ...args);
  const textOf = async (stream: Readable): Promise<string> =>
    Buffer.concat((await Array.fromAsync(stream)) as Buffer[]).toString();
  const [stdout, stderr, [code]] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'exit')]);
  return { code, stdout, stderr };
}

test('build-iso writes an ISO and says what it planned', async () => {
  const output = join(directory, 'built');
  const { code, stdout, stderr } = await run('build-iso.ts', ...inputs, '--output', output);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `${output}/metal-arm64.iso\n`);
  assert.match(stderr, /^plan sha256:[0-9a-f]{64}\ncmdline talos\.platform=metal .* net\.ifnames=0\n$/);
  assert.equal((await readFile(stdout.trim())).toString('latin1', 0x8001, 0x8006), 'CD001');
});

test('build-iso says what is wrong', async () => {
  const { code, stdout, stderr } = await run('build-iso.ts', ...inputs.with(-1, 'oci:/nonexistent'));
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^oci:\/nonexistent: no OCI image layout.*\n {2}hint: want a directory/);
});

test('push-installer pushes both architectures under one tag, and a second time nothing', async () => {
  await using registry = await startPushRegistry();
  const base = await writeVectorLayout(join(directory, 'assets'), 'base1');
  const sizes = { kernelSize: 200 * KIB, initramfsSize: 700 * KIB, grubPlatforms: [] } as const;
  const { source } = await writeSyntheticAssets(join(directory, 'assets/both'), sizes);
  const reference = `${registry.host}/me/installer:v1.13.0`;
  const options = ['--talos-version', 'v1.13.0', '--imager-image', source, '--base-installer', base];
  const first = await run('push-installer.ts', reference, ...options);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stderr, 'uploaded 5 of 5 blobs\n');
  const digest = digestOf(registry.manifests.get('me/installer v1.13.0')!.data);
  assert.equal(first.stdout, `${reference}@${digest}\n`);
  const second = await run('push-installer.ts', reference, ...options);
  assert.deepEqual([second.stdout, second.stderr], [first.stdout, 'uploaded 0 of 5 blobs\n']);
});

describe('serve-iso', () => {
  let server: ReturnType<typeof start>;
  let url: string;
  let whole: Buffer;
  let etag: string;

  before(async () => {
    server = start('serve-iso.ts', ...inputs, '--port', '0');
    url = await firstLine(server.stdout);
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/vnd.efi-iso');
    etag = answer.headers.get('etag')!;
    whole = Buffer.from(await answer.arrayBuffer());
  });
  after(() => server.kill('SIGKILL'));

  async function firstLine(stream: Readable): Promise<string> {
    let text = '';
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      text += chunk;
      if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
    }
    throw new Error('the server ended without a word');
  }

  test('200 ranges of an ISO that nobody wrote are those of the written one', async () => {
    const output = join(directory, 'written');
    const { code, stderr } = await runImager(['iso', ...inputs, '--output', output], {
      environment: { HOME: directory },
    });
    assert.equal(code, 0, stderr);
    assert.ok(whole.equals(await readFile(join(output, 'metal-arm64.iso'))), 'served and written differ');
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (let turn = 0; turn < 200; turn++) {
      const first = random(whole.length);
      const last = Math.min(first + random(turn % 20 === 0 ? whole.length : 9000), whole.length - 1);
      const answer = await fetch(url, { headers: { range: `bytes=${first}-${last}`, 'if-range': etag } });
      assert.equal(answer.status, 206);
      assert.equal(answer.headers.get('content-range'), `bytes ${first}-${last}/${whole.length}`);
      const part = Buffer.from(await answer.arrayBuffer());
      assert.ok(part.equals(whole.subarray(first, last + 1)), `bytes ${first}-${last} differ`);
    }
    assert.deepEqual(await readdir(directory), ['.cache', 'assets', 'built', 'written']);
  });

  test('head, not modified, nothing there, no such range', async () => {
    const head = await fetch(url, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), String(whole.length));
    assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304);
    assert.equal((await fetch(new URL('/other', url))).status, 404);
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    assert.equal((await fetch(url, { headers: { range: `bytes=${whole.length}-` } })).status, 416);
  });

  test('ends when it is told to', async () => {
    server.kill('SIGTERM');
    const [code] = await once(server, 'exit');
    assert.equal(code, 0);
  });
});
