/** Where a mirror is: a registry, or a directory. */
import { ImagerError } from '../errors.ts';
import { parseReference, parseRegistryHost, type Reference } from '../oci/reference.ts';

export type MirrorTarget =
  | {
      readonly kind: 'registry';
      readonly registry: string;
      /** Before the repositories, without slashes around it; may be empty. */
      readonly prefix: string;
    }
  | { readonly kind: 'layout'; readonly directory: string };

/** `registry.example:5000[/prefix]` or `oci:DIR`. Throws `usage`, and `invalid-input` for a registry that cannot be one. */
export function parseMirrorTarget(text: string): MirrorTarget {
  const wish = `mirror "${text}": want oci:DIR or a registry like registry.example:5000/prefix`;
  if (text.startsWith('oci:')) {
    const directory = text.slice('oci:'.length).replace(/(.)\/+$/, '$1');
    if (directory === '') throw new ImagerError('usage', wish);
    return { kind: 'layout', directory };
  }
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const prefix = slash < 0 ? '' : text.slice(slash + 1).replace(/\/+$/, '');
  // One word is a name of Docker Hub everywhere else: who means a host writes its domain or port.
  if (host !== 'localhost' && !/[.:[]/.test(host)) throw new ImagerError('usage', wish);
  const registry = parseRegistryHost(host, 'mirror');
  if (prefix !== '') parseReference(`${registry}/${prefix}/name`);
  return { kind: 'registry', registry, prefix };
}

/** As it was written. */
export function formatMirrorTarget(target: MirrorTarget): string {
  if (target.kind === 'layout') return `oci:${target.directory}`;
  return target.prefix === '' ? target.registry : `${target.registry}/${target.prefix}`;
}

/** The repository of a mirror registry that stands for one elsewhere: a client asks it for the path alone, without the host. */
export function repositoryIn(
  { prefix }: Extract<MirrorTarget, { readonly kind: 'registry' }>,
  { repository }: Pick<Reference, 'repository'>,
): string {
  return prefix === '' ? repository : `${prefix}/${repository}`;
}
