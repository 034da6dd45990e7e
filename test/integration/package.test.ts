/** The package as users get it: packed, installed from the registry without development dependencies, run and imported. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chunks } from '../../src/bytes/read.ts';
import { build } from '../../src/pipeline/build.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import { VERSION } from '../../src/version.ts';
import {
  assetFiles,
  EPOCH,
  VERSION as TALOS_VERSION,
  testRequest,
  testWorkplace,
  writeFiles,
} from '../support/pipeline.ts';

const execute = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MIB = 2 ** 20;
/** What an install may cost. */
const MOST = { size: 25 * MIB, packages: 60 };
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED/;

describe('the package', () => {
  let directory: string;
  let files: readonly string[];
  /** Why it could not be installed here. */
  let missing: string | undefined;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bootwright-package-'));
    const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', directory], { cwd: ROOT });
    const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
      { filename: string; files: { path: string }[] },
    ];
    files = packed.files.map(({ path }) => path);
    await writeFile(join(directory, 'package.json'), '{"private": true, "type": "module"}');
    const options = ['--omit=dev', '--no-audit', '--no-fund', '--prefer-offline'];
    try {
      await execute('npm', ['install', ...options, join(directory, packed.filename)], { cwd: directory });
    } catch (error) {
      if (!OFFLINE.test(String(error)) || (process.env.CI ?? '') !== '') throw error;
      missing = 'needs the npm registry, or its packages in the cache';
    }
  });
  after(() => rm(directory, { recursive: true }));

  const node = async (...args: readonly string[]): Promise<string> =>
    (await execute(process.execPath, args, { cwd: directory, env: { HOME: directory } })).stdout;

  test('holds the program, what is compiled of the sources, and nothing else', () => {
    const plain = ['LICENSE', 'README.md', 'bin/bundle.js', 'bin/imager.js', 'package.json'];
    const compiled = files.filter((path) => !plain.includes(path) && !path.startsWith('dist/cli/'));
    assert.ok(['LICENSE', 'bin/imager.js', 'package.json'].every((path) => files.includes(path)));
    for (const path of compiled) {
      const source = path.replace(/^dist\//, 'src/').replace(/\.d\.ts$|\.js$/, '.ts');
      assert.ok(path.startsWith('dist/') && existsSync(join(ROOT, source)), `${path} comes from nowhere`);
    }
    for (const path of ['dist/index.js', 'dist/index.d.ts', 'dist/cli/imager.cjs'])
      assert.ok(files.includes(path), path);
  });

  test('is small once installed', async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const modules = join(directory, 'node_modules');
    const lock = JSON.parse(await readFile(join(modules, '.package-lock.json'), 'utf8')) as { packages: object };
    const packages = Object.keys(lock.packages).length;
    let size = 0;
    for (const path of await readdir(modules, { recursive: true }))
      size += (await stat(join(modules, path))).blocks * 512;
    t.diagnostic(`${packages} packages, ${(size / MIB).toFixed(1)} MiB`);
    assert.ok(packages <= MOST.packages, `${packages} packages`);
    assert.ok(size <= MOST.size, `${size} bytes`);
  });

  test('has the program', async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const imager = join(directory, 'node_modules/.bin/imager');
    assert.equal(await node(imager, '--version'), `${VERSION}\n`);
    const plan = JSON.parse(await node(imager, 'plan', 'iso', '--arch', 'arm64', '--no-resolve', '--json'));
    assert.equal(plan.outputs[0].path, 'metal-arm64.iso');
  });

  test('says nothing but its error where it loads the HTTP client', async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const imager = join(directory, 'node_modules/.bin/imager');
    await assert.rejects(node(imager, 'plan', 'iso', '--quiet', '--imager-image', '127.0.0.1:1/none:v1'), (error) =>
      /^imager: https: 127\.0\.0\.1:1: /.test((error as { stderr: string }).stderr),
    );
  });

  test('builds the bytes that the sources build', async (t) => {
    if (missing !== undefined) return t.skip(missing);
    await using workplace = await testWorkplace();
    const assets = join(workplace.directory, 'assets');
    await writeFiles(assets, assetFiles());
    const request = testRequest({}, { assets: `dir:${assets}` });
    const plan = await planBuild(workplace, request, { resolve: true });
    const hash = createHash('sha256');
    for await (const chunk of chunks((await build(workplace, request, plan)).bytes)) hash.update(chunk);

    await writeFile(join(directory, 'use.js'), USE);
    const found = JSON.parse(await node('use.js', TALOS_VERSION, String(EPOCH), `dir:${assets}`)) as unknown;
    assert.deepEqual(found, { plan: planDigest(plan), sha256: hash.digest('hex') });
  });

  test('has types that a strict project takes, without skipping any', async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const options = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, module: 'nodenext', types: [] };
    const config = { compilerOptions: { ...options, target: 'esnext', lib: ['esnext', 'dom'] }, files: ['use.ts'] };
    await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(config));
    await writeFile(join(directory, 'use.ts'), TYPED_USE);
    await node(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', directory).catch((error: { stdout?: string }) =>
      assert.fail(error.stdout || String(error)),
    );
  });
});

const USE = `
import { build, chunks, finaliseProfile, nodePlatform, parseAssetSource, planBuild, planDigest, resolveProfile } from 'bootwright';
const [, , version, epoch, assets] = process.argv;
const platform = nodePlatform();
const workplace = { platform, store: 'store', transport: {} };
const profile = finaliseProfile(resolveProfile({ baseProfileName: 'iso', arch: 'arm64', version }));
const request = { profile, epoch: Number(epoch), assets: parseAssetSource(assets) };
const plan = await planBuild(workplace, request, { resolve: true });
const artifact = await build(workplace, request, plan);
const hash = platform.hash('sha256');
for await (const chunk of chunks(artifact.bytes)) hash.update(chunk);
console.log(JSON.stringify({ plan: planDigest(plan), sha256: Buffer.from(hash.digest()).toString('hex') }));
await platform.close();
`;

const TYPED_USE = `
import { type Artifact, type Plan, planBuild, nodePlatform, toResponse, type Workplace } from 'bootwright';
const workplace: Workplace = { platform: nodePlatform({}), store: 'store', transport: { offline: true } };
export const digestOf = (plan: Plan): string | null | undefined => plan.inputs[0]?.digest;
export const plan = (request: Parameters<typeof planBuild>[1]): Promise<Plan> =>
  planBuild(workplace, request, { resolve: false });
export const answer = (artifact: Artifact, request: Request): Response =>
  toResponse(artifact, { method: request.method, range: request.headers.get('range') }, 'tag');
// @ts-expect-error: a plan is read only
export const change = (plan: Plan): number => (plan.epoch = 0);
`;
