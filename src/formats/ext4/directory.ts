/** Directories: one block of entries, or a tree of hashes over several. */
import { type DirectoryItem, dotItems, encodeDirectoryBlock, itemSize, TAIL_SIZE } from './directory-block.ts';
import { encodeHashTree, type HashTreePlan, hashTreeBlocks, planHashTree } from './hash-tree.ts';

/** What a directory holds, `.` and `..` apart. */
export interface DirectoryContent {
  readonly self: number;
  readonly parent: number;
  readonly items: readonly DirectoryItem[];
}

export type DirectoryPlan = { readonly content: DirectoryContent; readonly blocks: number } & (
  | { readonly form: 'linear' }
  | { readonly form: 'indexed'; readonly tree: HashTreePlan }
);

export interface DirectoryOptions {
  readonly blockSize: number;
  /** 16 bytes. */
  readonly hashSeed: Uint8Array;
  /** Blocks that the directory has at least, as long as one of them holds its entries. */
  readonly leastBlocks: number;
}

/** `undefined` for more entries than a directory can hold. */
export function planDirectory(content: DirectoryContent, options: DirectoryOptions): DirectoryPlan | undefined {
  const { self, parent, items } = content;
  const { blockSize, hashSeed, leastBlocks } = options;
  const size = [...dotItems(self, parent), ...items].reduce((sum, item) => sum + itemSize(item), 0);
  if (size <= blockSize - TAIL_SIZE) return { form: 'linear', content, blocks: Math.max(1, leastBlocks) };
  const tree = planHashTree(items, blockSize, hashSeed);
  return tree && { form: 'indexed', content, blocks: hashTreeBlocks(tree), tree };
}

/** All blocks in their order. `seed` is the inode's. */
export function encodeDirectory(plan: DirectoryPlan, blockSize: number, seed: number): Uint8Array[] {
  const { self, parent, items } = plan.content;
  if (plan.form === 'indexed') return encodeHashTree(plan.tree, self, parent, blockSize, seed);
  const all = [...dotItems(self, parent), ...items];
  return Array.from({ length: plan.blocks }, (_, index) =>
    encodeDirectoryBlock(index === 0 ? all : [], blockSize, seed),
  );
}
