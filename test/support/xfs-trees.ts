/** Trees that try the forms of XFS: seeded, so that each is the same everywhere. */
import { createHash } from 'node:crypto';
import { ofMemory, zeros } from '../../src/bytes/bytes.ts';
import { MIB } from '../../src/bytes/units.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { stream } from './bytes.ts';
import type { UpstreamFile } from './vectors.ts';

export const EPOCH = 1559424892;

const COMMON = { uid: 0, gid: 0, mtime: EPOCH } as const;

/** What a Talos BOOT partition holds. */
export function bootTree(kernel = 1048579, initramfs = 41943045): Tree {
  return treeOf([
    { kind: 'directory', path: '', mode: 0o755, ...COMMON },
    { kind: 'directory', path: 'A', mode: 0o755, ...COMMON },
    { kind: 'file', path: 'A/vmlinuz', mode: 0o644, ...COMMON, content: zeros(kernel) },
    { kind: 'file', path: 'A/initramfs.xz', mode: 0o644, ...COMMON, content: zeros(initramfs) },
    { kind: 'directory', path: 'grub', mode: 0o700, ...COMMON },
    { kind: 'file', path: 'grub/grub.cfg', mode: 0o600, ...COMMON, content: ofMemory(stream('grub.cfg', 811)) },
  ]);
}

/** One directory of `count` entries with names of `length` characters. */
export function wideTree(count: number, length: number): Tree {
  return treeOfLiterals(
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`wide/${String(index).padStart(length, 'n')}`, `${index}`]),
    ),
    COMMON,
  );
}

/** Every kind of entry, every form of fork, names and owners at their limits. */
export function oddTree(): Tree {
  const long = (seed: string, length: number): string => seed.repeat(length).slice(0, length);
  const file = (path: string, size: number, more: Partial<Entry> = {}): Entry =>
    ({
      kind: 'file',
      path,
      mode: 0o644,
      ...COMMON,
      content: ofMemory(stream(path, size)),
      ...more,
    }) as Entry;
  const link = (path: string, target: string): Entry => ({ kind: 'symlink', path, mode: 0o777, ...COMMON, target });
  const shared = Symbol('shared');
  const content = ofMemory(stream('shared', 5000));
  const hardLink = (path: string): Entry => file(path, 0, { content, inode: shared });
  const xattrs = (...entries: readonly (readonly [string, number])[]): Partial<Entry> => ({
    xattrs: new Map(entries.map(([name, size]) => [name, stream(name, size)])),
  });
  const deep = Array.from({ length: 50 }, (_, index) => `d${index}`).join('/');
  const entries: Entry[] = [
    { kind: 'directory', path: '', mode: 0o755, ...COMMON },
    ...[0, 1, 511, 4095, 4096, 4097, 100_000].map((size) => file(`sizes/${size}`, size)),
    file(`${deep}/bottom`, 10),
    file(long('x', 255), 20),
    file(long('ü', 127), 20),
    file('日本語/カーネル 🐧', 20),
    file(`${long('directory', 255)}/${long('file', 255)}`, 20),
    { kind: 'directory', path: long('empty', 255), mode: 0o1777, uid: 1000, gid: 4294967294, mtime: 0 },
    { kind: 'directory', path: 'empty', mode: 0, ...COMMON, mtime: -1 },
    ...[1, 40, 100, 144, 192, 193, 250, 336, 337, 700, 1023].map((length) =>
      link(`links/${length}`, long('target/', length)),
    ),
    link(`links/${long('l', 255)}`, long('t', 336)),
    { kind: 'fifo', path: 'nodes/fifo', mode: 0o600, ...COMMON },
    { kind: 'character', path: 'nodes/null', mode: 0o666, ...COMMON, major: 1, minor: 3 },
    { kind: 'block', path: 'nodes/largest', mode: 0o660, ...COMMON, major: 16383, minor: 262143 },
    { kind: 'block', path: `nodes/${long('n', 255)}`, mode: 0o660, ...COMMON, major: 8, minor: 1 },
    hardLink('hard/one'),
    hardLink('hard/two'),
    hardLink('other/one'),
    ...Array.from({ length: 40 }, (_, index) => hardLink(`hard/${String(index).padStart(255, 'h')}`)),
    file('attributes/one', 10, xattrs(['security.selinux', 30])),
    file('attributes/several', 10, xattrs(['user.a', 100], ['trusted.overlay.opaque', 1], ['security.capability', 20])),
    file('attributes/leaf', 10, xattrs(['user.large', 1000])),
    file('attributes/remote', 10, xattrs(['user.remote', 10_000], ['user.largest', 65536], ['user.empty', 0])),
    file('attributes/many', 10, xattrs(...Array.from({ length: 300 }, (_, index) => [`user.${index}`, 200] as const))),
    { ...link('attributes/link', long('a', 300)), ...xattrs(['security.selinux', 40]) } as Entry,
    {
      kind: 'directory',
      path: 'attributes/directory',
      mode: 0o755,
      ...COMMON,
      ...xattrs(['security.selinux', 250]),
    } as Entry,
    ...Array.from({ length: 12 }, (_, index) => file(`attributes/directory/${index}`, 1)),
    {
      kind: 'character',
      path: 'attributes/node',
      mode: 0o600,
      ...COMMON,
      major: 1,
      minor: 5,
      ...xattrs(['trusted.x', 255]),
    } as Entry,
    ...[1, 2, 10, 20, 60, 130, 170, 400, 600].flatMap((count) =>
      Array.from({ length: count }, (_, index) => file(`counts/${count}/a file, number ${index}`, index % 3)),
    ),
  ];
  return treeOf(entries);
}

