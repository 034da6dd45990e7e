/** The images that names in catalogs lead to, with those catalogs. */
import { parseWantedExtension } from '../extensions/catalog.ts';
import {
  allExtensions,
  allOverlays,
  type CatalogOptions,
  catalogImages,
  type Resolved,
  resolveExtensionNames,
  resolveOverlayName,
} from '../pipeline/catalog.ts';
import type { Workplace } from '../pipeline/workplace.ts';
import { DEFAULT_TALOS_VERSION } from '../profiles/defaults.ts';
import type { CatalogFlags } from './mirror-flags.ts';

/** For every Talos version; catalogs are fetched, and verified by the rules of the workplace. Throws `usage` for a name that cannot be one, and as `resolveExtensionNames`. */
export async function imagesInCatalogs(flags: CatalogFlags, workplace: Workplace): Promise<string[]> {
  // Builds take one overlay, and that flag may stand before the name of the command.
  const overlays = [flags.overlayName ?? []].flat();
  const wanted = (flags.systemExtension ?? []).map(parseWantedExtension);
  const images: string[] = [];
  const add = async ({ references, catalogs }: Resolved): Promise<void> => {
    images.push(...(await catalogImages(workplace, catalogs)), ...references);
  };
  for (const version of flags.talosVersion ?? [DEFAULT_TALOS_VERSION]) {
    const extensions: CatalogOptions = { version, catalogs: flags.extensionCatalog ?? [] };
    const ofOverlays: CatalogOptions = { version, catalogs: flags.overlayCatalog ?? [] };
    if (flags.allExtensions === true) await add(await allExtensions(workplace, extensions));
    else if (wanted.length > 0) await add(await resolveExtensionNames(workplace, wanted, extensions));
    if (flags.allOverlays === true) await add(await allOverlays(workplace, ofOverlays));
    else for (const name of overlays) await add(await resolveOverlayName(workplace, name, ofOverlays));
  }
  return images;
}
