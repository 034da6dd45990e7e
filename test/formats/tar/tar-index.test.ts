import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofSource } from '../../../src/bytes/bytes.ts';
import { ImagerError } from '../../../src/errors.ts';
import type { TarEntry, TarFile } from '../../../src/formats/tar/entry.ts';
import { indexTar, indexTarBytes, type TarLimits, tarIndexer } from '../../../src/formats/tar/tar-index.ts';
import { memorySource } from '../../support/bytes.ts';
import { pax, paxRecord, type TestEntry, tar } from '../../support/tar.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

/** The index of an archive that comes in pieces of `size` bytes. */
function indexOf(archive: Uint8Array, size: number = archive.length, limits: Partial<TarLimits> = {}): TarEntry[] {
  const indexer = tarIndexer(limits);
  for (let at = 0; at < archive.length; at += size) indexer.push(archive.slice(at, at + size));
  return indexer.finish();
}

const one = (entries: readonly TestEntry[]): TarEntry => {
  const [entry, ...rest] = indexOf(tar(entries));
  assert.equal(rest.length, 0);
  return entry!;
};

const dataOf = (archive: Uint8Array, { offset, size }: TarFile): string =>
  Buffer.from(archive.subarray(offset, offset + size)).toString();

const MIXED: readonly TestEntry[] = [
  { name: 'd/', type: '5' },
  { name: 'd/a', data: 'hello' },
  pax({ path: `${'n'.repeat(150)}/ä`, 'SCHILY.xattr.user.x': Buffer.of(0, 255, 10, 61) }),
  { name: 'short', data: 'x'.repeat(1000), uid: 7 },
  { name: '././@LongLink', type: 'L', data: `${'g'.repeat(200)}\0` },
  { name: '././@LongLink', type: 'K', data: `${'t'.repeat(300)}\0` },
  { name: 'x', type: '2', link: 'x' },
  { name: 'h', type: '1', link: 'd/a' },
  { name: 'empty' },
  { name: 'null', type: '3', patches: [{ at: 329, bytes: '0000001\x000000003\0' }] },
];

test('entries have names, attributes, targets and the place of their contents', () => {
  const archive = tar(MIXED);
  const entries = indexOf(archive);
  assert.deepEqual(
    entries.map(({ kind, name }) => [kind, name]),
    [
      ['directory', 'd/'],
      ['file', 'd/a'],
      ['file', `${'n'.repeat(150)}/ä`],
      ['symlink', 'g'.repeat(200)],
      ['hardlink', 'h'],
      ['file', 'empty'],
      ['character', 'null'],
    ],
  );
  assert.equal(dataOf(archive, entries[1] as TarFile), 'hello');
  assert.equal(dataOf(archive, entries[2] as TarFile), 'x'.repeat(1000));
  assert.deepEqual(entries[2]!.xattrs, new Map([['user.x', Uint8Array.of(0, 255, 10, 61)]]));
  assert.equal(entries[2]!.uid, 7);
  assert.equal((entries[3] as { target: string }).target, 't'.repeat(300));
  assert.equal((entries[5] as TarFile).size, 0);
  assert.deepEqual(entries[6], {
    ...{ kind: 'character', name: 'null', mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, major: 1, minor: 3 },
  });
});

test('however the stream is cut, and whether contents are read or skipped, the index is the same', async () => {
  const archive = Buffer.concat([tar(MIXED), Buffer.from('what follows does not count'.repeat(100))]);
  const whole = indexOf(archive);
  for (const size of [1, 7, 511, 512, 513, 1000, 4096]) assert.deepEqual(indexOf(archive, size), whole);
  const source = memorySource(archive);
  assert.deepEqual(await indexTarBytes(ofSource(source)), whole);
  const large = tar([{ name: 'large', data: Buffer.alloc(1 << 20) }, ...MIXED]);
  const counting = memorySource(large);
  assert.equal((await indexTarBytes(ofSource(counting))).length, whole.length + 1);
  assert.ok(counting.reads.reduce((sum, { length }) => sum + length, 0) < 100_000);
});

test('chunks may be used again by who gave them', () => {
  const archive = tar(MIXED);
  const indexer = tarIndexer();
  const buffer = new Uint8Array(100);
  for (let at = 0; at < archive.length; at += buffer.length) {
    const piece = archive.subarray(at, at + buffer.length);
    buffer.set(piece);
    indexer.push(buffer.subarray(0, piece.length));
    buffer.fill(0xaa);
  }
  assert.deepEqual(indexer.finish(), indexOf(archive));
});

const at = (offset: number, bytes: string | Uint8Array): NonNullable<TestEntry['patches']> => [{ at: offset, bytes }];

