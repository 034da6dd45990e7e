/**
 * Builds an ISO with a static network configuration in the stages of the library: resolve, plan, build, write.
 *
 *     npx node examples/build-iso.ts [--arch amd64] [--talos-version v1.13.9] [--imager-image oci:DIR] [--output _out]
 *
 * In a project of your own import from 'bootwright'.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  build,
  DEFAULT_EPOCH,
  defaultStoreDirectory,
  finaliseProfile,
  ImagerError,
  META_KEYS,
  nodePlatform,
  type PlanRequest,
  parseAssetSource,
  planBuild,
  planDigest,
  resolveProfile,
  type Workplace,
  writeArtifact,
} from '../src/index.ts';

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: 'amd64' },
    'talos-version': { type: 'string', default: 'v1.13.9' },
    'imager-image': { type: 'string' },
    output: { type: 'string', default: '_out' },
  },
});

const platform = nodePlatform();
try {
  const workplace: Workplace = { platform, store: defaultStoreDirectory(platform), transport: {} };

  // What is wanted, and everything it implies.
  const network = await readFile(new URL('network.yaml', import.meta.url), 'utf8');
  const given = {
    baseProfileName: 'iso',
    arch: values.arch,
    version: values['talos-version'],
    customization: {
      extraKernelArgs: ['net.ifnames=0'],
      metaContents: [{ key: META_KEYS.metalNetworkPlatformConfig, value: network }],
    },
  };
  const profile = finaliseProfile(resolveProfile(given));
  const assets = values['imager-image'] === undefined ? {} : { assets: parseAssetSource(values['imager-image']) };
  const request: PlanRequest = { profile, epoch: DEFAULT_EPOCH, ...assets };

  // Everything decided: names have become digests, META and arguments are checked, no layer was fetched yet.
  const plan = await planBuild(workplace, request, { resolve: true });
  for (const warning of plan.warnings) console.error(`warning: ${warning}`);
  console.error(`plan ${planDigest(plan)}\ncmdline ${plan.cmdline}`);

  // Fetches what the store has not; the image itself is only described.
  const artifact = await build(workplace, request, plan);

  // Now its bytes are read and written, once.
  console.log(await writeArtifact(platform, artifact, values.output));
} catch (error) {
  if (!(error instanceof ImagerError)) throw error;
  console.error(`${error.message}${error.hint === undefined ? '' : `\n  hint: ${error.hint}`}`);
  process.exitCode = 1;
} finally {
  await platform.close();
}
