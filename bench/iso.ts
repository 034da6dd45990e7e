/** ISO images. */
import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { atMost, type Bench, forInformation, GIB, MIB, mebibytes, notMeasured, type Row } from './figure.ts';
import {
  againstCopy,
  buildArguments,
  imager,
  makeAssets,
  onlyFile,
  REAL_SIZES,
  ROOT,
  settle,
  withoutSpace,
} from './imager.ts';
import { type Candidate, measure, repeat } from './measure.ts';

/** A customised ISO of assets of the real size, from a store that has them, against copying it. */
export async function warmIso({ directory, runs }: Bench): Promise<Row[]> {
  const assets = await makeAssets(directory, { ...REAL_SIZES, compression: 'gzip' });
  const output = join(directory, 'out');
  const build: Candidate = {
    ...imager(directory, ...isoArguments(directory, assets.source, output)),
    prepare: () => settle(output),
  };
  measure(build);
  const iso = join(directory, 'template.iso');
  // Moved, not copied: it keeps its holes, which cp then finds.
  renameSync(onlyFile(output), iso);
  const { size, blocks } = statSync(iso);
  const content = REAL_SIZES.kernelSize + REAL_SIZES.initramfsSize;
  return [
    ...againstCopy('ISO with META, warm store', build, { file: iso, limit: 1.3, runs }),
    {
      what: 'ISO size on disk',
      ours: mebibytes(blocks * 512),
      peer: `kernel + initramfs: ${mebibytes(content)}`,
      ...forInformation(((blocks * 512) / content).toFixed(3)),
    },
    {
      what: 'ISO size as downloaded',
      ours: mebibytes(size),
      peer: `kernel + initramfs: ${mebibytes(content)}`,
      ...forInformation((size / content).toFixed(3)),
    },
  ];
}

/** Memory must not grow with what is put into an image. */
export async function isoMemory({ directory }: Bench): Promise<Row[]> {
  const missing = withoutSpace(directory, 10);
  if (missing !== false) return [notMeasured('peak memory, 2 GiB initramfs', missing)];
  const rows: Row[] = [];
  for (const [name, initramfsSize] of [
    ['64 MiB', 64 * MIB],
    // As much as fits a 32-bit size together with the rest of an image.
    ['2 GiB', 2 * GIB],
  ] as const) {
    const own = join(directory, name.replace(' ', ''));
    const assets = await makeAssets(own, { kernelSize: 20 * MIB, initramfsSize, compression: 'none' });
    const output = join(own, 'out');
    const build = { ...imager(own, ...isoArguments(own, assets.source, output)), prepare: () => settle(output) };
    const warm = repeat(build, 3);
    // Behind the others: the very first run of a checkout also compiles.
    rmSync(join(own, 'store'), { recursive: true });
    const cold = measure(build);
    for (const [store, { memory: peak }] of [
      ['warm', warm],
      ['empty', cold],
    ] as const) {
      rows.push({
        what: `peak memory, ${name} initramfs, ${store} store`,
        ours: `${peak.toFixed(0)} MiB`,
        peer: '',
        ...atMost(peak, 150, ' MiB', 0),
      });
    }
    rmSync(own, { recursive: true });
  }
  return rows;
}

const NETWORK_DOCUMENT = join(ROOT, 'examples/network.yaml');

function isoArguments(directory: string, source: string, output: string): string[] {
  return [...buildArguments(directory, { profile: 'iso', source, output }), '--meta', `0xa=@${NETWORK_DOCUMENT}`];
}
