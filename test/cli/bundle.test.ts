/** What bin/imager.js starts: the bundle where it is what the sources say, the sources where they have changed; and what is kept of a run for the next. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { IMAGER } from '../support/imager-process.ts';

const execute = promisify(execFile);

/** As scripts/bundle.js writes it: where it fails, it says so by its exit code. */
const BUNDLE = `// 0123456789abcdef
(function (exports, require, module, __filename) {
exports.run = async () => {
  if (process.argv[2] === 'fail') process.exitCode = 2;
  console.log('bundle');
};
})`;

describe('bin/imager.js', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'bootwright-bin-'));
    for (const folder of ['bin', 'dist/cli', 'src/cli']) await mkdir(join(root, folder), { recursive: true });
    for (const name of ['imager.js', 'bundle.js']) await copyFile(join(dirname(IMAGER), name), join(root, 'bin', name));
    await writeFile(join(root, 'package.json'), '{"type": "module"}');
    await writeFile(join(root, 'src/cli/run.ts'), "export const run = (): void => console.log('sources');");
    await writeFile(join(root, 'dist/cli/imager.cjs'), BUNDLE);
    await writeInputs();
  });
  afterEach(() => rm(root, { recursive: true }));

  async function writeInputs(): Promise<void> {
    const { size, mtimeMs } = await stat(join(root, 'src/cli/run.ts'));
    await writeFile(join(root, 'dist/imager.inputs'), `${size} ${mtimeMs} src/cli/run.ts`);
  }

  async function started(...args: readonly string[]): Promise<string> {
    const env = { XDG_CACHE_HOME: join(root, 'cache') };
    const { stdout, stderr } = await execute(process.execPath, [join(root, 'bin/imager.js'), ...args], { env });
    assert.equal(stderr, '');
    return stdout.trim();
  }

  /** Paths of what is kept of bundles, without the names of their version. */
  async function kept(): Promise<string[]> {
    const found = await readdir(join(root, 'cache'), { recursive: true }).catch(() => []);
    return found.filter((path) => path.includes('/bundle-')).map((path) => path.replace(/^.*\/bundle-/, ''));
  }

  test('the bundle of these very sources', async () => {
    assert.equal(await started(), 'bundle');
  });

  test('the sources, when one is newer than the bundle', async () => {
    await utimes(join(root, 'src/cli/run.ts'), new Date(), new Date(Date.now() + 1000));
    assert.equal(await started(), 'sources');
  });

  test('the sources, when one is older than the bundle was made of', async () => {
    await utimes(join(root, 'src/cli/run.ts'), new Date(), new Date(0));
    assert.equal(await started(), 'sources');
  });

  test('the sources, when one is gone', async () => {
    await writeFile(join(root, 'dist/imager.inputs'), '1 1 src/cli/gone.ts');
    assert.equal(await started(), 'sources');
  });

  test('the sources, where nothing was bundled or bundling was cut short', async () => {
    await rm(join(root, 'dist/imager.inputs'));
    assert.equal(await started(), 'sources');
    await writeInputs();
    await rm(join(root, 'dist/cli/imager.cjs'));
    assert.equal(await started(), 'sources');
  });

  test('the bundle in a package, which has no sources', async () => {
    await rm(join(root, 'src'), { recursive: true });
    await rm(join(root, 'dist/imager.inputs'));
    assert.equal(await started(), 'bundle');
  });

  test('compiled code is kept by command, of runs that succeeded', async () => {
    const own = `0123456789abcdef-${process.version}-${process.arch}`;
    await assert.rejects(started('fail'), { code: 2 });
    assert.deepEqual(await kept(), []);
    for (const args of [['iso'], ['iso', '--quiet'], ['metal', '--help'], ['../../escape']])
      assert.equal(await started(...args), 'bundle');
    assert.deepEqual((await kept()).sort(), [own, `${own}/iso`, `${own}/other`]);
  });

  test('what is kept is taken as long as nothing of it has changed', async () => {
    await started('iso');
    const path = join(root, 'cache/bootwright-code', `bundle-${(await kept()).find((name) => name.endsWith('/iso'))}`);
    const before = await stat(path);
    await started('iso');
    assert.equal((await stat(path)).ino, before.ino);
    const data = await readFile(path);
    for (const damaged of [
      data.fill(0x5a, data.length / 2, data.length / 2 + 64),
      data.subarray(0, 100),
      data.subarray(0, 0),
    ]) {
      await writeFile(path, damaged);
      assert.equal(await started('iso'), 'bundle');
      assert.notDeepEqual(await readFile(path), damaged);
    }
  });

  test('what older versions left goes after a month', async () => {
    const [old, recent] = ['old', 'recent'].map((name) => join(root, `cache/bootwright-code/bundle-${name}`));
    for (const path of [old!, recent!]) await mkdir(path, { recursive: true });
    await utimes(old!, new Date(), new Date(Date.now() - 31 * 86_400_000));
    await started('iso');
    assert.deepEqual([existsSync(old!), existsSync(recent!)], [false, true]);
  });

  test('a cache that cannot be written is no error', async () => {
    await writeFile(join(root, 'cache'), '');
    assert.equal(await started('iso'), 'bundle');
  });
});
