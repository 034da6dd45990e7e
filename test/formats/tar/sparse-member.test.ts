import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofSource, place, slice, zeros } from '../../../src/bytes/bytes.ts';
import { equals, read } from '../../../src/bytes/read.ts';
import { layoutSparseTar } from '../../../src/formats/tar/sparse-member.ts';
import { indexTarBytes } from '../../../src/formats/tar/tar-index.ts';
import { memorySource, stream } from '../../support/bytes.ts';

const source = memorySource(stream('sparse', 100_000));

function archiveOf(content: Bytes): Bytes {
  return layoutSparseTar({ name: 'disk.raw', content, mode: 0o644, mtime: 1_559_424_892 });
}

/** The one file of an archive, as our reader of archives finds it. */
async function fileIn(archive: Bytes): Promise<Bytes> {
  const [file, ...more] = await indexTarBytes(archive);
  assert.ok(file?.kind === 'file');
  assert.deepEqual(more, []);
  const { name, mode, uid, gid, mtime } = file;
  assert.deepEqual(
    { name, mode, uid, gid, mtime },
    { name: 'disk.raw', mode: 0o644, uid: 0, gid: 0, mtime: 1_559_424_892 },
  );
  if (file.sparse === undefined) return slice(archive, file.offset, file.offset + file.size);
  let offset = file.offset;
  return place(
    file.size,
    file.sparse.map(({ at, length }) => {
      offset += length;
      return { at, bytes: slice(archive, offset - length, offset) };
    }),
  );
}

/** What GNU tar makes of a file with as many islands in a row. */
const islands = (count: number): Bytes =>
  concat(Array.from({ length: count }, (_, index) => [zeros(8192), ofSource(source, index * 100, 4096)]).flat());

const contents: Readonly<Record<string, Bytes>> = {
  empty: zeros(0),
  'without holes': ofSource(source),
  'all hole': zeros(1_000_000),
  'a hole at the start': concat([zeros(40_960), ofSource(source)]),
  'a hole at the end': concat([ofSource(source, 0, 4096), zeros(40_960)]),
  'an end that no block divides': concat([zeros(40_960), ofSource(source, 0, 5001)]),
  'pieces that share a block': concat([
    ofMemory(Uint8Array.of(1)),
    zeros(100),
    ofMemory(Uint8Array.of(2)),
    zeros(9999),
  ]),
  'holes smaller than blocks': concat([ofSource(source, 0, 100), zeros(3000), ofSource(source, 0, 8000), zeros(9000)]),
  'as many islands as fit the header': islands(3),
  'one more': islands(4),
  'a whole block more': islands(24),
  'three blocks more': islands(60),
  'offsets octal digits cannot hold': place(2 ** 35, [{ at: 2 ** 34, bytes: ofSource(source) }]),
};

describe('the file comes back', () => {
  for (const [name, content] of Object.entries(contents)) {
    test(name, async () => {
      const archive = archiveOf(content);
      assert.equal(archive.size % 10_240, 0);
      assert.ok(await equals(await fileIn(archive), content));
    });
  }

  test('whatever its pieces', async () => {
    const piece = fc.record({ hole: fc.nat(20_000), at: fc.nat(50_000), length: fc.nat(20_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.nat(5000), async (pieces, end) => {
        const parts = pieces.flatMap(({ hole, at, length }) => [zeros(hole), ofSource(source, at, length)]);
        const content = concat([...parts, zeros(end)]);
        assert.ok(await equals(await fileIn(archiveOf(content)), content));
      }),
    );
  });
});

test('only a file with holes is a sparse one', async () => {
  const typeOf = async (content: Bytes): Promise<string> =>
    String.fromCharCode((await read(archiveOf(content), 156, 1))[0]!);
  assert.equal(await typeOf(contents['without holes']!), '0');
  assert.equal(await typeOf(contents.empty!), '0');
  assert.equal(await typeOf(contents['all hole']!), 'S');
  assert.equal(await typeOf(contents['a hole at the end']!), 'S');
});

test('the map ends at the end of the file, whether there is a hole or not', async () => {
  for (const name of ['a hole at the end', 'a hole at the start'] as const) {
    const content = contents[name]!;
    // The second pair of the map in the header: where, and how much.
    const [at, length] = Buffer.from(await read(archiveOf(content), 386 + 24, 24))
      .toString('latin1')
      .split('\0');
    assert.deepEqual([Number.parseInt(at!, 8), Number.parseInt(length!, 8)], [content.size, 0]);
  }
});

test('holes take no room, content is referred to', () => {
  const archive = archiveOf(place(2 ** 40, [{ at: 2 ** 39, bytes: ofSource(source) }]));
  assert.equal(archive.size, 10_240 * Math.ceil((512 + 102_400 + 1024) / 10_240));
  assert.ok(archive.extents.some((extent) => extent.kind === 'range' && extent.length === source.size));
});

test('a name that does not fit is refused', () => {
  const content = zeros(0);
  assert.throws(() => layoutSparseTar({ name: 'x'.repeat(100), content, mode: 0, mtime: 0 }), {
    code: 'invalid-input',
  });
  assert.throws(() => layoutSparseTar({ name: 'ü', content, mode: 0, mtime: 0 }), { code: 'invalid-input' });
});
