/** Reading what is made of many pieces of one source: the content of a container whose blocks have headers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofSource, zeros } from '../../src/bytes/bytes.ts';
import { chunks, read } from '../../src/bytes/read.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { NodeFiles } from '../../src/platform/node-files.ts';
import type { NewFile } from '../../src/platform/types.ts';
import { memorySource, stream } from '../support/bytes.ts';

const DATA = stream('pieces', 200_000);

test('pieces that follow each other in their source are read at once', async () => {
  const source = memorySource(DATA);
  const header = ofMemory(Uint8Array.of(1, 2, 3));
  const parts: Bytes[] = [];
  for (let at = 0; at < 100_000; at += 10_000) parts.push(header, ofSource(source, at, 10_000));
  const expected = Buffer.concat(
    Array.from({ length: 10 }, (_, index) => [
      Buffer.of(1, 2, 3),
      DATA.subarray(index * 10_000, (index + 1) * 10_000),
    ]).flat(),
  );
  assert.deepEqual(Buffer.from(await read(concat(parts))), expected);
  assert.deepEqual(source.reads, [{ position: 0, length: 100_000 }]);
});

test('any range of any pieces is what they say', async () => {
  const sources = [memorySource(DATA), memorySource(DATA.subarray(7))];
  const piece = fc.oneof(
    fc.record({ kind: fc.constant('zeros' as const), length: fc.nat(500) }),
    fc.record({ kind: fc.constant('memory' as const), at: fc.nat(1000), length: fc.nat(9000) }),
    fc.record({ kind: fc.constant('range' as const), source: fc.nat(1), at: fc.nat(1000), length: fc.nat(5000) }),
    fc.record({ kind: fc.constant('on' as const), length: fc.nat(5000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.nat(), fc.nat(), async (pieces, from, to) => {
      const parts: Bytes[] = [];
      const plain: Uint8Array[] = [];
      let next = 0;
      for (const one of pieces) {
        if (one.kind === 'zeros') {
          parts.push(zeros(one.length));
          plain.push(new Uint8Array(one.length));
        } else if (one.kind === 'memory') {
          parts.push(ofMemory(DATA.subarray(one.at, one.at + one.length)));
          plain.push(DATA.subarray(one.at, one.at + one.length));
        } else {
          const [index, at] = one.kind === 'range' ? [one.source, one.at] : [0, next];
          parts.push(ofSource(sources[index]!, at, one.length));
          const start = at + (index === 0 ? 0 : 7);
          plain.push(DATA.subarray(start, start + one.length));
          next = index === 0 ? at + one.length : 0;
        }
      }
      const bytes = concat(parts);
      const start = from % (bytes.size + 1);
      const length = to % (bytes.size - start + 1);
      const expected = Buffer.concat(plain).subarray(start, start + length);
      assert.ok(Buffer.from(await read(bytes, start, length)).equals(expected));
    }),
  );
});

/** Files that keep nothing but what is written where. */
class RecordingFiles extends NodeFiles {
  readonly writes: [position: number, length: number][] = [];

  override async create(path: string): Promise<NewFile> {
    const nothing = async (): Promise<void> => undefined;
    const write = async (position: number, data: Uint8Array): Promise<void> => {
      this.writes.push([position, data.length]);
    };
    return { path, write, truncate: nothing, sync: nothing, close: nothing };
  }

  override async remove(): Promise<void> {}

  override async rename(): Promise<void> {}
}

test('small pieces reach a file in large writes, and holes stay out', async () => {
  const source = memorySource(DATA);
  const parts: Bytes[] = [];
  for (let at = 0; at < 50_000; at += 1000) parts.push(ofSource(source, at, 1000), zeros(100));
  const bytes = concat([zeros(5000), ...parts, zeros(10_000), ofSource(source, 0, 10)]);
  const files = new RecordingFiles();
  await writeToFile(files, 'out', bytes);
  // Several are under way at once.
  const writes = files.writes.toSorted(([one], [other]) => one - other);
  assert.deepEqual(writes, [
    [5000, 54_900],
    [70_000, 10],
  ]);
});

test('transient chunks are whole until the next, and take two buffers', async () => {
  const source = ofSource(memorySource(DATA));
  const bytes = concat([source, ofMemory(DATA.subarray(0, 5000)), zeros(3000), source]);
  const seen: Buffer[] = [];
  const buffers = new Set<ArrayBufferLike>();
  for await (const chunk of chunks(bytes, { chunkSize: 10_000, isTransient: true })) {
    // By now the next one is under way.
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(Buffer.from(chunk));
    buffers.add(chunk.buffer);
  }
  assert.deepEqual(Buffer.concat(seen), Buffer.from(await read(bytes)));
  assert.equal(buffers.size, 2);
});
