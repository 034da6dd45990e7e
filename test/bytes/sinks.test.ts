/** One contract for every way out: whatever the representation, the sink receives the content. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Bytes, concat, ofMemory, ofSource, zeros } from '../../src/bytes/bytes.ts';
import { chunks, digest, read } from '../../src/bytes/read.ts';
import { answerRange, writeToFile, writeToStream } from '../../src/bytes/write.ts';
import { ImagerError } from '../../src/errors.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Chunks, Source } from '../../src/platform/types.ts';
import { memorySource, representations, stream } from '../support/bytes.ts';

const platform = nodePlatform();
const directory = await mkdtemp(join(tmpdir(), 'sinks-'));
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

const SIZE = 3 * (1 << 20) + 17;
const DATA = (() => {
  const data = new Uint8Array(SIZE);
  const random = stream('sinks', 5000);
  for (const at of [0, 1 << 20, (1 << 20) - 100, SIZE - 5000]) data.set(random, at);
  return data;
})();

const sinks: Readonly<Record<string, (bytes: Bytes) => Promise<Uint8Array>>> = {
  'a file': async (bytes) => {
    const path = join(directory, 'out');
    await writeToFile(platform.files, path, bytes, { sync: true });
    return new Uint8Array(await readFile(path));
  },
  'a stream': async (bytes) => {
    const parts: Uint8Array[] = [];
    await writeToStream({ write: async (chunk) => void parts.push(Uint8Array.from(chunk)) }, bytes);
    return new Uint8Array(Buffer.concat(parts));
  },
  chunks: (bytes) => collect(chunks(bytes, { chunkSize: 65_537 })),
  'an HTTP answer': (bytes) => collect(answerRange(bytes, {}, 'tag').body),
  'HTTP ranges': async (bytes) => {
    const middle = Math.floor(bytes.size / 3);
    const first = answerRange(bytes, { range: `bytes=0-${middle - 1}` }, 'tag');
    const second = answerRange(bytes, { range: `bytes=${middle}-` }, 'tag');
    return new Uint8Array(Buffer.concat([await collect(first.body), await collect(second.body)]));
  },
};

const contents = {
  ...representations(DATA.subarray(0, 3000)),
  'large, mostly zeros': concat([
    ofMemory(DATA.subarray(0, 6000)),
    zeros(SIZE - 6000 - 5000),
    ofSource(memorySource(DATA), SIZE - 5000),
  ]),
  'large range': ofSource(memorySource(DATA)),
  empty: zeros(0),
};

for (const [sink, through] of Object.entries(sinks)) {
  for (const [name, bytes] of Object.entries(contents)) {
    if (sink === 'HTTP ranges' && bytes.size < 3) continue;
    test(`${sink} receives ${name}`, async () => {
      assert.ok(Buffer.compare(await through(bytes), await read(bytes)) === 0);
    });
  }
}

test('digest is that of the content, in every representation', async () => {
  const expected = createHash('sha256').update(DATA.subarray(0, 3000)).digest();
  for (const bytes of Object.values(representations(DATA.subarray(0, 3000)))) {
    assert.deepEqual(Buffer.from(await digest(bytes, platform.hash('sha256'))), expected);
  }
});

test('zeros become holes in a file', async () => {
  const path = join(directory, 'sparse');
  await writeToFile(
    platform.files,
    path,
    concat([ofMemory(Uint8Array.of(1)), zeros(64 << 20), ofMemory(Uint8Array.of(2))]),
  );
  const { size, blocks } = await stat(path);
  assert.equal(size, (64 << 20) + 2);
  assert.ok(blocks * 512 < 1 << 20, `${blocks * 512} bytes allocated`);
});

test('a failing source leaves no partial file and keeps the old one', async () => {
  const path = join(directory, 'kept');
  await writeFile(path, 'old');
  const broken: Source = { key: 'broken', label: 'broken', size: 10, read: async () => fail('io', 'broken: gone') };
  await assert.rejects(writeToFile(platform.files, path, concat([zeros(5), ofSource(broken)])), { code: 'io' });
  assert.equal(await readFile(path, 'utf8'), 'old');
  assert.ok(!(await readdir(directory)).some((name) => name.startsWith('kept.')));
});

test('a stopped write leaves nothing and says so', async () => {
  const path = join(directory, 'stopped');
  const abort = new AbortController();
  const writing = writeToFile(platform.files, path, ofMemory(new Uint8Array(8 << 20)), {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await assert.rejects(writing, { code: 'canceled' });
  assert.ok(!(await readdir(directory)).some((name) => name.startsWith('stopped')));
});

test('a directory that does not exist is an io error naming the path', async () => {
  const path = join(directory, 'no', 'where');
  await assert.rejects(writeToFile(platform.files, path, zeros(1)), (error) => {
    assert.ok(error instanceof ImagerError);
    assert.equal(error.code, 'io');
    assert.match(error.message, /no\/where.*no such file or directory/);
    return true;
  });
});

test('a file that changes while it is in use is an error, not wrong bytes', async () => {
  const path = join(directory, 'changing');
  await writeFile(path, 'one');
  const bytes = ofSource(await platform.files.source(path));
  await writeFile(path, 'other');
  await assert.rejects(read(bytes), { code: 'io', message: `${path}: changed while it was in use` });
});

const RANGES: readonly [string, number, string | undefined, string][] = [
  ['bytes=0-3', 206, 'bytes 0-3/10', '0123'],
  ['bytes=4-', 206, 'bytes 4-9/10', '456789'],
  ['bytes=-3', 206, 'bytes 7-9/10', '789'],
  ['bytes=-30', 206, 'bytes 0-9/10', '0123456789'],
  ['bytes=8-100', 206, 'bytes 8-9/10', '89'],
  ['bytes=10-', 416, 'bytes */10', ''],
  ['bytes=-0', 416, 'bytes */10', ''],
  ['bytes=3-2', 200, undefined, '0123456789'],
  ['bytes=0-1,4-5', 200, undefined, '0123456789'],
  ['lines=0-3', 200, undefined, '0123456789'],
  ['bytes=-', 200, undefined, '0123456789'],
];

