/** Trees for ext4: those that try XFS, as far as ext4 can hold them, and what is at its own limits. */
import { ofMemory } from '../../src/bytes/bytes.ts';
import { type Entry, type Tree, treeOf } from '../../src/tree/tree.ts';
import { stream } from './bytes.ts';
import { EPOCH, oddTree } from './xfs-trees.ts';

const COMMON = { uid: 0, gid: 0, mtime: EPOCH } as const;

/** Every kind of entry and every form of inode with blocks of this size, names and owners at their limits. */
export function ext4OddTree(blockSize: number): Tree {
  const fitting = oddTree().entries.filter(
    (entry) => attributeBytes(entry) < blockSize - 200 && !('major' in entry && entry.major > 4095),
  );
  const file = (path: string, attributes: readonly (readonly [string, number])[]): Entry => ({
    kind: 'file',
    path: `attributes/${path}`,
    mode: 0o644,
    ...COMMON,
    content: ofMemory(stream(path, 10)),
    xattrs: new Map(attributes.map(([name, size]) => [name, stream(name, size)])),
  });
  const link = (length: number): Entry => ({
    kind: 'symlink',
    path: `targets/${length}`,
    mode: 0o777,
    ...COMMON,
    target: 'target/'.repeat(length).slice(0, length),
  });
  return treeOf([
    ...fitting,
    ...[59, 60, 61, Math.min(4095, blockSize - 1)].map(link),
    { kind: 'block', path: 'nodes/last', mode: 0o600, ...COMMON, major: 4095, minor: 1048575 },
    { kind: 'character', path: 'nodes/old', mode: 0o600, ...COMMON, major: 255, minor: 255 },
    { kind: 'character', path: 'nodes/new', mode: 0o600, ...COMMON, major: 1, minor: 256 },
    { kind: 'directory', path: 'times/early', mode: 0o755, ...COMMON, mtime: -(2 ** 31) },
    { kind: 'directory', path: 'times/late', mode: 0o755, ...COMMON, mtime: 2 ** 34 - 2 ** 31 - 1 },
    { kind: 'directory', path: 'times/2038', mode: 0o755, ...COMMON, mtime: 2 ** 31 },
    // In the inode there are 88 bytes for entries of 16, with their names and values.
    file('inode full', [['security.selinux', 64]]),
    file('inode overfull', [['security.selinux', 65]]),
    file('empty values', [
      ['user.a', 0],
      ['trusted.b', 0],
      ['user.bb', 0],
    ]),
    // In a block all but 36 bytes.
    file('block full', [['user.name', blockSize - 36 - 20]]),
    file('both', [
      ['user.small', 20],
      ['user.large', blockSize / 2],
      ['security.capability', 20],
    ]),
    // Names of which three fit 1024 bytes: more blocks than the root of a tree of hashes leads to.
    ...Array.from({ length: 400 }, (_, index) => ({
      ...file('long', []),
      path: `many/${String(index).padEnd(255, 'm')}`,
    })),
    { ...file('directory', [['user.large', 300]]), kind: 'directory', path: 'with attributes' } as Entry,
  ]);
}

function attributeBytes({ xattrs }: Entry): number {
  return [...(xattrs ?? [])].reduce((sum, [name, value]) => sum + 16 + name.length + value.length, 0);
}

/** What a volume with this tree holds. */
export function withLostAndFound(tree: Tree): Tree {
  if (tree.byPath.has('lost+found')) return tree;
  return treeOf([...tree.entries, { kind: 'directory', path: 'lost+found', mode: 0o700, ...COMMON }]);
}
