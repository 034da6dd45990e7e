/** The base installer: the image whose programs an installer image has. */
import type { Digest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { loadedTags } from '../installer/tags.ts';
import type { PulledImage } from '../oci/store/store.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { formatAssetSource, splitNamedPath } from './asset-source.ts';
import { hostsOfImage, type ImageAssetSource, pullImage, resolveImagerImage } from './imager-image.ts';
import type { PlannedInput, PlanOptions } from './plan.ts';
import type { Workplace } from './workplace.ts';

type BaseInstaller = FinalProfile['input']['baseInstaller'];

/**
 * Where it is. A layout (`DIR`, or `DIR:NAME` where it has several images) comes before a reference, which then is only the name the result is loaded under.
 * Throws `invalid-input` for a tarball, which upstream refuses too.
 */
export function baseInstallerSource({ ociPath, imageRef, tarballPath }: BaseInstaller): ImageAssetSource {
  if (tarballPath !== '') {
    throw invalid(
      `input.baseInstaller.tarballPath ${tarballPath}: a root file system has no layers and no entry point, want imageRef or ociPath`,
      { hint: 'skopeo copy docker-archive:FILE oci:DIR makes a layout of what docker save wrote' },
    );
  }
  if (ociPath === '') return { kind: 'registry', reference: imageRef };
  const { path: directory, name } = splitNamedPath(ociPath);
  if (directory === '' || name === '') throw invalid(`input.baseInstaller.ociPath "${ociPath}": want DIR or DIR:NAME`);
  return { kind: 'layout', directory, ...(name === undefined ? {} : { name }) };
}

export interface BaseInstallerPlan {
  readonly inputs: readonly PlannedInput[];
  /** `host[:port]` of what may be contacted for it. */
  readonly hosts: readonly string[];
}

/** Nothing for other output kinds. Throws `invalid-input` for a bad reference; when resolving also what asking for manifests throws. */
export async function planBaseInstaller(
  workplace: Workplace,
  { input, output, arch }: FinalProfile,
  { resolve }: PlanOptions,
): Promise<BaseInstallerPlan> {
  if (output.kind !== 'installer') return { inputs: [], hosts: [] };
  // Read when all is built; what is wrong with it is said before.
  loadedTags(input.baseInstaller.imageRef);
  const source = baseInstallerSource(input.baseInstaller);
  const around = workplaceFor(workplace, input.baseInstaller);
  const hosts = hostsOfImage(around, source);
  const digest = resolve ? await resolveImagerImage(around, source, arch) : null;
  return { inputs: [{ role: 'base-installer', reference: formatAssetSource(source), digest }], hosts };
}

/** With its layers as they were served. Throws as `pullImage`. */
export function pullBaseInstaller(
  workplace: Workplace,
  { input: { baseInstaller }, arch }: FinalProfile,
  pinned: Digest | undefined,
): Promise<PulledImage> {
  return pullImage(workplaceFor(workplace, baseInstaller), baseInstallerSource(baseInstaller), arch, pinned);
}

/** A profile may say of this image alone that its registry is not to be trusted with TLS. */
function workplaceFor(workplace: Workplace, { forceInsecure }: BaseInstaller): Workplace {
  const { transport } = workplace;
  return { ...workplace, transport: { ...transport, insecure: transport.insecure === true || forceInsecure } };
}
