/**
 * `many-files.ts COUNT`: opens an extension whose layer has COUNT entries, the manifest one of them, and says as JSON what is wrong with it and how much memory
 * that took. A process of its own, so that its memory is known.
 */
import process from 'node:process';
import { checkExtensions } from '../../src/extensions/check.ts';
import { openExtension } from '../../src/extensions/layout.ts';
import { problemText } from '../../src/extensions/problem.ts';
import { indexTar } from '../../src/formats/tar/tar-index.ts';
import { flatten } from '../../src/oci/layer/flatten.ts';
import type { Chunks, Source } from '../../src/platform/types.ts';
import { parseTalosVersion } from '../../src/profiles/talos-version.ts';
import { manifestText } from './extension-images.ts';
import { tarEntry } from './tar.ts';

const count = Number(process.argv[2]);
const manifest = tarEntry({ name: 'manifest.yaml', data: manifestText() });

console.log(JSON.stringify({ told: await told(), memory: process.resourceUsage().maxRSS * 1024 }));

async function told(): Promise<string[]> {
  const source: Source = {
    key: 'layer',
    label: 'layer',
    size: 2 ** 40,
    read: async (position, into) => into.set(manifest.subarray(position, position + into.length)),
  };
  try {
    const image = flatten([{ label: 'layer', entries: await indexTar(layer()), source }]);
    const extension = await openExtension(image, 'many');
    const problems = await checkExtensions([{ name: 'many', extension }], {
      version: parseTalosVersion('v1.12.0')!,
      modulesPath: 'usr/lib/modules',
      firmwarePath: 'usr/lib/firmware',
    });
    return problems.map(problemText);
  } catch (error) {
    return [(error as Error).message];
  }
}

/** Empty files of one directory. One header serves for all: making each anew takes longer than all that is measured. */
async function* layer(): Chunks {
  yield manifest;
  const name = 'rootfs/usr/local/share/';
  const header = tarEntry({ name: `${name}0000000` });
  const digits = (text: string): number => [...text].reduce((sum, digit) => sum + digit.charCodeAt(0), 0);
  const sumOfZeros = Number.parseInt(header.toString('latin1', 148, 154), 8);
  for (let first = 1; first < count; first += 2048) {
    const headers: Buffer[] = [];
    for (let index = first; index < Math.min(count, first + 2048); index++) {
      const number = String(index).padStart(7, '0');
      const one = Buffer.from(header);
      one.write(number, name.length, 'latin1');
      const sum = sumOfZeros + digits(number) - digits('0000000');
      one.write(sum.toString(8).padStart(6, '0'), 148, 'latin1');
      headers.push(one);
    }
    yield Buffer.concat(headers);
  }
  yield new Uint8Array(1024);
}
