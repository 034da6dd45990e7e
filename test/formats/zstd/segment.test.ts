/** Blocks that libzstd made for one frame, used in others: behind and before anything, several times. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory } from '../../../src/bytes/bytes.ts';
import { joinMemory } from '../../../src/bytes/field.ts';
import { read } from '../../../src/bytes/read.ts';
import { type FramePart, layoutZstdFrame } from '../../../src/formats/zstd/layout-frame.ts';
import { blocksOfFrame, hostileFrames, openSegment } from '../../../src/formats/zstd/segment.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const random = stream('segments', 400_000);

function segment(content: Uint8Array, level: number): FramePart {
  const opening = openSegment(content);
  if (opening === undefined) return { kind: 'raw', content: ofMemory(content) };
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const frame = zstdCompressSync(content.subarray(opening.length), { params });
  return {
    kind: 'segment',
    length: content.length,
    blocks: concat([opening.blocks, ofMemory(blocksOfFrame(frame))]),
  };
}

/** Text whose matches are near and whose repeat offsets are worth using: records that differ in a few places. */
function records(seed: number, size: number): Uint8Array {
  const lines: string[] = [];
  for (let at = 0, turn = seed; at < size; turn++) {
    const line = `    ${(turn * 7919) % 10_007} entry=${turn % 13} ${'-'.repeat(turn % 9)} value=${(turn * seed) % 977}\n`;
    lines.push(line);
    at += line.length;
  }
  return new TextEncoder().encode(lines.join('')).subarray(0, size);
}

const contents = [
  records(1, 300_000),
  records(5, 6000),
  joinMemory([new Uint8Array(1000), random.subarray(0, 5000), new Uint8Array(3000)]),
  new Uint8Array(200_000),
  Uint8Array.from({ length: 200_000 }, (_, index) => (index % 4 === 0 ? index >> 10 : 0)),
  joinMemory([records(9, 50_000), random.subarray(0, 200_000), records(9, 50_000)]),
];

describe('segments one after the other', () => {
  for (const level of [1, 3, 9, 19]) {
    test(`level ${level}`, async () => {
      const segments = contents.map((content) => ({ content, part: segment(content, level) }));
      const parts: FramePart[] = [];
      const plain: Uint8Array[] = [];
      for (const first of segments) {
        for (const second of segments) {
          const distance = first.content.length + second.content.length;
          parts.push(first.part, second.part, { kind: 'repeat', length: 1000, distance }, { kind: 'zeros', length: 5 });
          plain.push(first.content, second.content, first.content.subarray(0, 1000), new Uint8Array(5));
        }
      }
      const unpacked = zstdDecompressSync(await read(layoutZstdFrame(parts)));
      assert.ok(unpacked.equals(Buffer.concat(plain)));
    });
  }

  test('all of them are compressed', () => {
    for (const content of contents) assert.equal(segment(content, 3).kind, 'segment');
  });

  test('without the opening they would come out wrong', async () => {
    const broken = contents.map((content) => {
      const frame = zstdCompressSync(content);
      return { kind: 'segment', length: content.length, blocks: ofMemory(blocksOfFrame(frame)) } as const;
    });
    const parts = broken.flatMap((first) => broken.flatMap((second) => [first, second]));
    const plain = Buffer.concat(contents.flatMap((first) => contents.flatMap((second) => [first, second])));
    let unpacked: Buffer | undefined;
    try {
      unpacked = zstdDecompressSync(await read(layoutZstdFrame(parts)));
    } catch {
      // Also a way to come out wrong.
    }
    assert.notDeepEqual(unpacked, plain);
  });
});

describe('an opening', () => {
  test('is the shortest: matches at 8, 4 and 1', () => {
    const content = new TextEncoder().encode('abcdefghabcXYZWXYZxxxxy');
    const opening = openSegment(content)!;
    assert.equal(opening.length, 22);
    const parts: FramePart[] = [{ kind: 'segment', length: opening.length, blocks: opening.blocks }];
    return read(layoutZstdFrame(parts)).then((frame) =>
      assert.equal(zstdDecompressSync(frame).toString(), 'abcdefghabcXYZWXYZxxxx'),
    );
  });

  test('may take all of the content', async () => {
    const content = new Uint8Array(17);
    assert.equal(openSegment(content)!.length, 17);
    const frame = await read(layoutZstdFrame([segment(content, 3)]));
    assert.ok(zstdDecompressSync(frame).equals(content));
  });

  test('is not in what has no such matches', () => {
    for (const text of ['', 'a', 'aaaaaaa', 'abcdefghabc', 'abcdefghabcdefgh', 'aaaaaaaaaaaaaaaa']) {
      assert.equal(openSegment(new TextEncoder().encode(text)), undefined, text);
    }
    assert.equal(openSegment(Uint8Array.from({ length: 256 }, (_, index) => index)), undefined);
  });

  test('any content comes back behind any other', async () => {
    // Few different bytes, so that matches of all kinds come up.
    const content = fc.array(fc.nat(2), { maxLength: 300 }).map((bytes) => Uint8Array.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 5 }), async (pieces) => {
        const frame = await read(layoutZstdFrame(pieces.map((piece) => segment(piece, 3))));
        assert.ok(zstdDecompressSync(frame).equals(Buffer.concat(pieces)));
      }),
      { numRuns: Math.ceil(FUZZ_RUNS / 8) },
    );
  });
});

