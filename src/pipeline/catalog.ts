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
import { type CatalogOverlay, OVERLAY_CATALOG_FILE, parseOverlayCatalog } from '../overlays/catalog.ts';
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

/** What names lead to. */
export interface Resolved {
  /** With tag and digest, in the order of the names. */
  readonly references: readonly string[];
  /** That were asked on the way, as they were given. */
  readonly catalogs: readonly string[];
}

/**
 * For each name a reference with tag and digest. The official catalog is asked only for what no other has. Throws `dependency` for a name that none has, telling
 * all that were asked and what was probably meant; what pulling throws.
 */
export async function resolveExtensionNames(
  workplace: Workplace,
  wanted: readonly WantedExtension[],
  { version, catalogs = [] }: CatalogOptions,
): Promise<Resolved> {
  const own: Catalog[] = [];
  for (const text of catalogs) own.push(await readExtensions(workplace, text));
  let official: Catalog | undefined;
  const references: string[] = [];
  for (const one of wanted) {
    const found = findExtension(own, one);
    if (found !== undefined) {
      references.push(found.reference);
      continue;
    }
    official ??= await readExtensions(workplace, officialExtensions(version));
    const all = [...own, official];
    const last = findExtension([official], one);
    if (last === undefined) throw noExtension(all, one);
    references.push(last.reference);
  }
  return { references, catalogs: official === undefined ? catalogs : [...catalogs, official.origin] };
}

/** Everything the catalogs have, the official one too. Throws what pulling throws. */
export async function allExtensions(
  workplace: Workplace,
  { version, catalogs = [] }: CatalogOptions,
): Promise<Resolved> {
  const asked = [...catalogs, officialExtensions(version)];
  const references: string[] = [];
  for (const text of asked) {
    references.push(...(await readExtensions(workplace, text)).entries.map(({ reference }) => reference));
  }
  return { references, catalogs: asked };
}

function officialExtensions(version: string): string {
  return `ghcr.io/siderolabs/extensions:${version}`;
}

async function readExtensions(workplace: Workplace, text: string): Promise<Catalog> {
  return parseCatalog(await readCatalog(workplace, text, CATALOG_FILE), text);
}

/** The image that has the overlay of this name. Throws as `resolveExtensionNames`. */
export async function resolveOverlayName(
  workplace: Workplace,
  name: string,
  options: CatalogOptions,
): Promise<Resolved & { readonly reference: string }> {
  const asked = overlayCatalogs(options);
  const names: string[] = [];
  for (const [index, catalog] of asked.entries()) {
    const overlays = await readOverlays(workplace, catalog);
    const found = overlays.find((overlay) => overlay.name === name);
    if (found !== undefined) {
      const { reference } = found;
      return { reference, references: [reference], catalogs: asked.slice(0, index + 1) };
    }
    names.push(...overlays.map((overlay) => overlay.name));
  }
  const near = nearName(name, names);
  throw new ImagerError('dependency', `overlay ${name}: not in ${asked.join(', ')}`, {
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}

/** As `allExtensions`, for overlays. */
export async function allOverlays(workplace: Workplace, options: CatalogOptions): Promise<Resolved> {
  const catalogs = overlayCatalogs(options);
  const references: string[] = [];
  for (const catalog of catalogs) {
    references.push(...(await readOverlays(workplace, catalog)).map(({ reference }) => reference));
  }
  return { references, catalogs };
}

function overlayCatalogs({ version, catalogs = [] }: CatalogOptions): string[] {
  return [...catalogs, `ghcr.io/siderolabs/overlays:${version}`];
}

async function readOverlays(workplace: Workplace, text: string): Promise<CatalogOverlay[]> {
  return parseOverlayCatalog(await readCatalog(workplace, text, OVERLAY_CATALOG_FILE), text);
}

/** Those of `catalogs` that are images in registries: a copy of what they name needs a copy of them. */
export async function catalogImages({ platform }: Workplace, catalogs: readonly string[]): Promise<string[]> {
  const references: string[] = [];
  for (const text of catalogs) {
    if ((await platform.files.info(text))?.kind === 'file') continue;
    const source = parseAssetSource(text);
    if (source.kind === 'registry') references.push(source.reference);
  }
  return references;
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
