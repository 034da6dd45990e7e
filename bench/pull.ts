/** What a first build waits for: everything of an image. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry } from '../test/support/docker-registry.ts';
import type { SyntheticAssets } from '../test/support/synthetic-assets.ts';
import { skipWithout } from '../test/support/tools.ts';
import { atMost, type Bench, milliseconds, notMeasured, type Row } from './figure.ts';
import { buildArguments, imager, makeAssets, REAL_SIZES, settle } from './imager.ts';
import { type Candidate, compare } from './measure.ts';

/** Everything of an image into an empty store, against what fetches and checks the same blobs into files. */
export async function coldPull({ directory, runs }: Bench): Promise<Row[]> {
  const missing = skipWithout('docker-registry', 'skopeo', 'curl', 'sha256sum');
  if (missing !== false) return [notMeasured('cold pull', missing)];
  const registry = await startDockerRegistry();
  try {
    const rows: Row[] = [];
    for (const compression of ['gzip', 'none'] as const) {
      const own = join(directory, compression);
      const assets = await makeAssets(own, { ...REAL_SIZES, compression });
      await registry.push(assets.directory, assets.tag, compression, assets.tag);
      const store = join(own, 'store');
      const output = join(own, 'out');
      const source = `${registry.host}/${compression}:${assets.tag}`;
      const pull: Candidate = {
        // The kernel: the smallest output for which the whole image is pulled.
        ...imager(own, ...buildArguments(own, { profile: 'iso', source, output }), '--output-kind', 'kernel'),
        prepare: () => settle(store, output),
      };
      const fetched = join(own, 'fetched');
      const peer: Candidate = {
        command: ['sh', '-ec', fetchScript(assets, `http://${registry.host}/v2/${compression}/blobs`, fetched)],
        prepare: () => {
          settle(fetched);
          mkdirSync(fetched);
        },
      };
      const { candidate, peer: curl, ratio } = compare(pull, peer, runs);
      rows.push({
        what: `cold pull, ${compression === 'none' ? 'plain' : compression} layers`,
        ours: milliseconds(candidate.wall),
        peer: `curl and sha256sum of its blobs: ${milliseconds(curl.wall)}`,
        ...atMost(ratio, 1.2, ''),
      });
    }
    return rows;
  } finally {
    await registry.close();
  }
}

/** One blob after the other: curl to a file, then sha256sum of it. */
function fetchScript({ blobs }: SyntheticAssets, url: string, directory: string): string {
  return blobs
    .map(({ digest }) => {
      const hex = digest.slice('sha256:'.length);
      const file = join(directory, hex);
      return `curl -sSf -o '${file}' '${url}/${digest}'; echo '${hex}  ${file}' | sha256sum -c --quiet`;
    })
    .join('\n');
}
