/** Copies between real registries and directories: killed on the way, and read by skopeo. `KILL_RUNS` says how often, 50 times at most. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { digestOf, OCI_LAYER, randomBytes, testArtifact, testImage, testIndex } from '../support/image.ts';
import { runImager, startImager } from '../support/imager-process.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { signatureTag, signingKey, startSigstore } from '../support/sigstore.ts';
import { tar } from '../support/tar.ts';
import { skipWithout } from '../support/tools.ts';

/** To each of two destinations. */
const KILL_RUNS = Math.min(50, Number(process.env.KILL_RUNS ?? 10));
const execute = promisify(execFile);

const layers = [1, 2, 3].map((seed) => ({
  data: tar([{ name: `file-${seed}`, data: randomBytes(4_000_000, seed) }]),
  mediaType: OCI_LAYER,
}));
const image = testIndex([testImage(layers), testImage(layers.slice(1), { os: 'linux', architecture: 'arm64' })]);
const DIGEST = digestOf(image.manifest);
const report = testArtifact(new TextEncoder().encode('about it'), { artifactType: 'application/x', subject: image });
const key = signingKey();
const tag = signatureTag(image, 'bundle');

describe('mirror', { skip: skipWithout('skopeo', 'docker-registry') }, () => {
  let directory: string;
  let source: TestRegistry;
  let target: DockerRegistry;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bootwright-mirror-'));
    source = await startRegistry({ referrersPage: 2 });
    source.serve('team/tool', 'v1', image);
    source.serve('team/tool', `${tag}.sig`, key.legacySignature(DIGEST));
    source.serve('team/tool', tag, key.bundle(DIGEST));
    source.serve('team/tool', 'unused', report);
    target = await startDockerRegistry();
    const { trustedRoot } = await startSigstore();
    await writeFile(join(directory, 'root.json'), trustedRoot);
  });
  after(async () => {
    await source.close();
    await target.close();
    await rm(directory, { recursive: true });
  });

  const environment = (): Record<string, string> => ({ HOME: directory, XDG_CACHE_HOME: join(directory, 'cache') });
  const commandLine = (destination: string): string[] => [
    ...['mirror', destination, '--image', `${source.host}/team/tool:v1`, '--quiet', '--json'],
    // Its age is nothing to this: no other host is to be asked.
    ...['--store', join(directory, 'store'), '--trusted-root', join(directory, 'root.json')],
  ];
  const skopeo = async (...args: readonly string[]): Promise<string> =>
    (await execute('skopeo', ['--insecure-policy', ...args], { env: { PATH: process.env.PATH, HOME: directory } }))
      .stdout;

  for (const kind of ['directory', 'registry'] as const) {
    test(`to a ${kind}: killed ${KILL_RUNS} times it goes on, and skopeo reads what came of it`, async (t) => {
      const place = kind === 'registry' ? `${target.host}/first` : `oci:${join(directory, 'timed')}`;
      const { wall, code, stderr } = await runImager(commandLine(place), { environment: environment() });
      assert.equal(code, 0, stderr);
      const wanted = kind === 'directory' ? await filesIn(place.slice('oci:'.length)) : new Map();
      let unfinished = 0;
      for (let run = 0; run < KILL_RUNS; run++) {
        const destination = kind === 'registry' ? `${target.host}/copy${run >> 2}` : `oci:${directory}/copy${run >> 2}`;
        const { child, finished } = startImager(commandLine(destination), { environment: environment() });
        await Promise.race([delay(wall * (0.15 + 0.7 * ((run * 0.6180339887) % 1))), finished]);
        child.kill('SIGKILL');
        if ((await finished).signal === 'SIGKILL') unfinished++;
        if (run % 4 !== 3 && run !== KILL_RUNS - 1) continue;
        const whole = await runImager(commandLine(destination), { environment: environment() });
        assert.equal(whole.code, 0, whole.stderr);
        const proof = await runImager(
          ['mirror', 'verify', destination, '--image', `${source.host}/team/tool:v1`, '--insecure'],
          { environment: environment() },
        );
        assert.equal(proof.code, 0, proof.stderr);
        await assertReadable(destination);
        // Nothing half-made is left, here or there, and what is there is what an undisturbed run puts there.
        if (kind === 'directory') assert.deepEqual(await filesIn(destination.slice('oci:'.length)), wanted);
        assert.deepEqual(await readdir(join(directory, 'store', 'mirror')).catch(() => []), []);
      }
      t.diagnostic(`${unfinished} of ${KILL_RUNS} were still at work`);
      assert.ok(unfinished >= KILL_RUNS / 4, `only ${unfinished} of ${KILL_RUNS} were still at work`);
    });
  }

  /** Digests by path, without the configuration, which names the directory. */
  async function filesIn(path: string): Promise<Map<string, string>> {
    const names = await readdir(path, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const kept = files.map((file) => file.slice(path.length + 1)).filter((name) => !name.startsWith('mirror/'));
    return new Map(
      await Promise.all(
        kept.sort().map(async (name) => [name, digestOf(await readFile(join(path, name)))] as [string, string]),
      ),
    );
  }

  /** By another program, and cosign's signature by its own description: a manifest under the tag made of the digest, whose payload names the digest. */
  async function assertReadable(destination: string): Promise<void> {
    const isLayout = destination.startsWith('oci:');
    const name = (suffix: string): string =>
      isLayout ? `${destination}:${source.host}/team/tool:${suffix}` : `docker://${destination}/team/tool:${suffix}`;
    const plain = isLayout ? [] : ['--tls-verify=false'];
    if (!isLayout) {
      assert.equal(digestOf(await skopeo('inspect', '--raw', ...plain, name('v1'))), DIGEST);
      const signature = JSON.parse(await skopeo('inspect', '--raw', ...plain, name(`${tag}.sig`)));
      assert.equal(signature.layers[0].mediaType, 'application/vnd.dev.cosign.simplesigning.v1+json');
      const listed = await skopeo('inspect', '--raw', ...plain, name(tag));
      assert.ok(listed.includes(digestOf(report.manifest)));
      return;
    }
    const path = destination.slice('oci:'.length);
    assert.deepEqual((await readdir(path)).includes('.partial'), false);
    const index = JSON.parse(await readFile(join(path, 'index.json'), 'utf8')) as {
      readonly manifests: readonly { readonly digest: string; readonly annotations: Record<string, string> }[];
    };
    const entry = (suffix: string) =>
      index.manifests.find(
        ({ annotations }) => annotations['org.opencontainers.image.ref.name'] === `${source.host}/team/tool:${suffix}`,
      )!.digest;
    assert.equal(entry('v1'), DIGEST);
    const blob = async (digest: string): Promise<string> =>
      readFile(join(path, 'blobs', digest.replace(':', '/')), 'utf8');
    const { layers: signed } = JSON.parse(await blob(entry(`${tag}.sig`)));
    assert.equal(JSON.parse(await blob(signed[0].digest)).critical.image['docker-manifest-digest'], DIGEST);
    const listed = await blob(entry(tag));
    assert.ok(listed.includes(digestOf(report.manifest)));
    await skopeo('copy', '--all', '--preserve-digests', name('v1'), `dir:${path}-read`);
    assert.equal(digestOf(await readFile(join(`${path}-read`, 'manifest.json'))), DIGEST);
  }
});
