/** Compressed outputs: any content in any container comes back, and nothing is compressed twice. */
import assert from 'node:assert/strict';
import { open, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofSource, place, slice, zeros } from '../../src/bytes/bytes.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { build } from '../../src/pipeline/build.ts';
import { compressContent } from '../../src/pipeline/compress-content.ts';
import { type CompressedFormat, checkLevel, parseCompression } from '../../src/pipeline/compression.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import type { ProgressEvent } from '../../src/pipeline/progress.ts';
import type { Workplace } from '../../src/pipeline/workplace.ts';
import type { Compression, Source } from '../../src/platform/types.ts';
import type { GivenProfile, OutputFormat } from '../../src/profiles/profile.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { assetFiles, type TestWorkplace, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';

const MIB = 1 << 20;
const random = stream('compression', 3 * MIB);
const words = new TextEncoder().encode(
  Array.from(
    { length: 40_000 },
    (_, index) => `    entry ${index * 7919}: ${index % 97 === 0 ? '------' : 'value'}\n`,
  ).join(''),
);

let workplace: TestWorkplace;
before(async () => {
  workplace = await testWorkplace();
});
after(() => workplace[Symbol.asyncDispose]());

async function compress(
  format: CompressedFormat,
  bytes: Bytes,
  level = 3,
  place: Workplace = workplace,
): Promise<Bytes> {
  return (await compressContent(place, { bytes, name: 'disk', epoch: 7 }, { format, level })).bytes;
}

describe('what a user may ask for', () => {
  const good = [
    ['raw', { format: 'raw' }],
    ['zst', { format: '.zst' }],
    ['.zst', { format: '.zst' }],
    ['zst:19', { format: '.zst', level: 19 }],
    ['gz:1', { format: '.gz', level: 1 }],
    ['tar.gz:9', { format: '.tar.gz', level: 9 }],
    ['.xz:0', { format: '.xz', level: 0 }],
  ] as const;
  for (const [text, expected] of good) test(text, () => assert.deepEqual(parseCompression(text), expected));

  const bad = [
    ['', /^compression "": want raw, zst, xz, gz or tar\.gz, with a level like zst:19/],
    ['bz2', /^compression "bz2": want raw/],
    ['zst:', /^compression "zst:": want raw/],
    ['zst:x', /^compression "zst:x": want raw/],
    ['ZST', /want raw/],
    ['constructor', /want raw/],
    ['raw:1', /^compression "raw:1": raw has no levels/],
    ['zst:0', /^compression level 0 of \.zst: want 1 to 22/],
    ['zst:23', /want 1 to 22/],
    ['gz:0', /^compression level 0 of \.gz: want 1 to 9/],
    ['tar.gz:10', /^compression level 10 of \.tar\.gz: want 1 to 9/],
    ['xz:10', /want 0 to 9/],
  ] as const;
  for (const [text, message] of bad) {
    test(`not "${text}"`, () => assert.throws(() => parseCompression(text), { code: 'invalid-input', message }));
  }

  test('levels are whole', () => {
    assert.equal(checkLevel('.zst', 22), 22);
    for (const level of [1.5, Number.NaN, -1])
      assert.throws(() => checkLevel('.zst', level), { code: 'invalid-input' });
  });
});

const OPENED: Readonly<Record<Exclude<CompressedFormat, '.xz'>, (packed: Uint8Array) => Promise<Buffer>>> = {
  '.zst': async (packed) => zstdDecompressSync(packed),
  '.gz': async (packed) => gunzipSync(packed),
  '.tar.gz': async (packed) => {
    const archive = gunzipSync(packed);
    const [disk, ...more] = await indexTarBytes(ofMemory(archive));
    assert.ok(disk?.kind === 'file' && disk.name === 'disk.raw' && disk.mtime === 7);
    assert.deepEqual(more, []);
    const content = Buffer.alloc(disk.size);
    let offset = disk.offset;
    for (const { at, length } of disk.sparse ?? [{ at: 0, length: disk.size }]) {
      archive.copy(content, at, offset, offset + length);
      offset += length;
    }
    return content;
  },
};

