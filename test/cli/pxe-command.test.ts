// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE's settings look like that
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { imager } from '../support/command-line.ts';
import { runImager, sha256OfFile, startImager } from '../support/imager-process.ts';
import { assetFiles, writeFiles } from '../support/pipeline.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-pxe-'));
  await writeFiles(join(directory, 'assets'), assetFiles());
});
after(() => rm(directory, { recursive: true }));

function common(): string[] {
  return ['--imager-image', `dir:${directory}/assets`, '--store', join(directory, 'store'), '--arch', 'arm64'];
}

test('a directory with checksums that are right', async () => {
  const output = join(directory, 'pxe');
  const { code, stdout, stderr } = await runImager([
    ...['pxe', output, 'nocloud', '--base-url', 'http://h/d', '--json', '--quiet'],
    ...common(),
  ]);
  assert.equal(code, 0, stderr);
  const { files } = JSON.parse(stdout.toString()) as { files: { name: string; size: number; sha256: string }[] };
  assert.deepEqual((await readdir(output)).sort(), files.map(({ name }) => name).sort());
  for (const { name, size, sha256 } of files) {
    assert.equal((await stat(join(output, name))).size, size);
    assert.equal(await sha256OfFile(join(output, name)), sha256);
  }
  assert.match(
    await readFile(join(output, 'boot.ipxe'), 'utf8'),
    /^initrd http:\/\/h\/d\/initramfs-nocloud-arm64\.xz$/m,
  );
});

test('a server without a directory, which a signal ends well', async () => {
  const { child, finished } = startImager(['pxe', '--serve', '127.0.0.1:0', ...common(), '--quiet']);
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (text: string) => {
      const [, found] = /^serving (\S+)boot\.ipxe$/m.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
    child.once('close', () => reject(new Error('it ended')));
  });
  const kernel = await (await fetch(`${url}kernel-arm64`)).bytes();
  assert.deepEqual(kernel, new Uint8Array(await readFile(join(directory, 'assets/usr/install/arm64/vmlinuz'))));
  child.kill('SIGINT');
  assert.equal((await finished).code, 0);
});

describe('refused before anything is written', () => {
  const output = (): string => join(directory, 'none');
  const cases: readonly (readonly [string, () => string[], number, RegExp])[] = [
    ['nowhere to go', () => [], 1, /want a directory to write, or --serve/],
    ['an output directory twice', () => [output(), '--output', 'x'], 1, /flag --output: has no meaning/],
    ['three arguments', () => [output(), 'metal', 'x'], 1, /want a directory and a profile/],
    ['an address that is none', () => ['--serve', ':80'], 1, /flag --serve ":80": want ADDR/],
    ['a setting of iPXE', () => [output(), '--extra-kernel-arg', 'a=${b}'], 2, /kernel argument "a=\$\{b\}"/],
    ['no URL', () => [output(), '--base-url', 'h'], 2, /base URL "h"/],
  ];
  for (const [name, args, wanted, message] of cases) {
    test(name, async () => {
      const { code, stderr } = await imager(['pxe', ...args(), ...common()]);
      assert.equal(code, wanted);
      assert.match(stderr, message);
      await assert.rejects(stat(output()));
    });
  }
});
