/** `imager <profile>`: what is built, where it goes, and what is said about it. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { chunks } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { indexTar } from '../../src/formats/tar/tar-index.ts';
import { decodeMetaEnvironment } from '../../src/meta/environment.ts';
import { type Circumstances, imager, type Outcome, scratch, writeAssets } from '../support/command-line.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
const source = await writeAssets(space.path('assets'));
const installed = (name: string): Promise<Buffer> => readFile(space.path(`assets/usr/install/arm64/${name}`));

let outputs = 0;

/** A build for arm64, whose ISO needs no GRUB, into a directory of its own. */
async function build(
  args: readonly string[],
  circumstances: Circumstances = {},
): Promise<Outcome & { readonly output: string; readonly names: readonly string[] }> {
  outputs++;
  const output = space.path(`out${outputs}`);
  const inputs = ['--arch', 'arm64', '--talos-version', 'v1.13.0', '--imager-image', source, '--output', output];
  const outcome = await imager([...inputs, ...args], circumstances);
  const names = await readdir(output).catch(() => []);
  return { ...outcome, output, names };
}

const NETWORK = 'addresses:\n  - address: 10.0.0.5/24\n    linkName: eth0\n    family: inet4\n';

describe('what is built', () => {
  test('an ISO', async () => {
    const { code, stderr, text, names, output } = await build(['iso']);
    assert.equal(code, 0, stderr);
    assert.equal(text, '');
    assert.deepEqual(names, ['metal-arm64.iso']);
    const image = await readFile(join(output, 'metal-arm64.iso'));
    assert.equal(image.toString('latin1', 0x8001, 0x8006), 'CD001');
    assert.ok(image.includes(await installed('initramfs.xz')));
  });

  test('a UKI', async () => {
    const { code, stderr, names, output } = await build(['metal-uki', '--extra-kernel-arg', 'panic=5']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(names, ['metal-arm64-uki.efi']);
    const uki = await readFile(join(output, 'metal-arm64-uki.efi'));
    assert.equal(uki.toString('latin1', 0, 2), 'MZ');
    assert.match(uki.toString('latin1'), /talos\.platform=metal [ -~]* panic=5\0/);
  });

  for (const [kind, name, asset] of [
    ['kernel', 'kernel-arm64', 'vmlinuz'],
    ['initramfs', 'initramfs-metal-arm64.xz', 'initramfs.xz'],
  ] as const) {
    test(`a ${kind}`, async () => {
      const { code, stderr, names, output } = await build(['iso', '--output-kind', kind]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(names, [name]);
      assert.ok((await installed(asset)).equals(await readFile(join(output, name))));
    });
  }

  test('a kernel command line', async () => {
    const { code, stderr, names, output } = await build(['iso', '--output-kind', 'cmdline', '--platform', 'aws']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(names, ['cmdline-aws-arm64']);
    assert.match(await readFile(join(output, names[0]!), 'utf8'), /^talos\.platform=aws [^\n]+[^\n ]$/);
  });

  test('the same bytes again, whatever the time', async () => {
    const [one, two, other] = await Promise.all([
      build(['iso', '--output-kind', 'uki']),
      build(['iso', '--output-kind', 'uki'], { now: 1e9 }),
      build(['iso', '--output-kind', 'uki'], { environment: { SOURCE_DATE_EPOCH: '1' } }),
    ]);
    const bytesOf = ({ output }: { readonly output: string }): Promise<Buffer> =>
      readFile(join(output, 'metal-arm64-uki.efi'));
    assert.ok((await bytesOf(one)).equals(await bytesOf(two)));
    assert.ok(!(await bytesOf(one)).equals(await bytesOf(other)));
  });

  test('in place of what was there', async () => {
    const first = await build(['iso', '--output-kind', 'cmdline']);
    const again = await imager([
      'iso',
      '--output-kind',
      'cmdline',
      '--arch',
      'arm64',
      '--extra-kernel-arg',
      'quiet',
      '-o',
      first.output,
    ]);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await readdir(first.output), ['cmdline-metal-arm64']);
    assert.match(await readFile(join(first.output, 'cmdline-metal-arm64'), 'utf8'), / quiet$/);
  });
});

describe('META values', () => {
  /** What the node would read. */
  async function metaOf(
    args: readonly string[],
    circumstances: Circumstances = {},
  ): Promise<readonly (readonly [number, string])[]> {
    const { code, stderr, stdout } = await imager(
      ['iso', '--output-kind', 'cmdline', '--arch', 'amd64', '-q', '-o', '-', ...args],
      circumstances,
    );
    assert.equal(code, 0, stderr);
    const [, encoded] = /talos\.environment=INSTALLER_META_BASE64=(\S+)$/.exec(stdout.toString())!;
    return decodeMetaEnvironment(encoded!).map(({ key, value }) => [key, value] as const);
  }

  test('as written, from a file and from standard input', async () => {
    await writeFile(space.path('network.yaml'), NETWORK);
    const args = ['--meta', '12=a=b', '--meta', `0xa=@${space.path('network.yaml')}`, '--meta', '0xb=-'];
    const meta = await metaOf(args, { stdin: 'x'.repeat(3000) });
    assert.deepEqual(meta, [
      [12, 'a=b'],
      [10, NETWORK],
      [11, 'x'.repeat(3000)],
    ]);
  });

  test('a byte order mark and line ends stay as they are', async () => {
    await writeFile(space.path('value'), '\ufeffa\r\n');
    assert.deepEqual(await metaOf(['--meta', `13=@${space.path('value')}`]), [[13, '\ufeffa\r\n']]);
  });

  test('a network document is checked, and taken as it is on request', async () => {
    const wrong = NETWORK.replace('/24', '');
    await writeFile(space.path('wrong.yaml'), wrong);
    const args = ['iso', '--output-kind', 'cmdline', '--meta', `0xa=@${space.path('wrong.yaml')}`];
    const refused = await build(args);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /wrong\.yaml:2:14: addresses\[0\]\.address: "10\.0\.0\.5": want an address/);
    assert.match(refused.stderr, /\n +\| +\^{8}\n/);
    assert.deepEqual(refused.names, []);
    const taken = await build([...args, '--no-validate']);
    assert.equal(taken.code, 0, taken.stderr);
    assert.deepEqual(taken.names, ['cmdline-metal-arm64']);
  });

  for (const [args, circumstances, code, message] of [
    [['--meta', '12=-', '--meta', '13=-'], {}, 1, /standard input can be one value only/],
    [['--meta', '12=@/nonexistent/file'], {}, 6, /\/nonexistent\/file: no such file/],
    [['--meta', '12=-'], { stdin: Buffer.of(0xff, 0xfe) }, 2, /standard input: not valid UTF-8/],
    [['--meta', '12=-'], { stdin: Buffer.alloc((1 << 20) + 1) }, 2, /standard input: more than 1048576 bytes/],
    [['--meta', '0=x'], {}, 1, /flag --meta: meta key "0": want 0x01\.\.0xff\n/],
    [['--meta', '12=a;b'], {}, 2, /;/],
  ] as const satisfies readonly (readonly [readonly string[], Circumstances, number, RegExp])[]) {
    test(`refused: ${args.join(' ')}`, async () => {
      const outcome = await build(['iso', '--output-kind', 'cmdline', ...args], circumstances);
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, message);
      assert.deepEqual(outcome.names, []);
    });
  }
});