test('numbers: octal with blanks, base-256, negative times', () => {
  const size = (bytes: string | Uint8Array): TarFile =>
    one([{ name: 'a', data: 'hello', patches: at(124, bytes) }]) as TarFile;
  assert.equal(size('          5 ').size, 5);
  assert.equal(size('00000000005 ').size, 5);
  assert.equal(size('00000000005\0').size, 5);
  assert.equal(size(Buffer.from('800000000000000000000005', 'hex')).size, 5);
  const time = (hex: string): number => one([{ name: 'a', patches: at(136, Buffer.from(hex, 'hex')) }]).mtime;
  assert.equal(time('ffffffffffffffffffffffff'), -1);
  assert.equal(time('fffffffffffffffffffeae80'), -86_400);
  assert.equal(time('800000000000000eea4d0a80'), 0x0eea4d0a80);
  assert.equal(time('80000000001fffffffffffff'), 2 ** 53 - 1);
  for (const hex of ['800000000020000000000000', 'bfffffffffffffffffffffff', 'c00000000000000000000000']) {
    assert.throws(() => time(hex), { code: 'invalid-input' }, hex);
  }
});

test('PAX values count before the header, and the last of several', () => {
  const records = Buffer.concat([
    paxRecord('path', Buffer.from('first')),
    paxRecord('path', Buffer.from('second')),
    paxRecord('mtime', Buffer.from('-1.5')),
    paxRecord('uid', Buffer.from('4294967295')),
    paxRecord('gid', Buffer.from('')),
    paxRecord('size', Buffer.from('5')),
    paxRecord('VENDOR.x', Buffer.from('\n=\n')),
  ]);
  const entry = one([
    { name: 'x', type: 'x', data: records },
    { name: 'a', data: 'hello', size: 0 },
  ]);
  assert.deepEqual(
    { name: entry.name, mtime: entry.mtime, uid: entry.uid, gid: entry.gid, size: (entry as TarFile).size },
    { name: 'second', mtime: -2, uid: 4294967295, gid: 0, size: 5 },
  );
});

test('a name in prefix and name is joined; GNU and star use that place for other things', () => {
  const prefix = { at: 345, bytes: 'some/prefix' };
  assert.equal(one([{ name: 'a', patches: [prefix] }]).name, 'some/prefix/a');
  assert.equal(one([{ name: 'a', patches: [prefix, { at: 257, bytes: 'ustar  \0' }] }]).name, 'a');
  const star = [
    { at: 345, bytes: `${'p'.repeat(131)}time` },
    { at: 508, bytes: 'tar\0' },
  ];
  assert.equal(one([{ name: 'a', patches: star }]).name, `${'p'.repeat(131)}/a`);
  assert.equal(one([{ name: 'a', patches: [{ at: 257, bytes: Buffer.alloc(8) }, prefix] }]).name, 'a');
});

test('a directory in archives before POSIX is a file with a slash', () => {
  assert.equal(one([{ name: 'a/', type: '\0' }]).kind, 'directory');
  assert.equal(one([{ name: 'a', type: '\0' }]).kind, 'file');
});

/** An old GNU sparse header: pairs in the header, real size, and whether more blocks follow. */
const oldSparse = (
  pairs: readonly [number, number][],
  realSize: number,
  more = false,
): NonNullable<TestEntry['patches']> => [
  { at: 257, bytes: 'ustar  \0' },
  ...pairs.flatMap(([offset, length], index) => [
    { at: 386 + index * 24, bytes: `${offset.toString(8).padStart(11, '0')}\0` },
    { at: 386 + index * 24 + 12, bytes: `${length.toString(8).padStart(11, '0')}\0` },
  ]),
  { at: 482, bytes: Buffer.of(more ? 1 : 0) },
  { at: 483, bytes: `${realSize.toString(8).padStart(11, '0')}\0` },
];

test('sparse files: old GNU with blocks that continue the map', () => {
  const extension = Buffer.alloc(512);
  extension.write('00000020000\x0000000000002\0', 0, 'latin1');
  const header = tar([{ name: 's', type: 'S', size: 6, patches: oldSparse([[0, 4]], 10_000, true) }], 0);
  const archive = Buffer.concat([header, extension, Buffer.from('datatl'), Buffer.alloc(506), tar([{ name: 'next' }])]);
  for (const size of [archive.length, 1, 100]) {
    const [sparse, next] = indexOf(archive, size);
    assert.deepEqual((sparse as TarFile).sparse, [
      { at: 0, length: 4 },
      { at: 8192, length: 2 },
    ]);
    assert.equal((sparse as TarFile).size, 10_000);
    assert.equal((sparse as TarFile).offset, 1024);
    assert.equal(next?.name, 'next');
  }
});

