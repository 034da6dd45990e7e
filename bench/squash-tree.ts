/** `squash-tree.ts DIRECTORY zstd|xz STORE`: squashes a directory as an extension is, into a store. */
import { rmSync } from 'node:fs';
import { keptSquashfs } from '../src/extensions/kept-squashfs.ts';
import { openStore } from '../src/oci/store/store.ts';
import { nodePlatform } from '../src/platform/node.ts';
import { treeOfDirectory } from '../src/tree/directory.ts';

const [directory = '', name, store = ''] = process.argv.slice(2);
const compressor = name === 'xz' ? ({ name } as const) : ({ name: 'zstd', level: 18 } as const);

rmSync(store, { recursive: true, force: true });
const platform = nodePlatform();
const tree = await treeOfDirectory(platform.files, directory);
const identity = { source: directory, changes: [] };
const image = await keptSquashfs(await openStore(platform, store), platform, identity, tree, { compressor, epoch: 0 });
console.log(image.size);
await platform.close();