describe('any content comes back', () => {
  // Sources of which the key tells nothing, and such of which it is the digest of their content.
  const sources: readonly Source[] = [
    memorySource(words),
    memorySource(random),
    { ...memorySource(words), key: `sha256:${'1'.repeat(64)}` },
    { ...memorySource(random), key: `sha256:${'2'.repeat(64)}` },
  ];
  const size = fc.oneof(fc.nat(100), fc.nat(5000), fc.nat(300_000), fc.nat(MIB));
  const piece = fc.oneof(
    fc.record({ kind: fc.constant('zeros' as const), size }),
    fc.record({ kind: fc.constant('memory' as const), at: fc.nat(1000), size }),
    fc.record({ kind: fc.constant('range' as const), source: fc.nat(3), at: fc.nat(1000), size }),
    fc.record({ kind: fc.constant('again' as const), at: fc.nat(), size }),
  );
  const contents = fc.array(piece, { maxLength: 12 }).map((pieces) => {
    let whole = zeros(0);
    for (const one of pieces) {
      if (one.kind === 'zeros') whole = concat([whole, zeros(one.size)]);
      else if (one.kind === 'memory') whole = concat([whole, ofMemory(words.subarray(one.at, one.at + one.size))]);
      else if (one.kind === 'range') whole = concat([whole, ofSource(sources[one.source]!, one.at, one.size)]);
      else {
        const start = one.at % (whole.size + 1);
        whole = concat([whole, slice(whole, start, Math.min(start + one.size, whole.size))]);
      }
    }
    return whole;
  });
  for (const [format, opened] of Object.entries(OPENED)) {
    test(format, async () => {
      await fc.assert(
        fc.asyncProperty(contents, async (content) => {
          const packed = await compress(format as CompressedFormat, content);
          assert.ok((await opened(await read(packed))).equals(await read(content)));
        }),
        { numRuns: 25 },
      );
    });
  }
});

/** A workplace whose compressor counts what it is given. */
function counting(overrides: Partial<Workplace> = {}): Workplace & { readonly sizes: number[] } {
  const { platform } = workplace;
  const sizes: number[] = [];
  const counted =
    (encode: Compression['zstdFrame']): Compression['zstdFrame'] =>
    (data, level) => {
      sizes.push(data.length);
      return encode(data, level);
    };
  const { deflateStretch, zstdFrame } = platform.compression;
  const compression = {
    ...platform.compression,
    deflateStretch: counted(deflateStretch),
    zstdFrame: counted(zstdFrame),
  };
  return { ...workplace, platform: { ...platform, compression }, sizes, ...overrides };
}

describe('nothing is done twice', () => {
  for (const format of ['.zst', '.gz'] as const) {
    test(`${format}: content kept in the store is found wherever it stands, also under another name`, async () => {
      const content = ofSource(memorySource(words));
      const store = join(workplace.directory, `kept${format}`);
      const first = counting({ store });
      const packed = await compress(format, place(8 * MIB, [{ at: MIB, bytes: content }]), 3, first);
      assert.ok(first.sizes.length > 0);

      const again = counting({ store });
      const other = ofSource(memorySource(words));
      const elsewhere = place(9 * MIB, [
        { at: 5000, bytes: other },
        { at: 6 * MIB, bytes: ofMemory(random.subarray(0, 9)) },
      ]);
      const repacked = await compress(format, elsewhere, 3, again);
      assert.ok(
        again.sizes.every((size) => size < 100),
        String(again.sizes),
      );
      assert.ok((await OPENED[format](await read(repacked))).equals(await read(elsewhere)));
      assert.ok(await equals(await compress(format, place(8 * MIB, [{ at: MIB, bytes: content }]), 3, again), packed));

      const harder = counting({ store });
      await compress(format, content, 9, harder);
      assert.ok(harder.sizes.length > 0);
    });
  }

  test('content known by its digest is not even read', async () => {
    const store = join(workplace.directory, 'known');
    const source = { ...memorySource(words), key: `sha256:${'a'.repeat(64)}` };
    await compress('.gz', ofSource(source), 6, counting({ store }));
    const again = { ...memorySource(words), key: source.key };
    await compress('.gz', ofSource(again), 6, counting({ store }));
    assert.deepEqual(again.reads, []);
  });

  test('another version of the compressor makes its own', async () => {
    const store = join(workplace.directory, 'versions');
    await compress('.gz', ofMemory(words), 6, counting({ store }));
    const other = counting({ store });
    const encoders = { deflate: 'zlib 9', zstd: 'zstd 9' };
    const platform = { ...other.platform, compression: { ...other.platform.compression, encoders } };
    await compress('.gz', ofMemory(words), 6, { ...other, platform });
    assert.ok(other.sizes.length > 0);
  });

  test('a repeat is a reference in .zst', async () => {
    const content = ofSource(memorySource(random));
    const disk = concat([zeros(MIB), content, zeros(40 * MIB), content, zeros(9), slice(content, 5000)]);
    const packed = await compress('.zst', disk);
    assert.ok(packed.size < random.length + 3000, String(packed.size));
    assert.ok((await OPENED['.zst'](await read(packed))).equals(await read(disk)));
  });
});

