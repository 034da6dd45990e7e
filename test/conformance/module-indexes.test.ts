/** Module indexes byte for byte those of depmod: of two releases, on Debian's kernels and on trees made up to be awkward. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { Architecture } from '../../scripts/demo/debian-packages.ts';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { parseDepmodConfiguration } from '../../src/formats/kmod/configuration.ts';
import { buildModuleIndexes, type KmodRelease } from '../../src/formats/kmod/module-indexes.ts';
import { encodeXz } from '../../src/formats/xz/encode-stream.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { treeOfDirectory } from '../../src/tree/directory.ts';
import { debianKernel } from '../support/debian-kernel.ts';
import { debianPrograms, type Programs, skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { kernelModule, type TestModule } from '../support/kernel-module.ts';
import { skipWithout } from '../support/tools.ts';

const KERNEL = '6.1.0';
const skip = skipWithoutDebianPrograms();
const machine = nodePlatform({});
let directory = '';
let debian: Programs;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'depmod-'));
  if (skip === false)
    debian = await debianPrograms(['kmod', 'libkmod2', 'libc6', 'libzstd1', 'liblzma5', 'libssl3t64', 'zlib1g']);
});

after(async () => {
  rmSync(directory, { recursive: true, force: true });
  await machine.close();
});

interface Judgement {
  readonly code: number | null;
  readonly said: string;
  /** By name. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** Debian's depmod, on the tree below `root/lib/modules`. */
function judge(root: string, kernel: string, configuration: string): Judgement {
  const out = join(directory, 'out');
  rmSync(out, { recursive: true, force: true });
  const places = ['--basedir', root, '--moduledir', '/lib/modules', '--outdir', out, '--config', configuration];
  const { code, text } = debian.run('depmod', '--all', ...places, kernel);
  const made = join(out, 'lib/modules', kernel);
  const names = existsSync(made) ? readdirSync(made) : [];
  return { code, said: text, files: new Map(names.map((name) => [name, readFileSync(join(made, name))])) };
}

async function ours(modules: string, configuration: string, release: KmodRelease = 34): Promise<Map<string, Buffer>> {
  const options = { release, configuration: parseDepmodConfiguration(configuration, KERNEL, 'depmod.conf') };
  const { files } = await buildModuleIndexes(
    await treeOfDirectory(machine.files, modules),
    machine.compression,
    options,
  );
  const found = new Map<string, Buffer>();
  for (const entry of files.entries)
    if (entry.kind === 'file') found.set(entry.path, Buffer.from(await read(entry.content)));
  return found;
}

function assertSameFiles(
  found: ReadonlyMap<string, Buffer>,
  expected: ReadonlyMap<string, Buffer>,
  what: string,
): void {
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort(), what);
  for (const [name, data] of expected) assert.equal(found.get(name)!.equals(data), true, `${what}: ${name}`);
}

/** The whole kernel of a Debian release, thousands of modules, and the smaller one of other machines. */
const KERNELS: readonly (readonly [string, Architecture])[] = [
  ['linux-image-amd64', 'amd64'],
  ['linux-image-cloud-arm64', 'arm64'],
];

for (const [name, architecture] of KERNELS) {
  test(`${name} of Debian`, { skip }, async () => {
    const { root, version } = await debianKernel(name, architecture);
    const configuration = writeConfiguration('');
    const { code, said, files } = judge(root, version, configuration);
    assert.equal(code, 0, said);
    assertSameFiles(await ours(join(root, 'lib/modules', version), ''), files, name);
  });
}

function writeConfiguration(text: string): string {
  const path = join(directory, 'depmod.conf');
  writeFileSync(path, text);
  return path;
}

/** Numbers that look random, the same from one seed. */
function numbers(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 0x9e3779b1);
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    return (state >>> 8) % limit;
  };
}

type Pick = (limit: number) => number;

function oneOf<T>(next: Pick, values: readonly T[]): T {
  return values[next(values.length)]!;
}

const CONFIGURATIONS = [
  '',
  'search updates extras built-in\n',
  'search extras built-in\n',
  'search built-in updates\n',
  'search updates\n# nothing\noverride mod1 * extras\noverride z 6\\.1.* kernel/drivers\n',
  'search updates/x updates built-in\nexclude a\n',
] as const;

const ALIASES = [
  'pci:v0000-1d*sc[0-9]-x',
  'usb:v-p[a-z]*',
  'odd]',
  '[open',
  'char-major-10-7',
  'block-major-8-*',
  'block-major-7-1x',
  'devname:foo/bar',
  'devname:net',
  '',
  'with spaces',
  'x[]-y',
  'tab\there',
  '-'.repeat(5000),
] as const;