describe('a profile on standard input', () => {
  const PROFILE = 'baseProfileName: iso\narch: arm64\nversion: v1.13.0\noutput:\n  kind: cmdline\n';

  test('is built', async () => {
    const { code, stderr, stdout } = await imager(['-', '-o', '-'], { stdin: PROFILE });
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /^talos\.platform=metal .* proc_mem\.force_override=never$/);
    assert.doesNotMatch(stderr, /warning/);
  });

  test('may begin with a byte order mark', async () => {
    assert.equal((await imager(['-', '-o', '-'], { stdin: `\ufeff${PROFILE}` })).code, 0);
  });

  test('leaves flags without effect, and says so', async () => {
    const args = ['--platform', 'aws', '--meta', '12=x', '--talos-version', 'v1.9.0', '-', '-q', '-o', '-'];
    const { code, stderr, stdout } = await imager(args, { stdin: PROFILE });
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /^talos\.platform=metal /);
    assert.equal(
      stderr,
      'warning: standard input has the whole profile: --platform, --meta, --talos-version have no effect\n',
    );
  });

  test('without a version gets that of the flag', async () => {
    const text = PROFILE.replace('version: v1.13.0\n', '');
    const { code, stderr, stdout } = await imager(['-', '--talos-version', 'v1.9.0', '-q', '-o', '-'], { stdin: text });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    assert.match(stdout.toString(), / ima_template=/);
  });

  for (const [name, stdin, code, message] of [
    ['nothing', '', 2, /standard input: /],
    ['broken YAML', 'arch: [', 2, /standard input:1:\d+: /],
    ['an unknown field', `${PROFILE}colour: red\n`, 2, /standard input:6:1: unknown field "colour"/],
    ['no text', Buffer.of(0x61, 0xff), 2, /standard input: not valid UTF-8/],
    ['more than any profile', Buffer.alloc(9 << 20, 0x20), 2, /standard input: more than 8388608 bytes/],
  ] as const) {
    test(`refused: ${name}`, async () => {
      const outcome = await imager(['-', '-o', space.path('never')], { stdin });
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, message);
    });
  }

  test('a terminal is no profile', async () => {
    const { code, stderr } = await imager(['-'], { stdinIsTTY: true });
    assert.equal(code, 1);
    assert.match(stderr, /standard input is a terminal, want a profile document\n {2}hint: imager - < profile\.yaml/);
  });
});

