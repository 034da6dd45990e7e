import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { imager, type Outcome } from '../support/command-line.ts';
import { digestOf } from '../support/image.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { assetFiles, writeFiles } from '../support/pipeline.ts';
import { type PushRegistry, startPushRegistry } from '../support/push-registry.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-installer-'));
  await writeFiles(join(directory, 'assets'), assetFiles());
  await writeVectorLayout(directory, 'base1');
});
after(() => rm(directory, { recursive: true }));

/** The base installer of the vectors, assets without a registry. */
function installer(...args: string[]): Promise<Outcome> {
  const common = ['--imager-image', `dir:${directory}/assets`, '--base-installer-image', `oci:${directory}/base1`];
  return imager(['installer', ...args, ...common, '--store', join(directory, 'store')]);
}

interface Result {
  readonly images: readonly { readonly architecture: string; readonly digest: string }[];
  readonly files?: readonly { readonly path: string }[];
  readonly layout?: { readonly name: string; readonly digest: string };
  readonly pushed?: {
    readonly reference: string;
    readonly digest: string;
    readonly blobs: readonly { readonly outcome: string }[];
  };
}

async function resultOf(outcome: Promise<Outcome>): Promise<Result> {
  const { code, text, stderr } = await outcome;
  assert.equal(code, 0, stderr);
  return JSON.parse(text) as Result;
}

test('one file, named as upstream names it', async () => {
  const output = join(directory, 'one');
  const { code, stderr } = await installer('--arch', 'amd64', '-o', output);
  assert.equal(code, 0, stderr);
  assert.deepEqual(await readdir(output), ['installer-amd64.tar']);
  assert.match(stderr, /^building installer-amd64\.tar: installer of Talos v1\.13\.\d+ for amd64/m);
  assert.match(stderr, /^output asset path: .*installer-amd64\.tar$/m);
});

test('a stream that is the file', async () => {
  const { stdout } = await installer('--arch', 'arm64', '-o', '-', '--quiet');
  await installer('--arch', 'arm64', '-o', join(directory, 'streamed'));
  assert.equal(digestOf(stdout), digestOf(await readFile(join(directory, 'streamed/installer-arm64.tar'))));
});

test('a file for each architecture', async () => {
  const output = join(directory, 'both');
  const { images, files } = await resultOf(installer('--arch', 'amd64,arm64', '-o', output, '--json', '--quiet'));
  assert.deepEqual((await readdir(output)).sort(), ['installer-amd64.tar', 'installer-arm64.tar']);
  assert.deepEqual(
    images.map(({ architecture }) => architecture),
    ['amd64', 'arm64'],
  );
  assert.equal(files?.length, 2);
});

test('an OCI layout of both, under the version unless named', async () => {
  const { layout, files } = await resultOf(
    installer(
      '--arch',
      'amd64,arm64',
      '--talos-version',
      'v1.13.2',
      '-o',
      `oci:${directory}/layout`,
      '--json',
      '--quiet',
    ),
  );
  assert.equal(layout?.name, 'v1.13.2');
  assert.equal(files, undefined);
  const named = await resultOf(installer('--arch', 'arm64', '-o', `oci:${directory}/layout:mine`, '--json', '--quiet'));
  assert.deepEqual(named.layout?.digest, named.images[0]!.digest);
  const { manifests } = JSON.parse(await readFile(join(directory, 'layout/index.json'), 'utf8')) as {
    manifests: { annotations: Record<string, string> }[];
  };
  assert.deepEqual(
    manifests.map(({ annotations }) => Object.values(annotations)[0]),
    ['v1.13.2', 'mine'],
  );
});

test('a push of both, and nothing beside it', async () => {
  await using registry = await startPushRegistry();
  const reference = `${registry.host}/me/installer:v1.13.0`;
  const before = await readdir(directory);
  const { pushed } = await resultOf(installer('--arch', 'amd64,arm64', '--push', reference, '--json', '--quiet'));
  assert.equal(pushed?.reference, reference);
  assert.equal(digestOf(registry.manifests.get('me/installer v1.13.0')!.data), pushed?.digest);
  assert.deepEqual(await readdir(directory), before);
  const again = await resultOf(installer('--arch', 'amd64,arm64', '--push', reference, '--json', '--quiet'));
  assert.ok(again.pushed?.blobs.every(({ outcome }) => outcome === 'present'));
});

/** Pushes an image and writes it into the directory `name` as well. */
async function pushedBeside(
  registry: PushRegistry,
  name: string,
): Promise<Outcome & { readonly files: readonly string[] }> {
  const output = join(directory, name);
  const to = ['--push', `${registry.host}/me/installer:v1`, '-o', output];
  return { ...(await installer('--arch', 'arm64', ...to)), files: await readdir(output) };
}

test('a push beside a file', async () => {
  await using registry = await startPushRegistry();
  const { code, stderr, files } = await pushedBeside(registry, 'beside');
  assert.equal(code, 0, stderr);
  assert.deepEqual(files, ['installer-arm64.tar']);
  assert.match(stderr, /^pushed: 127\.0\.0\.1:\d+\/me\/installer:v1@sha256:[0-9a-f]{64}$/m);
});

