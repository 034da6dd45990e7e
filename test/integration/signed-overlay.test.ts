/**
 * An overlay whose program really runs, from a registry to the disk: before its image is verified not a line of it does. Without a sandbox, so that the program can
 * leave a trace.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ofSource, slice } from '../../src/bytes/bytes.ts';
import { read, readText } from '../../src/bytes/read.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { digestOf, type TestImage, testImage, testIndex } from '../support/image.ts';
import { type Finished, runImager } from '../support/imager-process.ts';
import { overlayTree } from '../support/overlay.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { signatureTag, signingKey, startSigstore } from '../support/sigstore.ts';
import { writeSyntheticAssets } from '../support/synthetic-assets.ts';
import { skipWithout } from '../support/tools.ts';

const PROGRAM = fileURLToPath(new URL('../support/overlay-program.c', import.meta.url));
const BOARD = 'registry.example/team/board:v1';

describe('a signed overlay', { skip: skipWithout('gcc', 'zstd') }, async () => {
  const sigstore = await startSigstore();
  const [key, stranger] = [signingKey(), signingKey()];
  const platform = nodePlatform({});
  let directory: string;
  let assets: string;
  let registry: TestRegistry;
  /** The same program in two images: another loader beside it. */
  let image: TestImage;
  let other: TestImage;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bootwright-signed-overlay-'));
    await promisify(execFile)('gcc', ['-static', '-O1', '-w', '-o', join(directory, 'board'), PROGRAM]);
    const program = new Uint8Array(await readFile(join(directory, 'board')));
    const architecture = platform.architecture as 'amd64' | 'arm64';
    const imageOf = async (loader: string): Promise<TestImage> => {
      const tree = overlayTree({ 'installers/board': program, 'artifacts/loader.bin': loader });
      return testIndex([testImage([{ data: await read(layoutTar(tree)) }], { os: 'linux', architecture })]);
    };
    [image, other] = [await imageOf('U-BOOT'), await imageOf('ANOTHER')];
    assets = (await writeSyntheticAssets(join(directory, 'assets'), { architectures: ['arm64'] })).source;
    await writeFile(join(directory, 'key.pem'), key.publicKeyPem);
    await writeFile(join(directory, 'root.json'), sigstore.trustedRoot);
    // Only this: a machine without bubblewrap.
    await mkdir(join(directory, 'bin'));
  });
  after(async () => {
    await platform.close();
    await registry?.close();
    await rm(directory, { recursive: true });
  });

  let runs = 0;

  interface Ran extends Finished {
    readonly output: string;
    /** Whether the program ran: it wrote a file where it should not. */
    readonly hasRun: boolean;
  }

  /** Builds a disk of what the registry serves now. */
  async function build(args: readonly string[], command: readonly string[] = ['metal']): Promise<Ran> {
    runs += 1;
    const [output, trace] = [join(directory, `out-${runs}`), join(directory, `trace-${runs}`)];
    await mkdir(trace);
    const finished = await runImager(
      [
        ...[...command, '--arch', 'arm64', '--talos-version', 'v1.13.0', '--imager-image', assets],
        ...['--overlay-name', 'board', '--overlay-image', BOARD, '--mirror', `registry.example=${registry.url}`],
        ...['--overlay-option', 'behave=outside', '--overlay-option', `directory=${trace}`],
        ...['-o', output, ...args],
      ],
      { environment: { PATH: join(directory, 'bin'), XDG_CACHE_HOME: join(directory, 'code') } },
    );
    return { ...finished, output, hasRun: (await readdir(trace)).length > 0 };
  }

  async function serving(images: Readonly<Record<string, TestImage>>, work: () => Promise<void>): Promise<void> {
    registry = await startRegistry();
    for (const [tag, served] of Object.entries(images)) registry.serve('team/board', tag, served);
    try {
      await work();
    } finally {
      await registry.close();
    }
  }

  const store = (name: string): string[] => ['--store', join(directory, `store-${name}`)];
  const byKey = (): string[] => ['--verify-key', join(directory, 'key.pem')];
  const byIdentity = (): string[] => [
    ...['--verify-identity', sigstore.subject, '--verify-issuer', sigstore.issuer],
    ...['--trusted-root', join(directory, 'root.json')],
  ];
  const legacy = (): string => signatureTag(image, 'legacy');
  const bundle = (): string => signatureTag(image, 'bundle');
  const digest = () => digestOf(image.manifest);

  async function assertHasBoard(output: string): Promise<void> {
    const [name] = await readdir(output);
    assert.equal(name, 'metal-arm64.raw.zst');
    await promisify(execFile)('zstd', ['-q', '-d', '--sparse', join(output, name), '-o', join(output, 'disk')]);
    const disk = ofSource(await platform.files.source(join(output, 'disk')));
    assert.equal(new TextDecoder().decode(await read(disk, 32768, 6)), 'U-BOOT');
    const gpt = await decodeGpt(disk);
    const { offset, size } = partitionRange(gpt, [...gpt.partitions.values()].find((one) => one.name === 'EFI')!);
    const { tree } = await decodeFat(slice(disk, offset, offset + size));
    assert.equal(await readText(fileAt(tree, 'config.txt')!, 'file', 100), 'arm_64bit=1\n');
  }

  const GOOD: readonly (readonly [string, () => Promise<Record<string, TestImage>>, () => string[]])[] = [
    ['by a key', async () => ({ [legacy()]: key.legacySignature(digest()) }), byKey],
    ['by an identity', async () => ({ [bundle()]: await sigstore.bundle(digest()) }), byIdentity],
  ];

  for (const [name, signatures, signer] of GOOD) {
    test(`${name}: its program runs, and what it wrote is on the disk; offline too`, async () => {
      await serving({ v1: image, ...(await signatures()) }, async () => {
        const built = await build([...signer(), ...store(name)]);
        assert.equal(built.code, 0, built.stderr);
        assert.equal(built.hasRun, true);
        assert.match(built.stderr, /verified registry\.example\/team\/board: signed by/);
        assert.match(built.stderr, /kernel command line: .*console=ttyS0 .*board\.arg=1/);
        await assertHasBoard(built.output);
      });
      const offline = await build([...signer(), ...store(name), '--offline']);
      assert.equal(offline.code, 0, offline.stderr);
      assert.equal(offline.hasRun, true);
      const strange = await build(['--verify-identity', 'x', '--verify-issuer', 'y', ...store(name), '--offline']);
      assert.equal(strange.code, 5, strange.stderr);
      assert.equal(strange.hasRun, false);
    });
  }

  const REFUSED: readonly (readonly [
    name: string,
    served: () => Record<string, TestImage>,
    args: () => string[],
    message: RegExp,
  ])[] = [
    ['no signature', () => ({ v1: image }), byKey, /team\/board@sha256:\w+: no signature, wanted by/],
    [
      'a stranger’s signature',
      () => ({ v1: image, [legacy()]: stranger.legacySignature(digest()) }),
      byKey,
      /signature refused: signature: /,
    ],
    [
      'the signature of another image',
      () => ({ v1: image, [legacy()]: key.legacySignature(digestOf(other.manifest)) }),
      byKey,
      /signature refused: digest: /,
    ],
    ['no rule at all', () => ({ v1: image }), () => [], /team\/board: no rule says who must have signed it/],
    [
      'no signature, where none is needed',
      () => ({ v1: image }),
      () => ['--allow-unsigned', 'registry.example/*'],
      /team\/board:v1: not verified, so its installer program does not run/,
    ],
    [
      'a signature, where none is asked for',
      () => ({ v1: image, [legacy()]: key.legacySignature(digest()) }),
      () => ['--allow-unsigned', 'registry.example/*'],
      /not verified, so its installer program does not run/,
    ],
  ];

  for (const [name, served, args, message] of REFUSED) {
    test(`${name}: refused before its program runs, in builds and in plans`, async () => {
      await serving(served(), async () => {
        for (const command of [['metal'], ['plan', 'metal']]) {
          const refused = await build([...args(), ...store(`refused-${runs}`)], command);
          assert.match(refused.stderr, message);
          assert.equal(refused.code, 5);
          assert.equal(refused.hasRun, false);
          assert.deepEqual(await readdir(refused.output).catch(() => []), []);
        }
      });
    });
  }

  test('the user may allow it: nothing else does', async () => {
    await serving({ v1: image }, async () => {
      const allowed = await build([
        ...['--allow-unsigned', 'registry.example/*', '--allow-overlay-program'],
        ...store('allowed'),
      ]);
      assert.equal(allowed.code, 0, allowed.stderr);
      assert.equal(allowed.hasRun, true);
      // That flag is about programs; whose images come in is another question.
      const unsigned = await build(['--allow-overlay-program', ...byKey(), ...store('unsigned')]);
      assert.equal(unsigned.code, 5);
      assert.match(unsigned.stderr, /no signature/);
      assert.equal(unsigned.hasRun, false);
    });
  });

  test('a name that leads to another, unsigned image by now: its program does not run', async () => {
    await serving({ v1: image, [legacy()]: key.legacySignature(digest()) }, async () => {
      const good = await build([...byKey(), ...store('moved')]);
      assert.equal(good.code, 0, good.stderr);
      registry.serve('team/board', 'v1', other);
      const moved = await build([...byKey(), ...store('moved')]);
      assert.equal(moved.code, 5);
      assert.match(moved.stderr, new RegExp(`team/board@${digestOf(other.manifest)}: no signature`));
      assert.equal(moved.hasRun, false);
    });
  });
});