describe('where it goes', () => {
  test('to standard output, the same bytes as to a file', async () => {
    const file = await build(['iso', '--output-kind', 'uki']);
    const streamed = await build(['iso', '--output-kind', 'uki', '-o', '-']);
    assert.equal(streamed.code, 0, streamed.stderr);
    assert.ok((await readFile(join(file.output, 'metal-arm64-uki.efi'))).equals(streamed.stdout));
    assert.deepEqual(streamed.names, []);
    assert.doesNotMatch(streamed.stderr, /output asset path/);
  });

  test('to standard output as an archive of the whole directory', async () => {
    await mkdir(space.path('archived/older'), { recursive: true });
    await writeFile(space.path('archived/older/file'), 'there before');
    const args = ['iso', '--output-kind', 'cmdline', '--tar-to-stdout', '--output', space.path('archived')];
    const { code, stderr, stdout } = await imager([...args, '--arch', 'arm64']);
    assert.equal(code, 0, stderr);
    const archive = gunzipSync(stdout);
    const entries = await indexTar(chunks(ofMemory(archive)));
    assert.deepEqual(
      entries.map(({ name }) => name),
      ['cmdline-metal-arm64', 'older/', 'older/file'],
    );
    const [first] = entries;
    assert.ok(first?.kind === 'file');
    const content = archive.toString('utf8', first.offset, first.offset + first.size);
    assert.equal(content, await readFile(space.path('archived/cmdline-metal-arm64'), 'utf8'));
  });

  test('with the result as JSON', async () => {
    const { code, stderr, text, output } = await build(['iso', '--output-kind', 'kernel', '--json']);
    assert.equal(code, 0, stderr);
    const kernel = await installed('vmlinuz');
    const { planDigest, inputs, ...rest } = JSON.parse(text);
    assert.deepEqual(rest, {
      path: join(output, 'kernel-arm64'),
      size: kernel.length,
      kind: 'kernel',
      format: 'raw',
      mediaType: 'application/octet-stream',
      cmdline: rest.cmdline,
      meta: [],
      warnings: [],
    });
    assert.match(planDigest, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(
      inputs.map(({ role }: { role: string }) => role),
      ['kernel'],
    );
    assert.match(inputs[0].digest, /^sha256:[0-9a-f]{64}$/);
  });

  for (const [args, message] of [
    [['-o', '-', '--json'], /--output - and --json: each wants standard output/],
    [['-o', '-', '--tar-to-stdout'], /--output - and --tar-to-stdout/],
    [['--tar-to-stdout', '--json'], /--tar-to-stdout and --json/],
  ] as const) {
    test(`one at a time: ${args.join(' ')}`, async () => {
      const { code, stderr, stdout } = await build(['iso', ...args]);
      assert.equal(code, 1);
      assert.match(stderr, message);
      assert.equal(stdout.length, 0);
    });
  }

  test('never to a terminal, unless it is text', async () => {
    for (const args of [['-o', '-'], ['--tar-to-stdout']]) {
      const { code, stderr, stdout, names } = await build(['iso', ...args], { stdoutIsTTY: true });
      assert.equal(code, 1);
      assert.match(stderr, /standard output is a terminal, want a file or a pipe/);
      assert.equal(stdout.length, 0);
      assert.deepEqual(names, []);
    }
    const { code, text } = await build(['iso', '--output-kind', 'cmdline', '-o', '-'], { stdoutIsTTY: true });
    assert.equal(code, 0);
    assert.match(text, /^talos\.platform=metal /);
  });

  test('a file where the directory should be', async () => {
    await writeFile(space.path('file'), 'mine');
    const { code, stderr } = await imager([
      'iso',
      '--output-kind',
      'cmdline',
      '--arch',
      'amd64',
      '-o',
      space.path('file'),
    ]);
    assert.equal(code, 6);
    assert.match(stderr, /\/file: exists already\n$/);
    assert.equal(await readFile(space.path('file'), 'utf8'), 'mine');
  });
});

describe('what is said', () => {
  test('one line what is built, the kernel command line, upstream’s last line', async () => {
    const { stderr, output } = await build(['iso', '--output-kind', 'uki']);
    const lines = stderr.split('\n');
    assert.equal(lines[0], 'building metal-arm64-uki.efi: uki of Talos v1.13.0 for arm64, platform metal');
    assert.match(lines[1]!, /^kernel command line: talos\.platform=metal console=/);
    assert.equal(lines.at(-2), `output asset path: ${output}/metal-arm64-uki.efi`);
    assert.equal(lines.at(-1), '');
  });

  test('nothing when quiet, but warnings', async () => {
    assert.equal((await build(['iso', '--output-kind', 'uki', '-q'])).stderr, '');
    const warned = await build(['iso', '--output-kind', 'cmdline', '-q', '--extra-kernel-arg', 'talos.platfrom=aws']);
    assert.match(warned.stderr, /^warning: kernel argument talos\.platfrom=aws: [^\n]+talos\.platform[^\n]*\n$/);
  });

  test('a version that is none, or lacks its v, is doubted', async () => {
    for (const version of ['latest', '1.13.0']) {
      const { code, stderr } = await build(['iso', '--output-kind', 'cmdline', '-q', '--talos-version', version]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, new RegExp(`^warning: Talos version ${version}: .*v1\\.13\\.0`));
    }
  });

  test('no secret, in whatever style', async () => {
    const secret = `${'aHVudGVyMg'.repeat(4)}aGE=`;
    const network = `links:\n  - name: wg0\n    kind: wireguard\n    logical: true\n    type: nohdr\n    wireguard:\n      privateKey: ${secret}\n`;
    await writeFile(space.path('wireguard.yaml'), network);
    const link = `apiVersion: v1alpha1\nkind: WireguardConfig\nname: wg0\nprivateKey: ${secret}\n`;
    await writeFile(space.path('config.yaml'), link);
    const args = [
      ...['iso', '--output-kind', 'cmdline', '--meta', `0xa=@${space.path('wireguard.yaml')}`],
      ...['--extra-kernel-arg', `talos.config.inline=${secret}`, '--embedded-config-path', space.path('config.yaml')],
      ...['--extra-kernel-arg', `talos.config=https://u:${secret}@host/`],
    ];
    for (const style of ['plain', 'bars', 'json', 'none']) {
      const { code, stderr, output } = await build([...args, '--progress', style], { stderrIsTTY: true });
      assert.equal(code, 0, stderr);
      const cmdline = await readFile(join(output, 'cmdline-metal-arm64'), 'utf8');
      const [, meta] = /INSTALLER_META_BASE64=(\S+)/.exec(cmdline)!;
      for (const hidden of [secret, meta!]) assert.ok(!stderr.includes(hidden), stderr);
      if (style === 'plain') assert.match(stderr, /talos\.environment=INSTALLER_META_BASE64=<\d+ characters>/);
    }
  });

  test('what cannot be built', async () => {
    const { code, stderr, names } = await build(['metal-uki', '--talos-version', 'v1.4.0']);
    assert.equal(code, 3);
    assert.equal(stderr, 'imager: UKI output with Talos "v1.4.0": want 1.5.0 or later\n');
    assert.deepEqual(names, []);
  });
});

describe('stopped', () => {
  test('before it begins to write', async () => {
    const abort = new AbortController();
    const outcome = build(['iso'], { signal: abort.signal });
    abort.abort(new ImagerError('canceled', 'stopped by SIGINT'));
    const { code, stderr, names } = await outcome;
    assert.equal(code, 130);
    assert.match(stderr, /imager: stopped by SIGINT\n$/);
    assert.deepEqual(names, []);
  });
});
