/** A process of its own that pulls images from a layout into a store, for tests of processes that share one or are killed. */
import { openLayout } from '../../src/oci/local/layout.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';

const [, , directory, layout, ...names] = process.argv;
const machine = nodePlatform();
const store = await openStore(machine, directory!);
const source = await openLayout(machine, layout!);
process.stdout.write('ready\n');
for (const name of names) {
  const platform = { os: 'linux', architecture: 'amd64' };
  await store.pull(source, name, { platform, referenceName: name });
}
await machine.close();
