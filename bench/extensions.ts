/** An initramfs with system extensions by the command line: the first time, and again from the store. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Literal } from '../src/tree/tree.ts';
import { extensionImage, extensionTree } from '../test/support/extension-images.ts';
import { writeLayout } from '../test/support/image.ts';
import { buildableArchitecture } from '../test/support/synthetic-assets.ts';
import { skipWithout } from '../test/support/tools.ts';
import { atLeast, atMost, type Bench, milliseconds, notMeasured, type Row } from './figure.ts';
import { buildArguments, imager, makeAssets, REAL_SIZES, settle, withoutSpace } from './imager.ts';
import { type Candidate, measure, repeat } from './measure.ts';
import { EXTENSIONS, SETTINGS, writeExtension } from './squashfs.ts';

export async function extensions({ directory, runs }: Bench): Promise<Row[]> {
  const what = 'initramfs with five extensions';
  const missing = skipWithout('mksquashfs') || withoutSpace(directory, 4);
  if (missing !== false) return [notMeasured(what, missing)];
  const trees = join(directory, 'trees');
  const flags: string[] = [];
  for (let index = 0; index < EXTENSIONS; index++) {
    const tree = join(trees, String(index));
    writeExtension(tree, index);
    const layout = join(directory, `extension-${index}`);
    await writeImage(tree, layout, `extension-${index}`);
    flags.push('--system-extension-image', `oci:${layout}`);
  }
  const { source } = await makeAssets(directory, { ...REAL_SIZES, compression: 'gzip' });
  const output = join(directory, 'out');
  const args = buildArguments(directory, { profile: 'metal', source, output });
  const build: Candidate = {
    ...imager(directory, ...args, '--output-kind', 'initramfs', ...flags),
    prepare: () => settle(output),
  };
  const peer: Candidate = {
    command: ['sh', '-c', packAll(), 'sh', trees, directory],
    prepare: () => execFileSync('sh', ['-c', `rm -f ${directory}/*.sqsh; sync`]),
  };
  // Layers are in the store, as trees are on the disk: what is measured is what is made of them.
  const first: Candidate = {
    ...build,
    prepare: () => {
      rmSync(join(directory, 'store', 'derived'), { recursive: true, force: true });
      settle(output);
    },
  };
  measure(build);
  const theirs = measure(peer);
  const ours = measure(first);
  const again = repeat(build, runs);
  return [
    {
      what: `${what}, first time`,
      ours: `${ours.wall.toFixed(1)} s`,
      peer: `mksquashfs ${SETTINGS.zstd.slice(2).join(' ')} of the same: ${theirs.wall.toFixed(1)} s`,
      ...atMost(ours.wall / theirs.wall, 1, ''),
    },
    { what: 'its memory', ours: '', peer: '', ...atMost(ours.memory, 200, ' MiB', 0) },
    {
      what: 'the same again',
      ours: milliseconds(again.wall),
      peer: `mksquashfs, which upstream runs every time: ${theirs.wall.toFixed(1)} s`,
      ...atLeast(theirs.wall / again.wall, 100, ' times as fast', 0),
    },
  ];
}

async function writeImage(tree: string, layout: string, name: string): Promise<void> {
  const files: Record<string, Literal> = {};
  for (const file of readdirSync(tree)) files[`usr/local/lib/${name}/${file}`] = readFileSync(join(tree, file));
  await writeLayout(layout, { v1: await extensionImage(extensionTree(files, { name }), buildableArchitecture()) });
}

/** One after the other, as upstream does. */
function packAll(): string {
  const settings = SETTINGS.zstd.join(' ');
  return `for tree in "$1"/*; do mksquashfs "$tree" "$2/$(basename "$tree").sqsh" -all-root -noappend -no-progress -quiet ${settings} || exit 1; done`;
}
