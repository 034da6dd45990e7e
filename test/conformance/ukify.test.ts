/** systemd's own ukify, taken out of its Debian 13 package, reads our UKIs section by section. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { downloadPackages } from '../../scripts/demo/debian-packages.ts';
import { readUki } from '../../src/boot/uki-contents.ts';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { sectionContent } from '../../src/formats/pe/image.ts';
import { demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { startImager } from '../support/imager-process.ts';

/** Debian's own Python: the one that has the module `pefile` from the package python3-pefile. */
const PYTHON = '/usr/bin/python3';

interface Inspected {
  readonly size: number;
  readonly sha256: string;
  readonly text?: string;
}

test('ukify inspect finds every section with its content', { skip: skipWithoutDemoAssets() }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bootwright-ukify-'));
  try {
    const { finished } = startImager([
      ...['metal-uki', '--imager-image', `oci:${await demoLayout()}`, '--arch', 'amd64', '--quiet'],
      ...['--store', join(directory, 'store'), '--output', directory],
    ]);
    const { code, stderr } = await finished;
    assert.equal(code, 0, stderr);
    const path = join(directory, 'metal-amd64-uki.efi');
    const inspected = inspect(await ukify(directory), path);
    const { sections } = await readUki(ofMemory(await readFile(path)));
    for (const name of ['.osrel', '.cmdline', '.uname', '.splash', '.linux', '.initrd', '.profile', '.sbat']) {
      const content = await read(sectionContent(sections.find((section) => section.name === name)!));
      assert.equal(inspected[name]?.size, content.length, name);
      assert.equal(inspected[name].sha256, createHash('sha256').update(content).digest('hex'), name);
    }
    assert.equal(inspected['.profile']?.text, 'ID=main');
  } finally {
    await rm(directory, { recursive: true });
  }
});

function inspect(program: string, image: string): Readonly<Record<string, Inspected>> {
  const output = execFileSync(PYTHON, [program, '--json=short', 'inspect', image], { encoding: 'utf8' });
  return JSON.parse(output) as Readonly<Record<string, Inspected>>;
}

async function ukify(directory: string): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo', 'ukify');
  const [file] = await downloadPackages([{ name: 'systemd-ukify', architecture: 'amd64' }], { directory: cache });
  execFileSync('dpkg-deb', ['-x', file!, join(directory, 'ukify')]);
  return join(directory, 'ukify/usr/lib/systemd/ukify');
}
