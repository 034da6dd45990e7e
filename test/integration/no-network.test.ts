/** Builds where there is no network at all: in a network namespace of their own, whose only interface is a loopback that is down. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { extensionImage, extensionTree } from '../support/extension-images.ts';
import { digestOf, type TestImage } from '../support/image.ts';
import { type Finished, runImager, sha256OfFile } from '../support/imager-process.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { signatureTag, signingKey, startSigstore } from '../support/sigstore.ts';
import { buildableArchitecture, imageOfLayout, writeSyntheticAssets } from '../support/synthetic-assets.ts';
import { skipWithoutNamespaces } from '../support/tools.ts';
import { startTufServer, type TufServer } from '../support/tuf-repository.ts';

const ARCHITECTURE = buildableArchitecture();
const NAME = `metal-${ARCHITECTURE}.iso`;
const FAR = Date.parse('2100-01-01T00:00:00Z') / 1000;

describe('without a network', { skip: skipWithoutNamespaces() }, async () => {
  const sigstore = await startSigstore();
  const [key, stranger] = [signingKey(), signingKey()];
  let directory: string;
  let registry: TestRegistry;
  let tuf: TufServer;
  let wish: readonly string[];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bootwright-no-network-'));
    const assets = await writeSyntheticAssets(join(directory, 'assets'), { architectures: [ARCHITECTURE] });
    registry = await startRegistry();
    tuf = await startTufServer();
    tuf.publish({ version: 1, target: sigstore.trustedRoot, expires: FAR });
    const serve = async (repository: string, image: TestImage): Promise<void> => {
      const digest = digestOf(image.manifest);
      registry.serve(repository, assets.tag, image);
      registry.serve(repository, signatureTag(image, 'legacy'), key.legacySignature(digest));
      registry.serve(repository, signatureTag(image, 'bundle'), await sigstore.bundle(digest));
    };
    await serve('team/imager', await imageOfLayout(assets));
    const tree = extensionTree({ 'usr/local/bin/agent': 'agent' }, { name: 'agent' });
    await serve('team/agent', await extensionImage(tree, ARCHITECTURE));
    for (const [name, { publicKeyPem }] of Object.entries({ key, stranger })) {
      await writeFile(join(directory, `${name}.pem`), publicKeyPem);
    }
    await writeFile(join(directory, 'tuf-root.json'), tuf.initialRoot);
    wish = [
      ...['iso', '--arch', ARCHITECTURE, '--talos-version', 'v1.13.0'],
      ...['--imager-image', `registry.example/team/imager:${assets.tag}`],
      ...['--system-extension-image', `registry.example/team/agent:${assets.tag}`],
      ...['--mirror', `registry.example=${registry.url}`],
    ];
  });
  after(async () => {
    await registry?.close();
    await tuf?.close();
    await rm(directory, { recursive: true });
  });

  const run = (args: readonly string[], before?: string): Promise<Finished> =>
    runImager(args, {
      environment: { XDG_CACHE_HOME: join(directory, 'code') },
      ...(before === undefined ? {} : { before }),
    });
  /** In namespaces of its own: as root there, with no way out. */
  const alone = (args: readonly string[]): Promise<Finished> => run(args, 'set -- unshare --map-root-user --net "$@"');

  const ways: Readonly<Record<string, () => readonly string[]>> = {
    'a key': () => ['--verify-key', join(directory, 'key.pem')],
    'an identity and a root that was fetched': () => [
      ...['--verify-identity', sigstore.subject, '--verify-issuer', sigstore.issuer],
      ...['--tuf-url', tuf.url, '--tuf-root', join(directory, 'tuf-root.json')],
    ],
  };

  for (const [name, signer] of Object.entries(ways)) {
    test(`from a filled store, locked, verified by ${name}`, async () => {
      const place = (what: string): string => join(directory, `${what}-${name.length}`);
      const store = ['--store', place('store')];
      const [command, ...rest] = wish;
      const lock = await run(['lock', command!, ...rest, ...signer(), ...store]);
      assert.equal(lock.code, 0, lock.stderr);
      await writeFile(place('lock'), lock.stdout);
      const locked = [...wish, ...signer(), ...store, '--locked', '--lock-file', place('lock')];
      const first = await run([...locked, '-o', place('online')]);
      assert.equal(first.code, 0, first.stderr);

      const asked = registry.requests.length + tuf.requests.length;
      const built = await alone([...locked, '--offline', '-o', place('offline')]);
      assert.equal(built.code, 0, built.stderr);
      assert.deepEqual(await readdir(place('offline')), [NAME]);
      assert.equal(await sha256OfFile(join(place('offline'), NAME)), await sha256OfFile(join(place('online'), NAME)));
      const doubts = built.stderr.match(/^warning: .*$/gm) ?? [];
      assert.deepEqual(doubts, []);

      // There really is no network in there, although the registry is up.
      const online = await alone([...locked, '-o', place('refused')]);
      assert.equal(online.code, 5, online.stderr);
      assert.match(online.stderr, /ENETUNREACH|ECONNREFUSED|EADDRNOTAVAIL/);
      assert.equal(registry.requests.length + tuf.requests.length, asked);

      // And what the store has is held to the rules of today.
      const other = [...wish, ...store, '--offline', '-o', place('refused')];
      const refused = await alone([...other, '--verify-key', join(directory, 'stranger.pem')]);
      assert.equal(refused.code, 5);
      assert.match(refused.stderr, /team\/imager@sha256:\w+: signature refused: signature: /);
      // An empty store says what it lacks.
      const empty = await alone([...wish, ...signer(), '--offline', '--store', place('empty'), '-o', place('refused')]);
      assert.equal(empty.code, 5);
      assert.match(empty.stderr, /team\/imager:v1\.13\.0: not in the store .* offline there is no other place/);
      assert.deepEqual(await readdir(place('refused')).catch(() => []), []);
    });
  }
});