/** Entries of each kind once, as small as it gets, and a directory of names of `length` letters. */
export function smallEntries(length: number): Entry[] {
  const common = { mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const;
  const content = ofMemory(stream('content', 5000));
  const inode = Symbol('shared');
  return [
    { kind: 'file', path: 'a/file', ...common, content },
    { kind: 'file', path: 'a/one', ...common, content, inode },
    { kind: 'file', path: 'a/two', ...common, content, inode },
    { kind: 'symlink', path: 'a/short', ...common, target: 'file' },
    { kind: 'symlink', path: 'a/long', ...common, target: 't'.repeat(500) },
    { kind: 'block', path: 'a/disk', ...common, major: 8, minor: 1 },
    { kind: 'fifo', path: 'a/fifo', ...common },
    ...Array.from({ length: 12 }, (_, index): Entry => {
      return { kind: 'file', path: `many/${'n'.repeat(length)}${index}`, ...common, content: zeros(0) };
    }),
  ];
}

/** A volume of upstream by what its vector lists. */
export function upstreamTree(rootMode: string, files: readonly Omit<UpstreamFile, 'uid' | 'gid'>[]): Tree {
  const common = (mode: string, mtime: number) => ({ mode: Number(mode) & 0o7777, uid: 0, gid: 0, mtime });
  return treeOf([
    { kind: 'directory', path: '', ...common(rootMode, EPOCH) },
    ...files.map(({ path, mode, mtime, size }): Entry => {
      const own = { path: path.slice(1), ...common(mode, mtime) };
      return size === undefined ? { kind: 'directory', ...own } : { kind: 'file', ...own, content: zeros(size) };
    }),
  ]);
}

/** `count` files of up to `largest` bytes in directories drawn by lot. */
export function randomTree(seed: string, count: number, largest = 20_000): Tree {
  const draw = drawing(seed);
  const directories = [''];
  const entries: Entry[] = [];
  const below = (path: string, name: string): string => (path === '' ? name : `${path}/${name}`);
  for (let index = 0; index < count; index++) {
    const parent = directories[draw(directories.length)]!;
    const kind = draw(20);
    const name = `${'name of a file '.repeat(draw(15))}${index}`;
    const path = below(parent, name);
    const common = { path, uid: draw(3), gid: draw(70_000), mtime: EPOCH + draw(1000), mode: 0o400 + draw(0o400) };
    if (kind < 2) {
      entries.push({ kind: 'directory', ...common });
      directories.push(path);
    } else if (kind < 4) {
      entries.push({
        kind: 'symlink',
        ...common,
        mode: 0o777,
        target: 't'.repeat(1 + draw(draw(2) === 0 ? 60 : 1023)),
      });
    } else {
      const size = draw(4) === 0 ? draw(largest) : draw(100);
      entries.push({ kind: 'file', ...common, content: ofMemory(stream(path, size)) });
    }
  }
  return treeOf(entries);
}

/** Large files between small ones, aligned or not: many extents of free space. */
export function mixedTree(count: number): Tree {
  return treeOfLiterals(
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`${index % 7}/${index}`, zeros(index % 2 === 0 ? 100 : 70_000)]),
    ),
    COMMON,
  );
}

/** A file that no allocation group of a volume of up to 4 GiB holds. */
export function largeTree(mebibytes: number): Tree {
  return treeOfLiterals(
    { first: 'x', [`large/${'l'.repeat(255)}`]: zeros(mebibytes * MIB + 1), last: zeros(5 * MIB) },
    COMMON,
  );
}

function drawing(seed: string): (limit: number) => number {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0) | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
