/** Stock decompressors read our containers, and GNU tar writes the same archive. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Bytes, concat, ofMemory, ofSource, place, slice, zeros } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { GIB, MIB } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { layoutSparseTar } from '../../src/formats/tar/sparse-member.ts';
import { compressContent } from '../../src/pipeline/compress-content.ts';
import type { CompressedFormat } from '../../src/pipeline/compression.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { type TestWorkplace, testWorkplace } from '../support/pipeline.ts';
import { skipWithout } from '../support/tools.ts';

const run = promisify(execFile);
const skip = skipWithout('zstd', 'zstdcat', 'gzip', 'pigz', 'xz', '7z', 'python3', 'tar', 'cmp');

/** Where Debian puts the sources of Go libraries. */
const GO_LIBRARIES = '/usr/share/gocode';
const withoutGo = skipWithout('go') || withoutLibrary(`${GO_LIBRARIES}/src/github.com/klauspost/compress/zstd`);

function withoutLibrary(path: string): string | false {
  if (existsSync(path)) return false;
  if ((process.env.CI ?? '') !== '') throw new Error(`needs ${path}: install golang-github-klauspost-compress-dev`);
  return `needs ${path}`;
}

const random = memorySource(stream('conformance', 5 * MIB));
const text = memorySource(
  new TextEncoder().encode(
    Array.from(
      { length: 60_000 },
      (_, index) => `    option ${index} = ${(index * 7919) % 1009} # ${'-'.repeat(index % 12)}\n`,
    ).join(''),
  ),
);
const table = Uint8Array.from({ length: 300_000 }, (_, index) =>
  index % 4 === 0 ? index >> 2 : index % 4 === 1 ? index >> 10 : 0,
);

/** Every kind of content there is, some of it again, near and farther away than any window. */
const kernel = ofSource(random, 0, 3 * MIB + 7);
const files = concat([ofSource(text), zeros(77), ofMemory(table), ofSource(random, 4 * MIB, 1000), zeros(5000)]);
const DISKS: Readonly<Record<string, Bytes>> = {
  empty: zeros(0),
  'one byte': ofMemory(Uint8Array.of(42)),
  'only zeros': zeros(3 * MIB + 5),
  'a small file': slice(ofSource(text), 0, 5000),
  'a disk': place(180 * MIB + 512, [
    { at: 0, bytes: ofMemory(table.subarray(4000, 4512)) },
    { at: MIB, bytes: files },
    { at: 20 * MIB, bytes: kernel },
    { at: 30 * MIB, bytes: concat([kernel, files]) },
    { at: 170 * MIB, bytes: kernel },
    { at: 175 * MIB + 13, bytes: ofSource(text, 1000, 100_000) },
    { at: 180 * MIB, bytes: ofMemory(table.subarray(4000, 4512)) },
  ]),
  'more than 4 GiB': place(4 * GIB + 9 * MIB, [
    { at: 5 * MIB, bytes: kernel },
    { at: 4 * GIB + MIB, bytes: concat([files, kernel]) },
  ]),
};