describe('hostile frames', () => {
  /** What a decoder makes of a frame from `start` on; `undefined` when it refuses it. */
  async function decoded(frame: Bytes, start: number): Promise<Buffer | undefined> {
    const data = await read(frame);
    try {
      return zstdDecompressSync(data).subarray(start);
    } catch {
      return undefined;
    }
  }

  async function standsAlone(content: Uint8Array, blocks: Bytes): Promise<boolean> {
    for (const { frame, start } of hostileFrames(content, blocks)) {
      if ((await decoded(frame, start))?.equals(content) !== true) return false;
    }
    return true;
  }

  const blocksOf = (content: Uint8Array, level: number): Bytes => {
    const params = { [constants.ZSTD_c_compressionLevel]: level };
    return ofMemory(blocksOfFrame(zstdCompressSync(content, { params })));
  };

  test('pass what is opened, and find what relies on its start', async () => {
    for (const content of contents) {
      const opening = openSegment(content)!;
      const blocks = concat([opening.blocks, blocksOf(content.subarray(opening.length), 3)]);
      assert.equal(await standsAlone(content, blocks), true);
    }
    for (const content of [new Uint8Array(200_000), joinMemory([new Uint8Array(1000), random.subarray(0, 1000)])]) {
      assert.equal(await standsAlone(content, blocksOf(content, 19)), false);
    }
    assert.equal(await standsAlone(random, blocksOf(random, 3)), true);
  });

  test('what passes is right behind anything', async () => {
    const turns = { passed: 0, failed: 0 };
    const drawn = fc.array(fc.nat(3), { minLength: 20, maxLength: 200 });
    // What begins with a run that comes again at 8, 4 or 1 is what may rely on its start.
    const runs = fc.tuple(fc.constantFrom(1, 4, 8), drawn).map(([every, all]) => all.map((_, at) => all[at % every]!));
    const letters = fc.oneof(
      drawn,
      fc.tuple(runs, drawn).map(([run, rest]) => [...run.slice(0, 20), ...rest]),
    );
    const histories = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 3, max: 5 })), {
      minLength: 3,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(
        letters,
        fc.constantFrom(1, 3, 19),
        fc.array(histories, { minLength: 4, maxLength: 4 }),
        async (symbols, level, before) => {
          const content = Uint8Array.from(symbols);
          const blocks = blocksOf(content, level);
          if (!(await standsAlone(content, blocks))) {
            turns.failed++;
            return;
          }
          turns.passed++;
          for (const history of before) {
            const parts: FramePart[] = [{ kind: 'raw', content: ofMemory(content.subarray(0, 20)) }];
            parts.push({ kind: 'raw', content: ofMemory(random.subarray(0, 30)) });
            let start = 50;
            for (const [distance, length] of history) {
              parts.push({ kind: 'repeat', distance, length });
              start += length;
            }
            const frame = layoutZstdFrame([...parts, { kind: 'segment', length: content.length, blocks }]);
            assert.ok((await decoded(frame, start))?.equals(content));
          }
        },
      ),
      { numRuns: Math.ceil(FUZZ_RUNS / 2) },
    );
    assert.ok(turns.passed > FUZZ_RUNS / 20 && turns.failed > 0, JSON.stringify(turns));
  });
});

describe('blocks of a frame', () => {
  const refused = { name: 'ImagerError', code: 'invalid-input' } as const;
  const frame = zstdCompressSync(records(2, 300_000));

  test('an empty frame behind it is left out, anything else is not taken', () => {
    const empty = zstdCompressSync(new Uint8Array(0));
    assert.deepEqual(blocksOfFrame(Buffer.concat([frame, empty])), blocksOfFrame(frame));
    assert.throws(() => blocksOfFrame(Buffer.concat([frame, frame])), refused);
    assert.throws(() => blocksOfFrame(Buffer.concat([frame, Buffer.of(0)])), refused);
  });

  test('a frame with a checksum is refused: its blocks would be, too', () => {
    const checked = zstdCompressSync(random, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    assert.throws(() => blocksOfFrame(checked), { message: /checksum/ });
  });

  test('every cut is an error', () => {
    for (let length = 0; length < frame.length; length += 1 + (length >> 6)) {
      assert.throws(() => blocksOfFrame(frame.subarray(0, length)), refused, String(length));
    }
  });

  test('of nothing there are none', () => {
    assert.equal(blocksOfFrame(zstdCompressSync(new Uint8Array(0))).length, 0);
  });
});
