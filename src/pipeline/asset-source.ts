/** Where boot assets come from, as a value and as the text of `--imager-image`. */
import { invalid } from '../errors.ts';

/** An imager image, wherever it lies, or the files of one. */
export type AssetSource =
  | { readonly kind: 'registry'; readonly reference: string }
  | { readonly kind: 'layout'; readonly directory: string; readonly name?: string }
  | { readonly kind: 'oci-archive' | 'docker-archive'; readonly file: string; readonly name?: string }
  /** Files on this machine, under the paths they have in an imager image. */
  | { readonly kind: 'directory'; readonly directory: string };

/**
 * `REF`, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]` or `dir:DIR`. As other image tools have it, a path with a NAME ends
 * at the first colon; NAME is what the layout or archive calls the image, `ghcr.io/siderolabs/imager:v1.13.0` or only `v1.13.0`. A reference is
 * checked when it is used. Throws `invalid-input`.
 *
 * @example
 * parseAssetSource('oci:./assets:v1.13.0'); // { kind: 'layout', directory: './assets', name: 'v1.13.0' }
 */
export function parseAssetSource(text: string): AssetSource {
  const [, scheme, rest] = /^(oci|oci-archive|docker-archive|dir):(.*)$/s.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) {
    if (text !== '') return { kind: 'registry', reference: text };
    throw invalid('imager image "": want a reference, oci:DIR, oci-archive:FILE, docker-archive:FILE or dir:DIR');
  }
  const refusal = (wish: string): Error => invalid(`imager image ${JSON.stringify(text)}: want ${wish}`);
  if (scheme === 'dir') {
    if (rest === '') throw refusal('a path after dir:');
    return { kind: 'directory', directory: rest };
  }
  const { path, name } = splitNamedPath(rest);
  if (path === '') throw refusal(`a path after ${scheme}:`);
  if (name === '') throw refusal('a name after the path, or no colon');
  const named = name === undefined ? {} : { name };
  if (scheme === 'oci') return { kind: 'layout', directory: path, ...named };
  return { kind: scheme as 'oci-archive' | 'docker-archive', file: path, ...named };
}

/** `PATH[:NAME]`; either may come out empty. */
export function splitNamedPath(text: string): { readonly path: string; readonly name: string | undefined } {
  // The colon of a Windows drive ends no path.
  const [, path = '', name] = /^((?:[A-Za-z]:[\\/])?[^:]*)(?::(.*))?$/s.exec(text) ?? [];
  return { path, name };
}

/** The text that `parseAssetSource` reads back. */
export function formatAssetSource(source: AssetSource): string {
  switch (source.kind) {
    case 'registry':
      return source.reference;
    case 'layout':
      return `oci:${source.directory}${suffix(source.name)}`;
    case 'oci-archive':
    case 'docker-archive':
      return `${source.kind}:${source.file}${suffix(source.name)}`;
    case 'directory':
      return `dir:${source.directory}`;
  }
}

function suffix(name: string | undefined): string {
  return name === undefined ? '' : `:${name}`;
}
