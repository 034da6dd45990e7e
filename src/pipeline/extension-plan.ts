/** What of system extensions is decided, checked and shown before anything is built. */
import { DEFAULT_TALOS_VERSION } from '../profiles/defaults.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import { extensionSources, hasExtensions, nameOfExtension } from './extension-source.ts';
import { hostsOfImage } from './imager-image.ts';
import type { PlannedInput, PlanOptions, PlanRequest } from './plan.ts';
import type { Workplace } from './workplace.ts';

export interface ExtensionsPlan {
  readonly inputs: readonly PlannedInput[];
  /** `host[:port]` of what may be contacted for them. */
  readonly hosts: readonly string[];
  readonly warnings: readonly string[];
  /** Who packs them; absent when there are none, and in a plan that was not resolved. */
  readonly packers?: readonly string[];
}

/**
 * When resolving they are fetched, because only their content tells whether they fit. Throws `invalid-input` for a bad reference and a machine configuration with mistakes; when resolving also what
 * `fetchExtensions` throws.
 */
export async function planExtensions(
  workplace: Workplace,
  { profile, epoch, skipNetworkCheck }: PlanRequest,
  { resolve }: PlanOptions,
): Promise<ExtensionsPlan> {
  const configWarnings = skipNetworkCheck === true ? [] : await checkConfig(profile);
  const packers = resolve && hasExtensions(profile) ? await packersFor(workplace, profile, epoch) : {};
  const sources = extensionSources(profile);
  if (sources.length === 0) return { inputs: [], hosts: [], warnings: configWarnings, ...packers };
  const hosts = sources.flatMap((source) => (source.kind === 'image' ? hostsOfImage(workplace, source.image) : []));
  const inputs = sources.map((source): Omit<PlannedInput, 'digest'> => {
    const place = source.kind === 'tarball' ? { path: source.file } : { reference: nameOfExtension(source) };
    return { role: 'system-extension', ...place };
  });
  if (!resolve) return { inputs: inputs.map((input) => ({ ...input, digest: null })), hosts, warnings: configWarnings };
  const { fetchExtensions } = await import('./extension-images.ts');
  const { extensions, warnings } = await fetchExtensions(workplace, profile);
  return {
    inputs: inputs.map((input, index) => ({ ...input, digest: extensions[index]!.digest })),
    hosts,
    warnings: [...configWarnings, ...warnings.map((warning) => `system extension ${warning}`)],
    ...packers,
  };
}

async function packersFor(
  workplace: Workplace,
  profile: FinalProfile,
  epoch: number,
): Promise<Pick<ExtensionsPlan, 'packers'>> {
  const { packersOf } = await import('./extended-initramfs.ts');
  return { packers: packersOf(workplace, profile, epoch) };
}

/** A node finds mistakes in its configuration when it starts, where nobody is looking. */
async function checkConfig({ customization, platform, version }: FinalProfile): Promise<readonly string[]> {
  if (customization.embeddedMachineConfiguration === '') return [];
  const { checkEmbeddedConfig } = await import('../machineconfig/documents/embedded.ts');
  return checkEmbeddedConfig(customization.embeddedMachineConfiguration, {
    platform,
    talosVersion: (parseTalosVersion(version) ?? parseTalosVersion(DEFAULT_TALOS_VERSION)!).text,
  });
}
