/** A repository as a source of images: in the layouts that mirror its registry, at its mirrors, and at the registry itself. */
import type { ImageSource } from '../oci/image-source.ts';
import { openMirrorLayouts, throughLayouts } from '../oci/local/layout-mirror.ts';
import { type RepositoryName, registrySource } from '../oci/registry/registry.ts';
import type { Platform } from '../platform/types.ts';
import type { Transport } from './workplace.ts';

/** Absent where nothing may be contacted and no layout stands for the registry. Throws `invalid-input` for mirrors that are none, `io`. */
export function sourceOfRepository(
  platform: Platform,
  transport: Transport & { readonly offline: false },
  name: RepositoryName,
): Promise<ImageSource>;
export function sourceOfRepository(
  platform: Platform,
  transport: Transport,
  name: RepositoryName,
): Promise<ImageSource | undefined>;
export async function sourceOfRepository(
  platform: Platform,
  { mirrors = {}, insecure = false, offline = false }: Transport,
  name: RepositoryName,
): Promise<ImageSource | undefined> {
  const registry = offline ? undefined : registrySource(platform, name, { mirrors, insecure });
  return throughLayouts(await openMirrorLayouts(platform, mirrors), mirrors, name, registry);
}