describe('text', () => {
  // Words that never repeat at distances 4 and 1, so that no opening is in them; and the same behind a run.
  const text = Buffer.from(
    Array.from(
      { length: 60_000 },
      (_, index) => `${'word line item name'.split(' ')[index % 4]}${index % 9}${(index * 31) % 7}`,
    ).join(' '),
  );
  for (const [name, data] of Object.entries({
    'without runs': text,
    'with a run at its start': Buffer.concat([Buffer.alloc(9, '-'), text]),
  })) {
    test(`${name} is compressed in .zst`, async () => {
      const content = concat([ofMemory(data), zeros(MIB), ofMemory(words), zeros(MIB), ofMemory(data.subarray(1))]);
      const packed = await compress('.zst', content);
      assert.ok(packed.size < content.size / 20, `${packed.size} of ${content.size}`);
      assert.ok((await OPENED['.zst'](await read(packed))).equals(await read(content)));
    });
  }
});

describe('what is compressed already', () => {
  for (const format of ['.zst', '.xz', '.gz'] as const) {
    test(`${format}: is referred to, not compressed`, async () => {
      const source = memorySource(random);
      const counted = counting();
      const packed = await compress(format, concat([zeros(MIB), ofSource(source), zeros(MIB)]), 3, counted);
      assert.deepEqual(counted.sizes, []);
      const referred = packed.extents.reduce(
        (sum, extent) => sum + (extent.kind === 'range' && extent.source === source ? extent.length : 0),
        0,
      );
      assert.equal(referred, random.length);
      assert.ok(packed.size < random.length * 1.001 + 5000);
    });
  }

  test('is known by a few samples where no CRC is needed', async () => {
    const source = { ...memorySource(random), key: `sha256:${'b'.repeat(64)}` };
    await compress('.zst', ofSource(source));
    const length = source.reads.reduce((sum, one) => sum + one.length, 0);
    assert.equal(length, 64 * 1024);
  });

  test('is told from what is not within one file', async () => {
    const mixed = Buffer.concat([random.subarray(0, 2 * MIB), words.subarray(0, MIB), random.subarray(2 * MIB)]);
    const packed = await compress('.gz', ofMemory(mixed));
    assert.ok(packed.size < 2.4 * MIB + MIB, String(packed.size));
    assert.ok((await OPENED['.gz'](await read(packed))).equals(mixed));
  });
});

test('progress counts content, and ends at all of it', async () => {
  const events: ProgressEvent[] = [];
  const place = {
    ...workplace,
    store: join(workplace.directory, 'progress'),
    onProgress: (event: ProgressEvent) => void events.push(event),
  };
  const content = concat([ofMemory(words), zeros(MIB), ofMemory(random)]);
  for (let turn = 0; turn < 2; turn++) {
    events.length = 0;
    await compress('.gz', content, 6, place);
    const total = words.length + random.length;
    assert.ok(events.every((event) => event.task === 'compressing' && event.unit === 'bytes' && event.total === total));
    assert.equal(events.at(-1)!.done, total);
  }
});

