/**
 * Builds the installer image of a node for both architectures and pushes it as one: what a service does that hands out installers.
 *
 *     npx node examples/push-installer.ts registry.example/me/installer:v1.13.9 [--talos-version v1.13.9] [--imager-image oci:DIR] [--base-installer DIR]
 *
 * In a project of your own import from 'bootwright'.
 */
import { parseArgs } from 'node:util';
import {
  buildInstaller,
  DEFAULT_EPOCH,
  defaultStoreDirectory,
  finaliseProfile,
  formatPushTarget,
  ImagerError,
  type InstallerArtifact,
  nodePlatform,
  type PlanRequest,
  parseAssetSource,
  parsePushTarget,
  planBuild,
  pushInstaller,
  resolveProfile,
  type Workplace,
} from '../src/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'talos-version': { type: 'string', default: 'v1.13.9' },
    'imager-image': { type: 'string' },
    'base-installer': { type: 'string' },
  },
});

const platform = nodePlatform();
try {
  const target = parsePushTarget(positionals[0] ?? '');
  const workplace: Workplace = { platform, store: defaultStoreDirectory(platform), transport: {} };

  const installers: InstallerArtifact[] = [];
  for (const arch of ['amd64', 'arm64']) {
    const base = values['base-installer'];
    const given = {
      baseProfileName: 'installer',
      arch,
      version: values['talos-version'],
      customization: { extraKernelArgs: ['net.ifnames=0'] },
      ...(base === undefined ? {} : { input: { baseInstaller: { ociPath: base } } }),
    };
    const assets = values['imager-image'] === undefined ? {} : { assets: parseAssetSource(values['imager-image']) };
    const request: PlanRequest = {
      profile: finaliseProfile(resolveProfile(given)),
      epoch: DEFAULT_EPOCH,
      ...assets,
    };
    const plan = await planBuild(workplace, request, { resolve: true });
    installers.push(await buildInstaller(workplace, request, plan));
  }

  // Without a tag they would be there by digest alone, to be signed before anybody sees them.
  const { digest, blobs } = await pushInstaller(workplace, installers, target);
  const uploaded = blobs.filter(({ outcome }) => outcome === 'uploaded');
  console.error(`uploaded ${uploaded.length} of ${blobs.length} blobs`);
  console.log(`${formatPushTarget(target)}@${digest}`);
} catch (error) {
  if (!(error instanceof ImagerError)) throw error;
  console.error(`${error.message}${error.hint === undefined ? '' : `\n  hint: ${error.hint}`}`);
  process.exitCode = 1;
} finally {
  await platform.close();
}