function randomModule(next: Pick, index: number, count: number): TestModule {
  const symbol = (limit: number): string => (limit === 0 ? 'printk' : `symbol_${next(limit)}`);
  const exports = Array.from({ length: next(4) }, (_, number) => `symbol_${index * 4 + number}`);
  // Sometimes of another module: circles and two modules with one symbol come from this.
  if (next(100) === 0) exports.push(symbol(count * 4));
  const needs = Array.from({ length: next(5) }, () => symbol(index * 4)).filter((name) => !exports.includes(name));
  if (next(6) === 0) needs.push('printk', `.${symbol(index * 4)}`);
  const info = ['license=GPL', ...Array.from({ length: next(6) }, () => `alias=${oneOf(next, ALIASES)}`)];
  if (next(3) === 0) info.push(`softdep=pre: ${symbol(9)} post: x`);
  if (next(4) === 0) info.push(`weakdep=${symbol(9)}`);
  if (next(8) === 0) info.push('alias');
  const versions = next(2) === 0 ? [...needs, 'module_layout', symbol(index * 4)] : [];
  return {
    bits: oneOf(next, [32, 64]),
    isLittleEndian: next(3) > 0,
    machine: oneOf(next, [62, 3, 2, 43, 21]),
    info,
    exports,
    hasCrcs: next(3) > 0,
    needs,
    weak: next(4) === 0 ? [symbol(index * 4)] : [],
    versions,
  };
}

/** Without two modules between which the order of a directory on disk decides. */
class Places {
  readonly #used = new Map<string, string>();
  readonly #better: string;

  constructor(configuration: string) {
    this.#better = configuration.startsWith('search extras') ? 'extras' : 'updates';
  }

  /** Where a module of this name can go, if anywhere. */
  take(next: Pick, name: string): string | undefined {
    const key = name.replace(/\..*/, '').replaceAll('-', '_');
    const used = this.#used.get(key);
    if (used !== undefined && !used.startsWith('kernel')) return undefined;
    const place = used === undefined ? oneOf(next, PLACES) : this.#better;
    this.#used.set(key, used === undefined ? place : 'both');
    return place;
  }
}

const PLACES = ['kernel/drivers', 'kernel/net/a', 'updates', 'updates/x', 'extras', '.'] as const;

/** A tree below `root/lib/modules`, and what depmod is told. */
async function writeRandomTree(root: string, next: Pick, change: (data: Buffer) => Buffer): Promise<string> {
  const configuration = oneOf(next, CONFIGURATIONS);
  const top = join(root, 'lib/modules', KERNEL);
  const places = new Places(configuration);
  const count = 1 + next(30);
  const order: string[] = [];
  for (let index = 0; index < count; index++) {
    const name = `${oneOf(next, ['mod', 'a-b', 'x_y', `drv${index}.v2`, 'z'])}${next(4) > 0 ? index : ''}`;
    const place = places.take(next, name);
    if (place === undefined) continue;
    const data = change(kernelModule(randomModule(next, index, count)));
    const path = join(top, place, `${name}.ko`);
    mkdirSync(dirname(path), { recursive: true });
    const form = next(4);
    if (form === 1) writeFileSync(`${path}.xz`, await encodeXz(data, undefined));
    else if (form === 2) writeFileSync(`${path}.zst`, zstdCompressSync(data));
    else writeFileSync(path, data);
    if (next(3) > 0) order.push(join(place, `${name}.ko`));
  }
  order.sort(() => next(3) - 1);
  if (next(6) > 0) {
    const lines = [...order, 'kernel/none.ko', ...order.slice(0, 1)].map((line) => `${line}\n`);
    writeFileSync(join(top, 'modules.order'), lines.join('') + (next(8) > 0 ? '' : 'kernel/cut'));
  }
  if (next(4) > 0) {
    const lines = ['kernel/a/b-c.ko', 'kernel/a/d.ko', '1bad', 'kernel/none', 'kernel/a/d.ko', ''];
    writeFileSync(join(top, 'modules.builtin'), lines.join('\n'));
  }
  if (next(4) > 0) {
    const records = [
      'foo.alias=pci:a-b[0-9]',
      'foo.license=GPL',
      'bar.alias=x]',
      'b-r.alias=',
      'none',
      'b-r.alias=p-q',
    ];
    writeFileSync(join(top, 'modules.builtin.modinfo'), `${records.join('\0')}\0z.file=a.b=c\0z.alias=cut`);
  }
  return configuration;
}

