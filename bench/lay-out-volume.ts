/** `lay-out-volume.ts xfs|ext4 DIRECTORIES FILES SIZE`: writes the milliseconds that laying out a volume with so many files takes, reading our code apart. */
import { type Bytes, ofMemory } from '../src/bytes/bytes.ts';
import { GIB } from '../src/bytes/units.ts';
import { layoutExt4 } from '../src/formats/ext4/layout.ts';
import { guidOfLabel } from '../src/formats/gpt/guid.ts';
import { layoutXfs } from '../src/formats/xfs/layout.ts';
import { type Tree, treeOfLiterals } from '../src/tree/tree.ts';

const LAYOUTS: Readonly<Record<string, (tree: Tree) => Bytes>> = {
  xfs: (tree) => layoutXfs(tree, GIB, { uuid: guidOfLabel('bench'), features: 'lts_6.12', epoch: 0 }).bytes,
  ext4: (tree) =>
    layoutExt4(tree, { size: GIB, uuid: guidOfLabel('bench'), hashSeed: guidOfLabel('bench hash'), epoch: 0 }),
};

const [format, ...numbers] = process.argv.slice(2);
const [directories = 0, files = 0, size = 0] = numbers.map(Number);

const content = ofMemory(new Uint8Array(size).fill(1));
const literals = Array.from({ length: directories * files }, (_, index) => {
  return [`directory-${Math.floor(index / files)}/file-${index % files}`, content] as const;
});
const tree = treeOfLiterals(Object.fromEntries(literals));
const started = performance.now();
LAYOUTS[format!]!(tree);
console.log(performance.now() - started);
