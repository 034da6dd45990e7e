/** `npm run bench [-- FIGURE...] [--runs N]`: one table of what is promised, with what it is compared to. Always exits 0: a figure is for judging, not a gate. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { qcow2Disk, rawDisk, zstdDisk } from './disk.ts';
import { diskMemory } from './disk-memory.ts';
import { extensions } from './extensions.ts';
import { faultyRegistries } from './faults.ts';
import type { Figure, Row } from './figure.ts';
import { isoMemory, warmIso } from './iso.ts';
import { table } from './measure.ts';
import { moduleIndexes } from './module-indexes.ts';
import { packedDisks } from './packed-disk.ts';
import { coldPull } from './pull.ts';
import { realContent } from './real-content.ts';
import { squashfs } from './squashfs.ts';
import { install, startUp } from './start-up.ts';
import { volumes } from './volumes.ts';

/** By the name that selects it. */
const FIGURES: Readonly<Record<string, Figure>> = {
  'warm-iso': warmIso,
  memory: isoMemory,
  'raw-disk': rawDisk,
  'zstd-disk': zstdDisk,
  'packed-disks': packedDisks,
  qcow2: qcow2Disk,
  'real-content': realContent,
  'disk-memory': diskMemory,
  volumes,
  squashfs,
  extensions,
  'module-indexes': moduleIndexes,
  'cold-pull': coldPull,
  faults: faultyRegistries,
  'start-up': startUp,
  install,
};

const names = Object.keys(FIGURES);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '7' }, help: { type: 'boolean', short: 'h', default: false } },
});
const unknown = positionals.filter((name) => !names.includes(name));

if (values.help || unknown.length > 0) {
  for (const name of unknown) console.error(`bench: no figure ${name}`);
  console.log(
    `usage: npm run bench [-- FIGURE... --runs N]\n\nFigures: ${names.join(', ')} (default: all). Medians of N runs (7), in turns with the peer.`,
  );
} else {
  await run(positionals.length > 0 ? positionals : names);
}

async function run(chosen: readonly string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bootwright-bench-'));
  const clean = (): void => rmSync(directory, { recursive: true, force: true });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      clean();
      process.exit(0);
    });
  }
  const rows: Row[] = [];
  try {
    for (const name of chosen) {
      process.stderr.write(`bench: ${name}\n`);
      const own = join(directory, name);
      mkdirSync(own);
      rows.push(...(await measured(name, own)));
      rmSync(own, { recursive: true });
    }
  } finally {
    clean();
  }
  console.log(
    `Node ${process.versions.node}, ${availableParallelism()} processors; medians of ${values.runs} runs in turns\n`,
  );
  console.log(table([['figure', 'ours', 'peer', 'result', 'target', ''], ...rows.map(cells)]));
  for (const { what, note } of rows) if (note !== undefined) console.log(`\n${what}: ${note}`);
}

async function measured(name: string, directory: string): Promise<Row[]> {
  try {
    return await FIGURES[name]!({ directory, runs: Math.max(1, Number(values.runs) || 7) });
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    return [{ what: name, ours: '', peer: '', result: 'failed', target: '', isMet: false, note }];
  }
}

function cells({ what, ours, peer, result, target, isMet }: Row): string[] {
  return [what, ours, peer, result, target, isMet === undefined ? '' : isMet ? 'met' : 'MISSED'];
}