test('sparse files: PAX 0.0, 0.1 and 1.0', () => {
  const want = [
    { at: 0, length: 3 },
    { at: 1000, length: 2 },
  ];
  const pairs = Buffer.concat(
    [
      ['GNU.sparse.size', '2000'],
      ['GNU.sparse.numblocks', '2'],
      ['GNU.sparse.offset', '0'],
      ['GNU.sparse.numbytes', '3'],
      ['GNU.sparse.offset', '1000'],
      ['GNU.sparse.numbytes', '2'],
    ].map(([key, value]) => paxRecord(key!, Buffer.from(value!))),
  );
  const map = { 'GNU.sparse.map': '0,3,1000,2', 'GNU.sparse.size': '2000', 'GNU.sparse.name': 'real' };
  const version = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' };
  const forms: readonly (readonly [readonly TestEntry[], string, number])[] = [
    [
      [
        { name: 'x', type: 'x', data: pairs },
        { name: 'real', data: 'abcde' },
      ],
      'real',
      1536,
    ],
    [[pax(map), { name: 'GNUSparseFile.0/x', data: 'abcde' }], 'real', 1536],
    [
      [
        pax({ ...version, 'GNU.sparse.name': 'real', 'GNU.sparse.realsize': '2000' }),
        { name: 'y', data: Buffer.concat([Buffer.from('2\n0\n3\n1000\n2\n'.padEnd(512, '\0')), Buffer.from('abcde')]) },
      ],
      'real',
      2048,
    ],
  ];
  for (const [entries, name, offset] of forms) {
    const entry = one(entries) as TarFile;
    assert.deepEqual([entry.name, entry.size, entry.offset, entry.sparse], [name, 2000, offset, want]);
  }
});

test('what is broken, truncated or beyond a limit is refused', () => {
  const sparse = (map: string, stored = 5): TestEntry[] => [
    pax({ 'GNU.sparse.map': map, 'GNU.sparse.size': '2000' }),
    { name: 'a', data: 'x'.repeat(stored) },
  ];
  const v1 = (map: string, data = ''): TestEntry[] => [
    pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '2000' }),
    { name: 'a', data: map.padEnd(512, '\0') + data },
  ];
  const cases: readonly [string, Uint8Array, RegExp, Partial<TarLimits>?][] = [
    ['checksum', tar([{ name: 'a' }]).fill(0x41, 1, 2), /wrong header checksum at byte 0/],
    ['truncated data', tar([{ name: 'a', data: 'hello', size: 5000 }]), /truncated, \d+ bytes of "a"/],
    ['truncated header', tar([{ name: 'a' }]).subarray(0, 300), /truncated in a header/],
    ['extended header without entry', tar([pax({ path: 'x' })], 0), /truncated/],
    ['end after extended header', tar([pax({ path: 'x' })]), /ends after an extended header/],
    ['one zero block', Buffer.concat([tar([{ name: 'a' }], 512), tar([{ name: 'b' }])]), /single zero block/],
    ['not octal', tar([{ name: 'a', patches: at(124, '00000000009\0') }]), /size.*octal/],
    ['negative size', tar([{ name: 'a', patches: at(124, Buffer.alloc(12, 0xff)) }]), /too large or negative/],
    ['negative uid', tar([{ name: 'a', patches: at(108, Buffer.alloc(8, 0xff)) }]), /uid/],
    ['unknown type', tar([{ name: 'a', type: 'V' }]), /unknown type "V"/],
    ['name in Latin-1', tar([{ name: 'a', patches: at(0, Buffer.of(0xfc)) }]), /not valid UTF-8/],
    ['PAX length 0', tar([{ name: 'x', type: 'x', data: '0 path=a\n' }, { name: 'a' }]), /wrong length/],
    ['PAX length too long', tar([{ name: 'x', type: 'x', data: '90 path=a\n' }, { name: 'a' }]), /wrong length/],
    ['PAX without newline', tar([{ name: 'x', type: 'x', data: '10 path=ab' }, { name: 'a' }]), /wrong length/],
    ['PAX without =', tar([{ name: 'x', type: 'x', data: '9 pathab\n' }, { name: 'a' }]), /not key=value/],
    ['PAX name with NUL', tar([pax({ path: 'a\0b' }), { name: 'a' }]), /contains NUL/],
    ['PAX size negative', tar([pax({ size: '-5' }), { name: 'a' }]), /tar size/],
    ['PAX size huge', tar([pax({ size: '9007199254740993' }), { name: 'a' }]), /tar size/],
    ['PAX mtime', tar([pax({ mtime: 'yesterday' }), { name: 'a' }]), /mtime/],
    ['global record', tar([pax({ path: 'x' }, 'g'), { name: 'a' }]), /global extended header with "path"/],
    ['extended header too large', tar([{ name: 'x', type: 'x', size: 2 << 20 }]), /want at most 1048576/],
    ['name too long', tar([pax({ path: 'n'.repeat(5000) }), { name: 'a' }]), /too long/],
    ['link too long', tar([pax({ linkpath: 'n'.repeat(5000) }), { name: 'a', type: '2' }]), /too long/],
    ['too many entries', tar([{ name: 'a' }, { name: 'b' }]), /more than 1 entries/, { entries: 1 }],
    ['too much metadata', tar([{ name: 'a' }, { name: 'bbbb' }]), /more than 4 bytes/, { metadataBytes: 4 }],
    ['file too large', tar([{ name: 'a', size: 100 }]), /too large/, { fileBytes: 99 }],
    ['sparse overlap', tar(sparse('0,3,2,2')), /overlaps/],
    ['sparse outside', tar(sparse('0,3,1999,2')), /overlaps or leaves/],
    ['sparse sum', tar(sparse('0,3')), /parts of 3 bytes in all, stored are 5/],
    ['sparse odd', tar(sparse('0,3,5')), /want pairs/],
    ['sparse number', tar(sparse('0,x')), /decimal/],
    ['sparse 1.0 count', tar(v1('99999999\n')), /99999999 parts/],
    ['sparse 1.0 cut', tar(v1(`300\n${'0\n'.repeat(254)}`)), /map is longer than the entry/],
    ['sparse 1.0 digits', tar(v1('11111111111111111111')), /decimal/],
    [
      'sparse 2.0',
      tar([pax({ 'GNU.sparse.major': '2', 'GNU.sparse.realsize': '1' }), { name: 'a' }]),
      /version 2\., want 1.0/,
    ],
    [
      'sparse huge',
      tar([pax({ 'GNU.sparse.map': '', 'GNU.sparse.size': '1152921504606846976' }), { name: 'a' }]),
      /sparse size/,
    ],
    ['no tar', Buffer.from('x'.repeat(1024)), /not a tar archive|wrong header checksum/],
  ];
  for (const [name, archive, message, limits] of cases) {
    for (const size of [archive.length, 100]) {
      assert.throws(
        () => indexOf(archive, size, limits),
        (error: ImagerError) => {
          assert.match(error.message, message, name);
          return error.code === 'invalid-input';
        },
        name,
      );
    }
  }
});