test('what a registry refuses ends with the exit code of registries, the file stays', async () => {
  const faults = [
    { on: /POST/, kind: 'status' as const, status: 403, body: '{"errors":[{"code":"DENIED","message":"no"}]}' },
  ];
  await using registry = await startPushRegistry({ faults });
  const { code, stderr, files } = await pushedBeside(registry, 'refused');
  assert.equal(code, 5);
  assert.match(stderr, /127\.0\.0\.1:\d+: blob sha256:\S+: forbidden \(403: DENIED: no\)/);
  assert.match(stderr, /may not push to this repository/);
  assert.deepEqual(files, ['installer-arm64.tar']);
});

test('an OCI layout through a pipe', async () => {
  const { code, stdout, stderr } = await installer(
    '--arch',
    'arm64',
    '-o',
    `oci:${directory}/piped`,
    '--tar-to-stdout',
  );
  assert.equal(code, 0, stderr);
  const names = (await indexTarBytes(ofMemory(gunzipSync(stdout)))).map(({ name }) => name);
  assert.ok(names.includes('oci-layout') && names.includes('index.json'), names.join(' '));
});

describe('a plan', () => {
  test('shows the base installer, and where all goes', async () => {
    const { code, text, stderr } = await imager([
      ...['plan', 'installer', '--no-resolve', '--arch', 'amd64,arm64', '--push', 'registry.example/me/installer:v1'],
      ...['--base-installer-image', 'base.example/installer-base:v1.13.0'],
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(text.match(/^ {2}base-installer: base\.example\/installer-base:v1\.13\.0$/gm)?.length, 2);
    assert.match(text, /^outputs:\n {2}installer-arm64\.tar \(installer, raw\)$/m);
    assert.match(text, /^goes to:\n {2}registry\.example\/me\/installer:v1\n$/m);
  });

  test('names every host', async () => {
    const { text } = await imager([
      ...['plan', 'installer', '--hosts', '--arch', 'amd64,arm64', '--push', 'registry.example/me/installer:v1'],
      ...['--base-installer-image', 'base.example/installer-base:v1.13.0'],
    ]);
    assert.equal(text, 'ghcr.io\nbase.example\ntuf-repo-cdn.sigstore.dev\nregistry.example\n');
  });

  test('is a list for several architectures', async () => {
    const { text } = await imager(['plan', 'installer', '--no-resolve', '--json', '--arch', 'amd64,arm64']);
    const plans = JSON.parse(text) as { outputs: { path: string }[] }[];
    assert.deepEqual(
      plans.map(({ outputs }) => outputs[0]!.path),
      ['installer-amd64.tar', 'installer-arm64.tar'],
    );
  });
});

describe('refused before anything is fetched', () => {
  const cases: readonly (readonly [what: string, args: readonly string[], code: number, message: RegExp])[] = [
    [
      'a push of an ISO',
      ['iso', '--push', 'r.example/a/b:v1'],
      1,
      /flag --push: only an installer is a container image, this is output kind iso/,
    ],
    ['a layout of a disk', ['metal', '-o', 'oci:x'], 1, /flag --output oci:: only an installer/],
    [
      'an ISO for several architectures',
      ['iso', '--arch', 'amd64,arm64'],
      1,
      /flag --arch with several: only an installer/,
    ],
    ['an architecture twice', ['installer', '--arch', 'amd64,amd64'], 1, /want different architectures/],
    [
      'an architecture nobody knows',
      ['installer', '--arch', 'amd64,riscv64'],
      2,
      /arch "riscv64": want amd64 or arm64/,
    ],
    ['two archives in one stream', ['installer', '--arch', 'amd64,arm64', '-o', '-'], 1, /one archive only fits/],
    [
      'a push without a tag',
      ['installer', '--push', 'r.example/a/installer'],
      2,
      /push to "r\.example\/a\/installer": want a tag/,
    ],
    [
      'a push to a digest',
      ['installer', '--push', `r.example/a/b@sha256:${'0'.repeat(64)}`],
      2,
      /want a tag, the digest comes with the image/,
    ],
    ['a push offline', ['installer', '--push', 'r.example/a/b:v1', '--offline'], 1, /--push and --offline/],
    [
      'a push of something compressed',
      ['installer', '--push', 'r.example/a/b:v1', '--compression', 'xz'],
      1,
      /only an archive in a file is compressed/,
    ],
    ['a layout without a directory', ['installer', '-o', 'oci:'], 1, /want oci:DIR or oci:DIR:NAME/],
    [
      'a push for network boot',
      ['pxe', '/nonexistent', '--push', 'r.example/a/b:v1'],
      1,
      /flag --push: has no meaning for pxe/,
    ],
  ];
  for (const [what, args, code, message] of cases) {
    test(what, async () => {
      const outcome = await imager(args);
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, message);
      if (args[0] === 'installer') assert.equal((await imager(['plan', ...args, '--no-resolve'])).code, code);
    });
  }
});