type Outcome = 'same' | 'refused' | 'died';

/** Compared with Debian's depmod, where that comes to an end: a circle behind modules that are in none can keep it going for ever. */
async function compareRandomTree(seed: number, change: (data: Buffer, next: Pick) => Buffer): Promise<Outcome> {
  const next = numbers(seed);
  const root = join(directory, `tree-${seed}`);
  const configuration = await writeRandomTree(root, next, (data) => change(data, next));
  try {
    const found = await ours(join(root, 'lib/modules', KERNEL), configuration).catch((error: unknown) => {
      if (error instanceof ImagerError && /cycles|ASCII/.test(error.message)) return undefined;
      throw error;
    });
    if (found === undefined) return 'refused';
    const { code, said, files } = judge(root, KERNEL, writeConfiguration(configuration));
    if (code === null || code > 1 || /Assertion/.test(said)) return 'died';
    assert.equal(code, 0, `tree ${seed}: ${said}`);
    assertSameFiles(found, files, `tree ${seed}`);
    return 'same';
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('made-up trees: duplicates, gaps, circles, odd names, every form', { skip }, async () => {
  const results = { same: 0, refused: 0, died: 0 };
  for (let seed = 1; seed <= 60; seed++) results[await compareRandomTree(seed, (data) => data)]++;
  assert.equal(results.died, 0, JSON.stringify(results));
  assert.ok(results.same > 45, JSON.stringify(results));
});

test('damaged modules', { skip }, async () => {
  const results = { same: 0, refused: 0, died: 0 };
  for (let seed = 101; seed <= 160; seed++) {
    results[
      await compareRandomTree(seed, (data, next) => {
        if (next(10) > 0) return data;
        for (let count = 1 + next(3); count > 0; count--) {
          // Not the section of names: depmod stops at an assertion when there is none.
          const at = next(data.length - 2);
          if (at !== 62 && at !== 50) data[at] = oneOf(next, [0, 1, 0x2e, 0x7f, next(128)]);
        }
        return next(8) === 0 ? data.subarray(0, next(data.length)) : data;
      })
    ]++;
  }
  assert.ok(results.same > 30, JSON.stringify(results));
});

test('a circle is named as depmod names it', { skip }, async () => {
  const root = join(directory, 'circle');
  const top = join(root, 'lib/modules', KERNEL);
  mkdirSync(top, { recursive: true });
  const names = ['one', 'two', 'three'];
  for (const [index, name] of names.entries()) {
    const data = kernelModule({ exports: [name], needs: [names[(index + 1) % 3]!] });
    writeFileSync(join(top, `${name}.ko`), data);
  }
  writeFileSync(join(top, 'modules.order'), names.map((name) => `${name}.ko\n`).join(''));
  const { code, said } = judge(root, KERNEL, writeConfiguration(''));
  assert.equal(code, 1);
  assert.match(said, /Cycle detected: one -> two -> three -> one\n/);
  await assert.rejects(ours(top, ''), { code: 'invalid-input', message: /3 in .*: one -> two -> three -> one$/ });
});

test('the older release of the system writes what we write for it', { skip: skipWithout('depmod') }, async (t) => {
  const depmod = spawnSync('depmod', ['--version'], { encoding: 'utf8' }).stdout;
  const version = Number(/kmod version (\d+)/.exec(depmod)?.[1]);
  if (version === 33) return t.skip('kmod 33 is between the two releases we write like');
  const release = version < 33 ? 30 : 34;
  for (let seed = 201; seed <= 220; seed++) {
    const root = join(directory, `tree-${seed}`);
    const configuration = await writeRandomTree(root, numbers(seed), (data) => data);
    const top = join(root, 'lib/modules', KERNEL);
    const arguments_ = ['--all', '--basedir', root, '--config', writeConfiguration(configuration), KERNEL];
    const inputs = new Set(readdirSync(top));
    const expected = ours(top, configuration, release);
    // One side refuses circles where the other may go on for ever.
    const found = await expected.catch((error: unknown) => error);
    if (found instanceof Error) continue;
    execFileSync('depmod', arguments_, { stdio: 'pipe' });
    const names = readdirSync(top).filter((name) => !inputs.has(name));
    assertSameFiles(
      await expected,
      new Map(names.map((name) => [name, readFileSync(join(top, name))])),
      `tree ${seed}`,
    );
  }
});
