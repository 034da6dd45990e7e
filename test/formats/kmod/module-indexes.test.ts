import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { ofMemory, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeIndexFile } from '../../../src/formats/kmod/decode-index-file.ts';
import { buildModuleIndexes, type ModuleIndexOptions } from '../../../src/formats/kmod/module-indexes.ts';
import { encodeXz } from '../../../src/formats/xz/encode-stream.ts';
import { nodeCompression } from '../../../src/platform/node-compression.ts';
import type { Compression } from '../../../src/platform/types.ts';
import { fileAt, type Literal, treeOfLiterals } from '../../../src/tree/tree.ts';
import { kernelModule, type TestModule } from '../../support/kernel-module.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

interface Result {
  readonly warnings: readonly string[];
  text(name: string): string;
  index(name: string): Record<string, string>;
}

async function indexes(modules: Record<string, Literal>, options: ModuleIndexOptions = {}): Promise<Result> {
  const { files, warnings } = await buildModuleIndexes(treeOfLiterals(modules), nodeCompression, options);
  const data = new Map<string, Uint8Array>();
  for (const { path } of files.entries.slice(1)) data.set(path, await read(fileAt(files, path)!));
  return {
    warnings: warnings.filter((warning) => !/^modules\.[a-z.]+: not there$/.test(warning)),
    text: (name) => Buffer.from(data.get(`modules.${name}`)!).toString('latin1'),
    index: (name) => {
      const found = decodeIndexFile(data.get(`modules.${name}`)!);
      return Object.fromEntries([...found].map(([key, values]) => [key, values.map(({ value }) => value).join('|')]));
    },
  };
}

/** Two modules that need a third, in both directions of the alphabet, and everything a module can say. */
const LIBRARY: TestModule = { exports: ['lib_open', 'lib_close'], info: ['license=GPL', 'alias=lib-alias'] };
const DRIVER: TestModule = {
  needs: ['lib_open', 'printk'],
  info: ['alias=pci:v0000[0-9]-d*', 'alias=devname:drv', 'alias=char-major-10-5', 'softdep=pre: lib', 'weakdep=other'],
};
const ORDER = 'kernel/lib.ko\nkernel/driver.ko\nkernel/user.ko\n';

function sample(common: TestModule = {}): Record<string, Literal> {
  return {
    'kernel/driver.ko': kernelModule({ ...DRIVER, ...common }),
    'kernel/lib.ko': kernelModule({ ...LIBRARY, ...common }),
    'kernel/user.ko': kernelModule({ weak: ['lib_close'], versions: ['module_layout'], ...common }),
    'modules.order': ORDER,
    'modules.builtin': 'kernel/a/built-in.ko\n',
    'modules.builtin.modinfo': 'built_in.alias=x-y\0built_in.license=GPL\0',
  };
}