describe('when something goes wrong', () => {
  test('a stopped build says so and leaves nothing half done', async () => {
    const store = join(workplace.directory, 'stopped');
    const stop = new AbortController();
    const onProgress = (): void => stop.abort();
    const source = ofSource(memorySource(Buffer.concat([words, words, words])));
    const stopped = compress('.gz', source, 6, { ...workplace, store, signal: stop.signal, onProgress });
    await assert.rejects(stopped, { code: 'canceled' });
    assert.deepEqual(await readdir(join(store, 'derived')), []);
    assert.deepEqual(await readdir(join(store, 'tmp')), []);
  });

  test('the first failure is told, and the rest stops', async () => {
    const store = join(workplace.directory, 'failed');
    const { platform } = workplace;
    let calls = 0;
    const deflateStretch = async (): Promise<Uint8Array> => {
      calls++;
      throw new RangeError('out of memory');
    };
    const broken = { ...platform, compression: { ...platform.compression, deflateStretch } };
    const parts = Array.from({ length: 20 }, (_, index) => [ofMemory(words.subarray(index)), zeros(MIB)]).flat();
    await assert.rejects(compress('.gz', concat(parts), 6, { ...workplace, store, platform: broken }), {
      name: 'RangeError',
    });
    assert.ok(calls < 10, String(calls));
    assert.deepEqual(await readdir(join(store, 'tmp')), []);
  });

  test('a damaged kept form is made again when it is small, else an error: never a wrong image', async () => {
    const store = join(workplace.directory, 'damaged');
    const place = { ...workplace, store };
    const derived = join(store, 'derived');
    // As text noise is compressed a little: its kept form is larger than what is checked whenever it is used.
    const text = new TextEncoder().encode(Buffer.from(random).toString('base64'));
    for (const content of [ofMemory(words), ofMemory(text)]) {
      const good = await read(await compress('.gz', content, 6, place));
      const [data, ...more] = (await readdir(derived)).filter((name) => !name.endsWith('.json'));
      assert.deepEqual(more, []);
      const handle = await open(join(derived, data!), 'r+');
      const { size } = await handle.stat();
      await handle.write(Buffer.alloc(4, 0xff), 0, 4, size - 4);
      await handle.close();
      if (size > MIB) {
        await assert.rejects(compress('.gz', content, 6, place), {
          code: 'io',
          message: /^compressed form of sha256:[0-9a-f]{64} in the store: damaged$/,
          hint: 'imager store verify',
        });
      } else assert.deepEqual(await read(await compress('.gz', content, 6, place)), good);
      // What is too short is no whole result, and made again.
      await truncate(join(derived, data!), size - 1);
      assert.deepEqual(await read(await compress('.gz', content, 6, place)), good);
      await rm(derived, { recursive: true });
    }
  });

  test('a source that fails is what it says', async () => {
    const source: Source = { ...memorySource(random), read: () => Promise.reject(new Error('gone')) };
    for (const format of ['.zst', '.xz', '.gz', '.tar.gz'] as const) {
      await assert.rejects(compress(format, ofSource(source)), /gone/);
    }
  });
});

describe('builds', () => {
  const kernel = (outFormat: OutputFormat): GivenProfile => ({ output: { kind: 'kernel', outFormat } });
  let assets: string;
  before(async () => {
    const directory = join(workplace.directory, 'assets');
    await writeFiles(directory, assetFiles());
    assets = `dir:${directory}`;
  });

  const cases = [
    ['.zst', 'kernel-arm64.zst', 'application/zstd'],
    ['.gz', 'kernel-arm64.gz', 'application/gzip'],
    ['.tar.gz', 'kernel-arm64.tar.gz', 'application/gzip'],
    ['.xz', 'kernel-arm64.xz', 'application/x-xz'],
  ] as const;
  for (const [format, name, mediaType] of cases) {
    test(`${format} of an output`, async () => {
      const request = testRequest(kernel(format), { assets, epoch: 7 });
      const artifact = await build(workplace, request, await planBuild(workplace, request, { resolve: false }));
      assert.equal(artifact.name, name);
      assert.equal(artifact.mediaType, mediaType);
      if (format === '.xz') return;
      const plainRequest = testRequest(kernel('raw'), { assets });
      const plain = await build(workplace, plainRequest, await planBuild(workplace, plainRequest, { resolve: false }));
      assert.ok((await OPENED[format](await read(artifact.bytes))).equals(await read(plain.bytes)));
      const fileName = Buffer.from(await read(artifact.bytes, 3, 20));
      if (format === '.gz') assert.equal(fileName.toString('latin1', 7, 19), 'kernel-arm64');
      if (format === '.tar.gz') assert.equal(fileName[0], 0);
    });
  }

  test('a plan says format, level and compressor, and its digest depends on them', async () => {
    const planned = (format: OutputFormat, compressionLevel?: number) =>
      planBuild(
        workplace,
        testRequest(kernel(format), { assets, ...(compressionLevel === undefined ? {} : { compressionLevel }) }),
        {
          resolve: true,
        },
      );
    const { encoders } = workplace.platform.compression;
    assert.match(encoders.zstd, /^zstd 1\./);
    assert.match(encoders.deflate, /^zlib 1\./);
    const plan = await planned('.zst');
    assert.deepEqual(plan.compression, { format: '.zst', level: 3, encoder: encoders.zstd });
    assert.deepEqual((await planned('.gz')).compression, { format: '.gz', level: 6, encoder: encoders.deflate });
    assert.deepEqual((await planned('.xz', 9)).compression, { format: '.xz', level: 9, encoder: 'own' });
    assert.equal((await planned('raw')).compression, undefined);
    const digests = [plan, await planned('.zst', 19), await planned('.gz'), await planned('raw')].map(planDigest);
    assert.equal(new Set(digests).size, 4);
    assert.equal(planDigest(await planned('.zst', 3)), digests[0]);
    await assert.rejects(planned('.zst', 23), { code: 'invalid-input', message: /level 23 of \.zst/ });
    await assert.rejects(planned('raw', 3), {
      code: 'invalid-input',
      message: /^compression level 3: output format raw/,
    });
  });
});
