/** Names of extensions and overlays to references by digest: own catalogs first, then the official one of the Talos version. */
import { ofSource } from '../bytes/bytes.ts';
import { toMemory } from '../bytes/read.ts';
import { ImagerError, withContext } from '../errors.ts';
import {
  CATALOG_FILE,
  type Catalog,
  findExtension,
  noExtension,
  parseCatalog,
  type WantedExtension,
} from '../extensions/catalog.ts';
import { OVERLAY_CATALOG_FILE, parseOverlayCatalog } from '../overlays/catalog.ts';
import { fileAt } from '../tree/tree.ts';
import { nearName } from '../yaml/diagnostic.ts';
import { decodeYamlText } from '../yaml/document.ts';
import { formatAssetSource, parseAssetSource } from './asset-source.ts';
import { type ImageAssetSource, pullImage } from './imager-image.ts';
import type { Workplace } from './workplace.ts';

/** Of some hundred references. */
const CATALOG_LIMIT = 4 << 20;
/** Catalogs are the same for all architectures; upstream reads this one. */
const CATALOG_ARCHITECTURE = 'amd64';

export interface CatalogOptions {
  /** As the tag of the official catalog has it, `v1.13.0`. */
  readonly version: string;
  /** `REF`, `oci:DIR[:NAME]`, an archive, or a file on this machine, in the order in which they are asked. */
  readonly catalogs?: readonly string[];
}

/**
 * For each name a reference with tag and digest. The official catalog is asked only for what no other has. Throws `dependency` for a name that none has, telling
 * all that were asked and what was probably meant; what pulling throws.
 */
export async function resolveExtensionNames(
  workplace: Workplace,
  wanted: readonly WantedExtension[],
  { version, catalogs = [] }: CatalogOptions,
): Promise<string[]> {
  const own: Catalog[] = [];
  for (const text of catalogs) own.push(parseCatalog(await readCatalog(workplace, text, CATALOG_FILE), text));
  let official: Catalog | undefined;
  const references: string[] = [];
  for (const one of wanted) {
    const found = findExtension(own, one);
    if (found !== undefined) {
      references.push(found.reference);
      continue;
    }
    official ??= await officialExtensions(workplace, version);
    const all = [...own, official];
    const last = findExtension([official], one);
    if (last === undefined) throw noExtension(all, one);
    references.push(last.reference);
  }
  return references;
}

async function officialExtensions(workplace: Workplace, version: string): Promise<Catalog> {
  const reference = `ghcr.io/siderolabs/extensions:${version}`;
  return parseCatalog(await readCatalog(workplace, reference, CATALOG_FILE), reference);
}

/** The image that has the overlay of this name, with tag and digest. Throws as `resolveExtensionNames`. */
export async function resolveOverlayName(
  workplace: Workplace,
  name: string,
  { version, catalogs = [] }: CatalogOptions,
): Promise<string> {
  const asked = [...catalogs, `ghcr.io/siderolabs/overlays:${version}`];
  const names: string[] = [];
  for (const catalog of asked) {
    const overlays = parseOverlayCatalog(await readCatalog(workplace, catalog, OVERLAY_CATALOG_FILE), catalog);
    const found = overlays.find((overlay) => overlay.name === name);
    if (found !== undefined) return found.reference;
    names.push(...overlays.map((overlay) => overlay.name));
  }
  const near = nearName(name, names);
  throw new ImagerError('dependency', `overlay ${name}: not in ${asked.join(', ')}`, {
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}

async function readCatalog(workplace: Workplace, text: string, file: string): Promise<string> {
  const { files } = workplace.platform;
  if ((await files.info(text))?.kind === 'file') {
    return decodeYamlText(await toMemory(ofSource(await files.source(text)), CATALOG_LIMIT, text), text);
  }
  const source = parseAssetSource(text);
  if (source.kind === 'directory') {
    throw new ImagerError('invalid-input', `catalog ${text}: want a reference, oci:DIR or a file`);
  }
  return fileOfImage(workplace, source, file);
}

async function fileOfImage(workplace: Workplace, source: ImageAssetSource, file: string): Promise<string> {
  const name = formatAssetSource(source);
  try {
    const { tree } = await pullImage(workplace, source, CATALOG_ARCHITECTURE, undefined);
    const content = fileAt(tree, file);
    if (content === undefined) throw new ImagerError('dependency', `${name}: no ${file} in it`);
    return decodeYamlText(await toMemory(content, CATALOG_LIMIT, file), file);
  } catch (error) {
    throw withContext('catalog', error);
  }
}