let workplace: TestWorkplace;
let directory: string;
/** The program of `test/support/klauspost.go`, where a Go toolchain and Debian's package of the library are here. */
let klauspost: string;
before(async () => {
  workplace = await testWorkplace();
  directory = await mkdtemp(join(tmpdir(), 'compression-'));
  klauspost = join(directory, 'klauspost');
  if (withoutGo !== false) return;
  const source = fileURLToPath(new URL('../support/klauspost.go', import.meta.url));
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: GO_LIBRARIES, GOFLAGS: '' };
  await run('go', ['build', '-o', klauspost, source], { env });
});
after(async () => {
  await workplace[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function write(name: string, bytes: Bytes): Promise<string> {
  const path = join(directory, name);
  await writeToFile(workplace.platform.files, path, bytes);
  return path;
}

async function packed(format: CompressedFormat, bytes: Bytes, level: number): Promise<string> {
  const content = await compressContent(
    workplace,
    { bytes, name: 'disk.img', epoch: 1_559_424_892 },
    { format, level },
  );
  return write(`disk.img${format}`, content.bytes);
}

const PYTHON = `
import sys, zlib, lzma
decoder = lzma.LZMADecompressor() if sys.argv[1] == 'xz' else zlib.decompressobj(31)
with open(sys.argv[2], 'rb') as file:
    while data := file.read(1 << 20):
        sys.stdout.buffer.write(decoder.decompress(data))
assert decoder.eof and not decoder.unused_data
`;

interface Judge {
  readonly name: string;
  /** A shell command that writes the content of \`$1\`. */
  readonly command: string;
  /** Takes what has more than 4 GiB of zeros in seconds. */
  readonly isFast?: boolean;
  readonly needsGo?: boolean;
}

const SEVEN_ZIP: Judge = { name: '7z', command: '7z x -so "$1"' };

const JUDGES: Readonly<Record<Exclude<CompressedFormat, '.tar.gz'>, readonly Judge[]>> = {
  '.zst': [
    { name: 'zstd', command: 'zstd -q -dc "$1"' },
    { name: 'zstdcat', command: 'zstdcat < "$1"' },
    { ...SEVEN_ZIP, isFast: true },
    {
      name: 'Node',
      command: `"$NODE" -e 'process.stdin.pipe(zlib.createZstdDecompress()).pipe(process.stdout)' < "$1"`,
    },
    { name: 'klauspost in Go', command: '"$KLAUSPOST" zst < "$1"', needsGo: true },
  ],
  '.gz': [
    { name: 'gzip', command: 'gzip -dc "$1"' },
    { name: 'pigz', command: 'pigz -dc "$1"', isFast: true },
    SEVEN_ZIP,
    { name: 'zlib in Python', command: 'python3 -c "$PYTHON" gz "$1"' },
    { name: 'Node', command: `"$NODE" -e 'process.stdin.pipe(zlib.createGunzip()).pipe(process.stdout)' < "$1"` },
    { name: 'klauspost in Go', command: '"$KLAUSPOST" gz < "$1"', needsGo: true },
  ],
  '.xz': [
    { name: 'xz', command: 'xz -dc "$1"', isFast: true },
    { name: 'xz with threads', command: 'xz -T0 -dc "$1"' },
    { name: 'xz with little memory', command: 'xz -dc --memlimit=5MiB "$1"' },
    SEVEN_ZIP,
    { name: 'lzma in Python', command: 'python3 -c "$PYTHON" xz "$1"' },
  ],
};

/** Fails when the program does, and when what it writes is not the content of `plain`. */
async function judge({ name, command }: Judge, path: string, plain: string): Promise<void> {
  const env = { ...process.env, PYTHON, NODE: process.execPath, KLAUSPOST: klauspost };
  const compared = `{ ${command}; } | cmp - "$2"`;
  await assert.doesNotReject(run('bash', ['-o', 'pipefail', '-c', compared, 'bash', path, plain], { env }), name);
}

describe('stock decompressors give the disk back', { skip }, () => {
  for (const [name, disk] of Object.entries(DISKS)) {
    const isHuge = disk.size > GIB;
    test(name, async (t) => {
      const plain = await write('plain', disk);
      for (const [format, judges] of Object.entries(JUDGES) as [keyof typeof JUDGES, readonly Judge[]][]) {
        const path = await packed(format, disk, 3);
        const chosen = judges.filter(({ isFast }) => !isHuge || isFast === true);
        for (const one of chosen) {
          if (one.needsGo === true && withoutGo !== false)
            t.diagnostic(`${format} not read by ${one.name}: ${withoutGo}`);
          else await judge(one, path, plain);
        }
      }
    });
  }
});

describe('levels', { skip }, () => {
  const content = concat([files, zeros(MIB), kernel, ofSource(text, 5)]);
  const levels: readonly (readonly [keyof typeof JUDGES, readonly number[]])[] = [
    ['.zst', [1, 2, 4, 7, 12, 16, 19, 22]],
    ['.gz', [1, 6, 9]],
    ['.xz', [0, 4, 9]],
  ];
  for (const [format, list] of levels) {
    test(`${format} of level ${list.join(', ')}`, async () => {
      const plain = await write('plain', content);
      const sizes: number[] = [];
      for (const level of list) {
        const path = await packed(format, content, level);
        await judge(JUDGES[format][0]!, path, plain);
        sizes.push((await stat(path)).size);
      }
      assert.ok(sizes.at(-1)! < sizes[0]!, sizes.join(' '));
    });
  }
});

describe('what listings say', { skip }, () => {
  const disk = DISKS['a disk']!;

  test('zstd: one frame, its size, the window of stock decoders', async () => {
    const path = await packed('.zst', disk, 3);
    const { stdout } = await run('zstd', ['-lv', path]);
    assert.match(stdout, /Zstandard Frames: 1\n/);
    assert.match(stdout, new RegExp(`Decompressed Size: .*\\(${disk.size} B\\)`));
    assert.match(stdout, /Check: None/);
    assert.match(stdout, /Window Size: 64\.0 MiB/);
    // What is near is there once; what is out of reach, 140 MiB behind, is stored again.
    assert.ok((await stat(path)).size < 2 * kernel.size + 500_000);
  });

  test('gzip: the name of what was packed', async () => {
    const path = await packed('.gz', disk, 6);
    const { stdout } = await run('gzip', ['-lN', path]);
    assert.match(stdout, new RegExp(` ${disk.size} .*disk\\.img\n`));
  });

  test('xz: blocks with their sizes', async () => {
    const path = await packed('.xz', disk, 0);
    const { stdout } = await run('xz', ['--robot', '-lvv', path]);
    const file = stdout
      .split('\n')
      .find((line) => line.startsWith('file\t'))!
      .split('\t');
    assert.equal(file[4], String(disk.size));
    assert.equal(file[6], 'CRC32');
    const blocks = stdout.split('\n').filter((line) => line.startsWith('block\t'));
    assert.ok(blocks.length > 10);
    // Compressed and uncompressed size are in every header.
    for (const block of blocks) assert.equal(block.split('\t')[12], 'cu', block);
  });
});

describe('.tar.gz', { skip }, () => {
  test('GNU tar gives the disk back, with its holes', async () => {
    const disk = DISKS['a disk']!;
    const path = await packed('.tar.gz', disk, 6);
    const out = join(directory, 'out');
    await mkdir(out);
    await run('tar', ['-xzSf', path, '-C', out]);
    const { size, blocks, mode, mtimeMs } = await stat(join(out, 'disk.raw'));
    assert.deepEqual(
      { size, mode: mode & 0o7777, mtimeMs },
      { size: disk.size, mode: 0o644, mtimeMs: 1_559_424_892_000 },
    );
    assert.ok(blocks * 512 < 20 * MIB, String(blocks));
    await run('cmp', [join(out, 'disk.raw'), await write('plain', disk)]);
    const { stdout: listed } = await run('tar', ['-tvzf', path, '--numeric-owner', '--utc', '--full-time']);
    assert.equal(listed.replaceAll(/ +/g, ' '), `-rw-r--r-- 0/0 ${disk.size} 2019-06-01 21:34:52 disk.raw\n`);
  });

  test('what GNU tar makes of the same file is the same archive', async () => {
    const spread = place(
      9 * GIB,
      Array.from({ length: 70 }, (_, index) => {
        return { at: index * 128 * MIB + 4096 * index, bytes: ofSource(random, index, 4096 * (1 + (index % 3))) };
      }),
    );
    const cases = {
      ...DISKS,
      'seventy islands on 9 GiB': spread,
      'without holes': kernel,
      'data at its end': concat([zeros(MIB), kernel]),
    };
    const source = join(directory, 'source');
    await mkdir(source);
    for (const [name, content] of Object.entries(cases)) {
      await writeToFile(workplace.platform.files, join(source, 'disk.raw'), content);
      const options = ['--sparse', '--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@1559424892'];
      await run('tar', ['-cf', join(directory, 'theirs.tar'), '-C', source, ...options, '--mode=0644', 'disk.raw']);
      const ours = layoutSparseTar({ name: 'disk.raw', content, mode: 0o644, mtime: 1_559_424_892 });
      const theirs = await readFile(join(directory, 'theirs.tar'));
      assert.ok(theirs.equals(await read(ours)), name);
    }
  });
});
