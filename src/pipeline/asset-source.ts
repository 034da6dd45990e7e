/** Where the boot assets come from: the value of `--imager-image` (DESIGN section 4). */
import { invalid } from '../errors.ts';

export type AssetSource =
  | { readonly kind: 'registry'; readonly reference: string }
  | { readonly kind: 'layout'; readonly directory: string; readonly name?: string }
  | { readonly kind: 'oci-archive' | 'docker-archive'; readonly file: string; readonly name?: string }
  | { readonly kind: 'directory'; readonly directory: string };

/**
 * `REF`, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]` or `dir:DIR`. What follows the first colon of
 * a path and has no slash is the NAME. Throws `invalid-input`.
 */
export function parseAssetSource(text: string): AssetSource {
  const match = /^(oci|oci-archive|docker-archive|dir):(.*)$/s.exec(text);
  if (match === null) {
    if (text === '')
      throw invalid('imager image "": want a reference, oci:DIR, oci-archive:FILE, docker-archive:FILE or dir:DIR');
    return { kind: 'registry', reference: text };
  }
  const [, scheme, rest] = match;
  if (rest === '') throw invalid(`imager image "${text}": want a path after ${scheme}:`);
  if (scheme === 'dir') return { kind: 'directory', directory: rest! };
  const named = /^(.+?):([^/:]+(?::[^/]+)?)$/s.exec(rest!);
  const path = named?.[1] ?? rest!;
  const name = named?.[2] === undefined ? {} : { name: named[2] };
  if (scheme === 'oci') return { kind: 'layout', directory: path, ...name };
  return { kind: scheme as 'oci-archive' | 'docker-archive', file: path, ...name };
}

/** As written on the command line. */
export function formatAssetSource(source: AssetSource): string {
  const suffix = 'name' in source && source.name !== undefined ? `:${source.name}` : '';
  switch (source.kind) {
    case 'registry':
      return source.reference;
    case 'layout':
      return `oci:${source.directory}${suffix}`;
    case 'oci-archive':
    case 'docker-archive':
      return `${source.kind}:${source.file}${suffix}`;
    case 'directory':
      return `dir:${source.directory}`;
  }
}
