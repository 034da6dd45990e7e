/** Volumes that nobody could store: what a walk does not go through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY } from '../../../src/bytes/bytes.ts';
import { type ListedName, type VolumeReader, walkVolume } from '../../../src/formats/volume/walk.ts';
import { DEFAULT_DIRECTORY } from '../../../src/tree/tree.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Names in a directory and the inodes they lead to; even ones are directories, 0 is the root. */
type List = (inode: number) => Iterable<readonly [name: string, inode: number]>;

function readerOf(list: List, read: number[] = []): VolumeReader<number, number> {
  const listed = (inode: number): ListedName<number>[] =>
    Array.from(list(inode), ([name, inode]) => ({ name: encoder.encode(name), inode }));
  return {
    format: 'test',
    whole: 'test volume',
    keyOf: (number) => number,
    async readInode(number) {
      read.push(number);
      return number;
    },
    async entryOf(inode, _, path) {
      return inode % 2 === 0
        ? { kind: 'directory', path, ...DEFAULT_DIRECTORY }
        : { kind: 'file', path, ...DEFAULT_DIRECTORY, content: EMPTY };
    },
    listDirectory: async (inode) => listed(inode),
    decodeName: (name) => (name[0] === 0x2e ? undefined : decoder.decode(name)),
  };
}

test('a file is read once however many names it has, a directory under its only one', async () => {
  const read: number[] = [];
  const names: Record<number, [string, number][]> = {
    0: [
      ['.', 0],
      ['a', 1],
      ['b', 2],
      ['c', 1],
    ],
    2: [
      ['..', 0],
      ['d', 1],
      ['e', 3],
    ],
  };
  const entries = await walkVolume(
    readerOf((inode) => names[inode]!, read),
    0,
  );
  assert.deepEqual(
    entries.map(({ kind, path }) => `${kind} ${path}`),
    ['directory ', 'file a', 'directory b', 'file c', 'file b/d', 'file b/e'],
  );
  assert.deepEqual(read, [0, 1, 2, 3]);
});

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const HOSTILE: readonly (readonly [what: string, list: List, message: RegExp])[] = [
  ['the root in itself', () => [['a', 0]], /^test directory "a": it is in two places$/],
  [
    'a directory in two others',
    (inode) =>
      inode === 0
        ? [
            ['a', 2],
            ['b', 4],
          ]
        : [['c', 6]],
    /: it is in two places$/,
  ],
  ['no end of depth', (inode) => [['d', inode + 2]], /: deeper than 1024$/],
  [
    'a million names',
    (inode) => (inode === 0 ? range(1_000_000).map((index) => [`${index}`, 1]) : []),
    /^test volume: more than 1000000 entries$/,
  ],
  [
    'many names far below',
    (inode) =>
      inode < 2000 ? [['d'.repeat(255), inode + 2]] : range(2000).map((index) => [`${index}`.padStart(255, 'f'), 1]),
    /^test volume: paths of more than 134217728 characters$/,
  ],
];

for (const [what, list, message] of HOSTILE) {
  test(`${what} is refused`, async () => {
    await assert.rejects(walkVolume(readerOf(list), 0), { code: 'invalid-input', message });
  });
}
