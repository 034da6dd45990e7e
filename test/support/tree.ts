/** Trees compared entry by entry: what a format was given must come back. */
import assert from 'node:assert/strict';
import { equals } from '../../src/bytes/read.ts';
import type { Entry, Tree } from '../../src/tree/tree.ts';

/** Contents of ranges are compared, however long; equal runs of zeros and equal ranges cost nothing. */
export async function assertSameTree(actual: Tree, expected: Tree): Promise<void> {
  const names = (tree: Tree): string[] => tree.entries.map(({ path }) => path);
  assert.deepEqual(names(actual), names(expected));
  const links = [linkGroups(actual), linkGroups(expected)] as const;
  for (const entry of expected.entries) {
    const found = actual.byPath.get(entry.path)!;
    assert.deepEqual(describe(found), describe(entry), entry.path);
    assert.deepEqual(links[0].get(entry.path), links[1].get(entry.path), entry.path);
    if (entry.kind !== 'file' || found.kind !== 'file') continue;
    assert.equal(found.content.size, entry.content.size, entry.path);
    assert.equal(await equals(found.content, entry.content), true, `content of ${entry.path}`);
  }
}

function describe(entry: Entry): object {
  const { xattrs, ...rest } = entry;
  const attributes = [...(xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString('hex')] as const);
  const plain: Record<string, unknown> = { ...rest, xattrs: attributes.sort(([a], [b]) => (a < b ? -1 : 1)) };
  delete plain.content;
  delete plain.inode;
  return plain;
}

/** By path, all names of the same file, where there are several. */
function linkGroups(tree: Tree): Map<string, readonly string[]> {
  const bySymbol = new Map<symbol, string[]>();
  for (const entry of tree.entries) {
    if (entry.kind !== 'file' || entry.inode === undefined) continue;
    bySymbol.set(entry.inode, [...(bySymbol.get(entry.inode) ?? []), entry.path]);
  }
  const groups = [...bySymbol.values()].filter((paths) => paths.length > 1);
  return new Map(groups.flatMap((paths) => paths.map((path) => [path, paths] as const)));
}