type Pack = (data: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** By extension. */
const PACKS: Readonly<Record<string, Pack>> = {
  '': (data) => data,
  '.gz': (data) => gzipSync(data),
  '.xz': (data) => encodeXz(data, undefined),
  '.zst': (data) => zstdCompressSync(data),
};

async function packed(modules: Record<string, Literal>, extension: string): Promise<Record<string, Literal>> {
  const found: Record<string, Literal> = {};
  for (const [path, data] of Object.entries(modules)) {
    if (data instanceof Uint8Array) found[`${path}${extension}`] = await PACKS[extension]!(data);
    else found[path] = data;
  }
  return found;
}

test('all files of a small tree', async () => {
  const { text, index, warnings } = await indexes(sample());
  assert.equal(text('dep'), 'kernel/lib.ko:\nkernel/driver.ko: kernel/lib.ko\nkernel/user.ko: kernel/lib.ko\n');
  assert.deepEqual(index('dep.bin'), {
    driver: 'kernel/driver.ko: kernel/lib.ko',
    lib: 'kernel/lib.ko:',
    user: 'kernel/user.ko: kernel/lib.ko',
  });
  const aliases = ['lib-alias lib', 'pci:v0000[0-9]-d* driver', 'devname:drv driver', 'char-major-10-5 driver'];
  assert.equal(
    text('alias'),
    `# Aliases extracted from modules themselves.\n${aliases.map((line) => `alias ${line}\n`).join('')}`,
  );
  assert.deepEqual(index('alias.bin'), {
    char_major_10_5: 'driver',
    'devname:drv': 'driver',
    lib_alias: 'lib',
    'pci:v0000[0-9]_d*': 'driver',
  });
  const symbols = text('symbols').trimEnd().split('\n');
  assert.equal(symbols[0], '# Aliases for symbols, used by symbol_request().');
  assert.deepEqual(symbols.slice(1).sort(), ['alias symbol:lib_close lib', 'alias symbol:lib_open lib']);
  assert.deepEqual(index('symbols.bin'), { 'symbol:lib_close': 'lib', 'symbol:lib_open': 'lib' });
  assert.equal(text('softdep'), '# Soft dependencies extracted from modules themselves.\nsoftdep driver pre: lib\n');
  assert.equal(text('weakdep'), '# Weak dependencies extracted from modules themselves.\nweakdep driver other\n');
  assert.equal(text('devname'), '# Device nodes to trigger on-demand module loading.\ndriver drv c10:5\n');
  assert.deepEqual(index('builtin.bin'), { built_in: '' });
  assert.deepEqual(index('builtin.alias.bin'), { x_y: 'built_in' });
  assert.deepEqual(warnings, []);
});

test('class, byte order and compression make no difference', async () => {
  const expected = await indexes(sample());
  for (const bits of [32, 64] as const) {
    for (const isLittleEndian of [true, false]) {
      for (const extension of Object.keys(PACKS)) {
        const found = await indexes(await packed(sample({ bits, isLittleEndian }), extension));
        assert.equal(found.text('dep'), expected.text('dep').replaceAll('.ko', `.ko${extension}`), extension);
        for (const name of ['alias', 'alias.bin', 'symbols.bin', 'softdep', 'devname']) {
          assert.equal(found.text(name), expected.text(name), `${name} ${bits} ${isLittleEndian} ${extension}`);
        }
      }
    }
  }
});

test('xz needs no native decoder', async () => {
  const own: Compression = Object.create(nodeCompression, { lzma2: { value: undefined } });
  const { files } = await buildModuleIndexes(treeOfLiterals(await packed(sample(), '.xz')), own);
  assert.match(
    Buffer.from(await read(fileAt(files, 'modules.dep')!)).toString(),
    /driver\.ko\.xz: kernel\/lib\.ko\.xz\n/,
  );
});

test('kmod 30 has no weak dependencies, and nodes behind what is below them', async () => {
  const old = await indexes(sample(), { release: 30 });
  const fresh = await indexes(sample());
  assert.throws(() => old.text('weakdep'));
  assert.notEqual(old.text('dep.bin'), fresh.text('dep.bin'));
  assert.deepEqual(old.index('dep.bin'), fresh.index('dep.bin'));
});

test('what symbols modules export and need', async () => {
  const dependencies = async (user: TestModule, library: TestModule = {}): Promise<string> => {
    const modules = { 'a.ko': kernelModule(user), 'b.ko': kernelModule({ exports: ['one'], ...library }) };
    return (await indexes({ ...modules, 'modules.order': 'a.ko\nb.ko\n' })).text('dep').split('\n')[0]!;
  };
  assert.equal(await dependencies({ needs: ['one'] }), 'a.ko: b.ko');
  assert.equal(await dependencies({ needs: ['one'] }, { hasCrcs: false }), 'a.ko: b.ko');
  assert.equal(await dependencies({ needs: ['.one'] }), 'a.ko: b.ko', 'functions of 64-bit PowerPC have a dot');
  assert.equal(await dependencies({ weak: ['one'] }), 'a.ko: b.ko');
  assert.equal(await dependencies({ versions: ['one'] }), 'a.ko: b.ko', 'only __versions says so');
  assert.equal(await dependencies({ needs: ['One', 'one_more'] }), 'a.ko:');
  assert.equal(await dependencies({ needs: ['one'], versions: ['x'.repeat(60)] }), 'a.ko:', 'a version without end');
});

test('of modules that export one symbol the last counts', async () => {
  const modules = {
    'a.ko': kernelModule({ exports: ['same'] }),
    'b.ko': kernelModule({ exports: ['same'] }),
    'c.ko': kernelModule({ needs: ['same'] }),
  };
  assert.match((await indexes({ ...modules, 'modules.order': 'a.ko\nb.ko\nc.ko\n' })).text('dep'), /c\.ko: b\.ko\n/);
  assert.match((await indexes({ ...modules, 'modules.order': 'b.ko\na.ko\nc.ko\n' })).text('dep'), /c\.ko: a\.ko\n/);
});

test('damaged modules are listed and named', async () => {
  const good = kernelModule(LIBRARY);
  const damaged: Record<string, Uint8Array> = {
    empty: new Uint8Array(),
    text: Buffer.from('this is no module at all'),
    cut: good.subarray(0, good.length - 10),
    class: Buffer.from(good).fill(3, 4, 5),
    gzip: gzipSync(good).subarray(0, 40),
    zstd: zstdCompressSync(good).subarray(0, 40),
    xz: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3]),
    bomb: gzipSync(Buffer.alloc(4 << 20)),
    zbomb: zstdCompressSync(Buffer.alloc(4 << 20)),
    large: Buffer.alloc((1 << 20) + 1),
  };
  const modules = Object.fromEntries(Object.entries(damaged).map(([name, data]) => [`${name}.ko`, data]));
  const { text, warnings } = await indexes({ ...modules, 'good.ko': good }, { maxModuleSize: 1 << 20 });
  const names = Object.keys(damaged).sort();
  assert.deepEqual(warnings.map((warning) => /^module (\w+)\.ko: ./.exec(warning)?.[1]).sort(), names);
  assert.deepEqual(text('dep').trimEnd().split('\n').sort(), [...names, 'good'].map((name) => `${name}.ko:`).sort());
});

