/** What of system extensions is decided, checked and shown before anything is built. */
import type { FinalProfile } from '../profiles/resolve.ts';
import { extensionSources, nameOfExtension } from './extension-source.ts';
import { hostsOfImage } from './imager-image.ts';
import type { PlannedInput, PlanOptions } from './plan.ts';
import type { Workplace } from './workplace.ts';

export interface ExtensionsPlan {
  readonly inputs: readonly PlannedInput[];
  /** `host[:port]` of what may be contacted for them. */
  readonly hosts: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * When resolving they are fetched, because only their content tells whether they fit. Throws `invalid-input` for a bad reference; when resolving also what
 * `fetchExtensions` throws.
 */
export async function planExtensions(
  workplace: Workplace,
  profile: FinalProfile,
  { resolve }: PlanOptions,
): Promise<ExtensionsPlan> {
  const sources = extensionSources(profile);
  if (sources.length === 0) return { inputs: [], hosts: [], warnings: [] };
  const hosts = sources.flatMap((source) => (source.kind === 'image' ? hostsOfImage(workplace, source.image) : []));
  const inputs = sources.map((source): Omit<PlannedInput, 'digest'> => {
    const place = source.kind === 'tarball' ? { path: source.file } : { reference: nameOfExtension(source) };
    return { role: 'system-extension', ...place };
  });
  if (!resolve) return { inputs: inputs.map((input) => ({ ...input, digest: null })), hosts, warnings: [] };
  const { fetchExtensions } = await import('./extension-images.ts');
  const { extensions, warnings } = await fetchExtensions(workplace, profile);
  return {
    inputs: inputs.map((input, index) => ({ ...input, digest: extensions[index]!.digest })),
    hosts,
    warnings: warnings.map((warning) => `system extension ${warning}`),
  };
}
