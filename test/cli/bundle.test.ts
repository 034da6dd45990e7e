/** What bin/imager.js starts: the bundle where it is what the sources say, the sources where they have changed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { IMAGER } from '../support/imager-process.ts';

const execute = promisify(execFile);

describe('bin/imager.js', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'bootwright-bin-'));
    for (const folder of ['bin', 'dist/cli', 'src/cli']) await mkdir(join(root, folder), { recursive: true });
    await copyFile(IMAGER, join(root, 'bin/imager.js'));
    await writeFile(join(root, 'package.json'), '{"type": "module"}');
    await writeFile(join(root, 'src/cli/run.ts'), "export const run = (): void => console.log('sources');");
    await writeFile(join(root, 'dist/cli/imager.js'), "export const run = () => console.log('bundle');");
    await writeInputs();
  });
  afterEach(() => rm(root, { recursive: true }));

  async function writeInputs(): Promise<void> {
    const { size, mtimeMs } = await stat(join(root, 'src/cli/run.ts'));
    await writeFile(join(root, 'dist/imager.inputs'), `${size} ${mtimeMs} src/cli/run.ts`);
  }

  async function started(): Promise<string> {
    const { stdout } = await execute(process.execPath, [join(root, 'bin/imager.js')], { env: {} });
    return stdout.trim();
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
  });

  test('the bundle in a package, which has no sources', async () => {
    await rm(join(root, 'src'), { recursive: true });
    await rm(join(root, 'dist/imager.inputs'));
    assert.equal(await started(), 'bundle');
  });
});