test('large plain modules are read where they matter', async () => {
  const small = kernelModule(LIBRARY);
  const reads: number[] = [];
  const size = 40 << 20;
  // Its section table and all sections move to the end, behind bytes nobody needs.
  const moved = Buffer.from(small);
  const shift = size - small.length;
  moved.writeBigUInt64LE(moved.readBigUInt64LE(40) + BigInt(shift), 40);
  const table = Number(small.readBigUInt64LE(40));
  for (let at = table + 64; at < small.length; at += 64) {
    moved.writeBigUInt64LE(moved.readBigUInt64LE(at + 24) + BigInt(shift), at + 24);
  }
  const source = {
    key: 'large',
    label: 'large',
    size,
    async read(position: number, into: Uint8Array): Promise<void> {
      reads.push(into.length);
      for (let at = 0; at < into.length; at++) {
        const place = position + at;
        into[at] = place < 64 ? moved[place]! : place >= shift + 64 ? moved[place - shift]! : 0;
      }
    },
  };
  const content = { size, extents: [{ kind: 'range', length: size, source, offset: 0 } as const], starts: [0] };
  const { text } = await indexes({ 'large.ko': content });
  assert.match(text('symbols'), /symbol:lib_open large/);
  assert.ok(reads.reduce((sum, length) => sum + length, 0) < 1 << 20, String(reads));
});

test('zeros in place of a module are no trouble', async () => {
  const { warnings } = await indexes({ 'zeros.ko': zeros(2 ** 40), 'small.ko': zeros(1000) });
  assert.deepEqual(warnings.map((warning) => warning.replace(/:.*/, '')).sort(), [
    'module small.ko',
    'module zeros.ko',
  ]);
});

test('modules that need each other are an error, as are names that are not ASCII', async () => {
  const one = kernelModule({ exports: ['a'], needs: ['b'] });
  const two = kernelModule({ exports: ['b'], needs: ['a'] });
  await assert.rejects(indexes({ 'one.ko': one, 'two.ko': two, 'modules.order': 'one.ko\ntwo.ko\n' }), {
    code: 'invalid-input',
    message: /one -> two -> one/,
  });
  await assert.rejects(indexes({ 'a.ko': kernelModule({ info: ['alias=caf\xe9'] }) }), { message: /want ASCII/ });
  await assert.rejects(indexes({ 'größe.ko': kernelModule() }), { message: /want ASCII/ });
});

test('a stopped build stops', async () => {
  await assert.rejects(indexes(sample(), { signal: AbortSignal.abort() }), { code: 'canceled' });
});

test('what the kernel build did not say leaves empty files, and is said', async () => {
  const { files, warnings } = await buildModuleIndexes(treeOfLiterals({ 'a.ko': kernelModule() }), nodeCompression);
  assert.equal(fileAt(files, 'modules.builtin.bin')?.size, 0);
  assert.equal(fileAt(files, 'modules.builtin.alias.bin')?.size, 0);
  const missing = ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'];
  assert.deepEqual(
    warnings,
    missing.map((name) => `${name}: not there`),
  );
});

test('modules with any bytes changed give index files or an error', async () => {
  const forms = [64, 32].flatMap((bits) =>
    [true, false].map((isLittleEndian) =>
      kernelModule({ ...DRIVER, bits: bits as 32 | 64, isLittleEndian, exports: ['x', 'y'], versions: ['printk'] }),
    ),
  );
  const change = fc.record({
    at: fc.oneof(fc.nat(63), fc.nat(5000)),
    value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0xff), fc.nat(255)),
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(3), fc.array(change, { minLength: 1, maxLength: 6 }), async (form, changes) => {
      const data = Buffer.from(forms[form]!);
      for (const { at, value } of changes) data[at % data.length] = value;
      try {
        const tree = treeOfLiterals({ 'a.ko': ofMemory(data), 'b.ko': ofMemory(forms[0]!) });
        const { files } = await buildModuleIndexes(tree, nodeCompression);
        assert.ok(fileAt(files, 'modules.dep')!.size > 0);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { seed: 1, numRuns: FUZZ_RUNS },
  );
});