for (const [range, status, contentRange, body] of RANGES) {
  test(`Range: ${range}`, async () => {
    const answer = answerRange(ofMemory(Buffer.from('0123456789')), { range }, 'tag');
    assert.equal(answer.status, status);
    assert.equal(answer.headers['content-range'], contentRange);
    assert.equal(answer.headers['content-length'], String(body.length));
    assert.equal(Buffer.from(await collect(answer.body)).toString(), body);
  });
}

test('If-Range with another validator gives the whole', () => {
  const bytes = ofMemory(Buffer.from('0123456789'));
  assert.equal(answerRange(bytes, { range: 'bytes=0-1', ifRange: '"other"' }, 'tag').status, 200);
  assert.equal(answerRange(bytes, { range: 'bytes=0-1', ifRange: '"tag"' }, 'tag').status, 206);
});

async function collect(source: Chunks): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of source) parts.push(Uint8Array.from(chunk));
  return new Uint8Array(Buffer.concat(parts));
}

function fail(code: 'io', message: string): never {
  throw new ImagerError(code, message);
}

describe('observed while written', () => {
  for (const [name, bytes] of Object.entries(contents)) {
    for (const way of ['file', 'stream'] as const) {
      test(`${name}, ${way}: all bytes in order, holes as zeros`, async () => {
        const parts: Uint8Array[] = [];
        const observe = (chunk: Uint8Array): void => void parts.push(Uint8Array.from(chunk));
        if (way === 'stream') await writeToStream({ write: async () => undefined }, bytes, { observe });
        else await writeToFile(platform.files, join(directory, 'observed'), bytes, { observe });
        assert.deepEqual(new Uint8Array(Buffer.concat(parts)), await read(bytes));
      });
    }
  }

  test('slow reads do not change the order', async () => {
    const source: Source = {
      key: 'slow first',
      label: 'slow first',
      size: SIZE,
      async read(position, into) {
        if (position === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        into.set(DATA.subarray(position, position + into.length));
      },
    };
    const hash = createHash('sha256');
    await writeToFile(platform.files, join(directory, 'slow'), ofSource(source), {
      observe: (chunk) => void hash.update(chunk),
    });
    assert.equal(hash.digest('hex'), createHash('sha256').update(DATA).digest('hex'));
  });

  test('a read that fails ends it, whoever waits for its turn', async () => {
    const source: Source = {
      key: 'fails first',
      label: 'fails first',
      size: SIZE,
      async read(position, into) {
        if (position > 0) return void into.fill(1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new ImagerError('io', 'gone');
      },
    };
    const path = join(directory, 'failed');
    await assert.rejects(writeToFile(platform.files, path, ofSource(source), { observe: () => undefined }), /gone/);
    const broken = writeToFile(platform.files, path, ofMemory(DATA), {
      observe: () => {
        throw new ImagerError('io', 'no more');
      },
    });
    await assert.rejects(broken, /no more/);
    assert.deepEqual(
      (await readdir(directory)).filter((name) => name.startsWith('failed')),
      [],
    );
  });
});
