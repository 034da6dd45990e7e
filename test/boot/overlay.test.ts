/** Disks with an overlay whose program really ran: one boots with its arguments, one for a board has its boot loader before the partitions. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ofSource, slice } from '../../src/bytes/bytes.ts';
import { read, readText } from '../../src/bytes/read.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { startImager } from '../support/imager-process.ts';
import { writeOverlay } from '../support/overlay.ts';
import { bootInQemu, skipWithoutQemu } from '../support/qemu.ts';
import { skipWithout } from '../support/tools.ts';

const SOURCE = fileURLToPath(new URL('../support/overlay-program.c', import.meta.url));
const skip = skipWithoutDemoAssets() || skipWithoutQemu('ovmf') || skipWithout('gcc');

let directory = '';
let overlay = '';

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-overlay-'));
  await promisify(execFile)('gcc', ['-static', '-O1', '-w', '-o', join(directory, 'board'), SOURCE]);
  const program = new Uint8Array(await readFile(join(directory, 'board')));
  overlay = await writeOverlay(directory, { 'installers/board': program, 'artifacts/loader.bin': 'U-BOOT' });
});

after(async () => {
  if (directory !== '') await rm(directory, { recursive: true });
});

async function built(arch: 'amd64' | 'arm64', options: Readonly<Record<string, number>>) {
  const profile: GivenProfile = {
    baseProfileName: 'metal',
    arch,
    version: 'v1.13.0',
    overlay: { name: 'board', image: { tarballPath: overlay }, options },
    output: { outFormat: 'raw', imageOptions: { bootloader: 'sd-boot' } },
  };
  const file = join(directory, 'profile.json');
  await writeFile(file, JSON.stringify(profile));
  const args = ['-', '--imager-image', `oci:${await demoLayout()}:v1.13.0`, '--store', join(directory, 'store')];
  const { finished } = startImager([...args, '--output', join(directory, arch), '--quiet', '--json'], {
    before: `exec <"${file}"`,
  });
  const { code, stdout, stderr } = await finished;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout.toString('utf8')) as { path: string; cmdline: string };
}

/** The overlay's part of a disk: where the first partition begins, what lies at byte 32768, and its file in the EFI partition. */
async function traces(path: string) {
  const platform = nodePlatform({ HOME: directory });
  try {
    const disk = ofSource(await platform.files.source(path));
    const gpt = await decodeGpt(disk);
    const first = [...gpt.partitions.values()][0]!;
    const { offset, size } = partitionRange(gpt, first);
    const { tree } = await decodeFat(slice(disk, offset, offset + size));
    return {
      name: first.name,
      firstLba: first.firstLba,
      loader: new TextDecoder().decode(await read(disk, 32768, 6)),
      config: await readText(fileAt(tree, 'config.txt')!, 'config.txt', 100),
    };
  } finally {
    await platform.close();
  }
}

test('an amd64 disk boots with the arguments of its overlay', { skip }, async (t) => {
  const { path, cmdline } = await built('amd64', {});
  assert.match(cmdline, / console=ttyS0 board\.arg=1 /);
  const { report, seconds } = await bootInQemu({
    firmware: 'ovmf',
    medium: { kind: 'nvme', image: path, format: 'raw' },
  });
  t.diagnostic(`${seconds.toFixed(1)} s`);
  assert.equal(report.cmdline, cmdline);
  assert.deepEqual(report.damaged, []);
  assert.deepEqual(await traces(path), { name: 'EFI', firstLba: 2048, loader: 'U-BOOT', config: 'arm_64bit=1\n' });
});

test('an arm64 disk has what its board loads before the partitions', { skip }, async () => {
  const { path, cmdline } = await built('arm64', { offset: 20480 });
  assert.match(cmdline, / console=ttyS0 board\.arg=1 /);
  assert.deepEqual(await traces(path), { name: 'EFI', firstLba: 22528, loader: 'U-BOOT', config: 'arm_64bit=1\n' });
});
