/**
 * `index-modules.ts MODULES OUT`: writes index files of a directory of modules, or of a tar archive of one, and says how many milliseconds that took,
 * reading our code apart.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ofSource } from '../src/bytes/bytes.ts';
import { read } from '../src/bytes/read.ts';
import { buildModuleIndexes } from '../src/formats/kmod/module-indexes.ts';
import { indexTarBytes } from '../src/formats/tar/tar-index.ts';
import { flatten } from '../src/oci/layer/flatten.ts';
import { nodePlatform } from '../src/platform/node.ts';
import { treeOfDirectory } from '../src/tree/directory.ts';
import type { Tree } from '../src/tree/tree.ts';

const [modules, out] = process.argv.slice(2);
const machine = nodePlatform({});
const started = performance.now();
const tree = modules!.endsWith('.tar') ? await treeOfTar(modules!) : await treeOfDirectory(machine.files, modules!);
const { files } = await buildModuleIndexes(tree, machine.compression);
for (const entry of files.entries) {
  if (entry.kind === 'file') writeFileSync(join(out!, entry.path), await read(entry.content));
}
console.log(performance.now() - started);
await machine.close();

async function treeOfTar(path: string): Promise<Tree> {
  const source = await machine.files.source(path);
  return flatten([{ label: path, entries: await indexTarBytes(ofSource(source)), source }]);
}