test('an archive may end without zero blocks or without its last padding', () => {
  const archive = tar([{ name: 'a' }, { name: 'b', data: 'hello' }], 0);
  for (const end of [archive.length, archive.length - 500]) {
    assert.deepEqual(
      indexOf(archive.subarray(0, end), 100).map(({ name }) => name),
      ['a', 'b'],
    );
  }
  assert.deepEqual(indexOf(new Uint8Array()), []);
});

test('mutated archives are indexed or refused, contents stay inside, however they are cut', () => {
  const seed = tar([
    ...MIXED,
    { name: 's', type: 'S', size: 4, data: 'data', patches: oldSparse([[0, 4]], 10_000) },
    pax({ 'GNU.sparse.map': '0,3', 'GNU.sparse.size': '2000' }),
    { name: 'z', data: 'abc' },
  ]);
  const change = fc.record({
    at: fc.nat(seed.length - 1),
    byte: fc.constantFrom(0, 0x20, 0x30, 0x37, 0x39, 0x80, 0xff, 0x53, 0x78),
  });
  const outcome = (archive: Uint8Array, size: number): TarEntry[] | string => {
    try {
      return indexOf(archive, size);
    } catch (error) {
      assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
      return error.message;
    }
  };
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 700 }),
      (changes, repair, size) => {
        const archive = Buffer.from(seed);
        for (const { at: offset, byte } of changes) {
          archive[offset] = byte;
          if (repair) repairChecksum(archive, offset - (offset % 512));
        }
        const found = outcome(archive, archive.length);
        assert.deepEqual(outcome(archive, size), found);
        if (typeof found === 'string') return;
        for (const entry of found) {
          if (entry.kind !== 'file') continue;
          const stored = entry.sparse?.reduce((sum, { length }) => sum + length, 0) ?? entry.size;
          assert.ok(entry.offset + stored <= archive.length);
        }
      },
    ),
    { numRuns: FUZZ_RUNS, seed: 3 },
  );
});

function repairChecksum(archive: Buffer, start: number): void {
  const block = archive.subarray(start, start + 512);
  block.fill(0x20, 148, 156);
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
}

test('a stream is indexed as it comes', async () => {
  const archive = tar(MIXED);
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < archive.length; offset += 300) yield archive.subarray(offset, offset + 300);
  };
  assert.deepEqual(await indexTar(pieces()), indexOf(archive));
});
