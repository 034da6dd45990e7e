/** `index-modules.ts MODULES OUT`: writes index files of a directory of modules, and says how many milliseconds that took, reading our code apart. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { read } from '../src/bytes/read.ts';
import { buildModuleIndexes } from '../src/formats/kmod/module-indexes.ts';
import { nodePlatform } from '../src/platform/node.ts';
import { treeOfDirectory } from '../src/tree/directory.ts';

const [modules, out] = process.argv.slice(2);
const { files: machineFiles, compression, close } = nodePlatform({});
const started = performance.now();
const { files } = await buildModuleIndexes(await treeOfDirectory(machineFiles, modules!), compression);
for (const entry of files.entries) {
  if (entry.kind === 'file') writeFileSync(join(out!, entry.path), await read(entry.content));
}
console.log(performance.now() - started);
await close();
