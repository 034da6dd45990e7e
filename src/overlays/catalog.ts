/** `overlays.yaml` of a catalog image: which image has the overlay of a name, by digest (spec factory-and-signatures D4). */
import { parseDigest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import { problemsError } from '../yaml/diagnostic.ts';
import { entryValue, type MappingNode, readFirstDocument, type YamlNode } from '../yaml/document.ts';
import { asText } from '../yaml/scalar.ts';

/** In the root of the image. */
export const OVERLAY_CATALOG_FILE = 'overlays.yaml';

export interface CatalogOverlay {
  /** `rpi_generic`. */
  readonly name: string;
  /** With tag and digest. */
  readonly reference: string;
}

/** Throws `invalid-input` for a text that is no list of overlays, each with name, image and digest. */
export function parseOverlayCatalog(text: string, file: string): CatalogOverlay[] {
  const { source, document, problems } = readFirstDocument(text, { file });
  if (problems.length > 0) throw problemsError(source, problems);
  const list = document?.kind === 'mapping' ? entryValue(document, 'overlays') : undefined;
  if (list?.kind !== 'sequence') throw invalid(`${file}: want a list under the key overlays`);
  return list.items.map((item, index) => overlayOf(item, `${file}: overlays[${index}]`));
}

function overlayOf(item: YamlNode, what: string): CatalogOverlay {
  if (item.kind !== 'mapping') throw invalid(`${what}: want name, image and digest`);
  const image = textOf(item, 'image', what);
  const digest = parseDigest(textOf(item, 'digest', what));
  const reference = parseReference(image);
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw invalid(`${what}: image ${image} has another digest than ${digest}`);
  }
  return { name: textOf(item, 'name', what), reference: formatReference({ ...reference, digest }) };
}

function textOf(mapping: MappingNode, key: string, what: string): string {
  const node = entryValue(mapping, key);
  const text = node?.kind === 'scalar' ? asText(node) : undefined;
  if (text === undefined || text === '') throw invalid(`${what}.${key}: missing, want text`);
  return text;
}
