/** Names with the grammars of Kubernetes and of container registries. */

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** DNS-1123 subdomain: labels in lower case, at most 253 characters. */
export function isSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => LABEL.test(label));
}

/** `[prefix/]name`, the prefix a DNS subdomain, the name at most 63 characters. */
export function isQualifiedName(text: string): boolean {
  const parts = text.split('/');
  const name = parts.at(-1) ?? '';
  return parts.length <= 2 && isLabelText(name) && (parts.length === 1 || isSubdomain(parts[0]!));
}

/** Value of a label: empty, or as a name. */
export function isLabelValue(text: string): boolean {
  return text === '' || isLabelText(text);
}

function isLabelText(text: string): boolean {
  return text.length <= 63 && /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(text);
}

const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** `value:effect` or an effect alone. */
export function isTaint(text: string): boolean {
  const parts = text.split(':');
  return parts.length <= 2 && TAINT_EFFECTS.includes(parts.at(-1)!) && (parts.length === 1 || isLabelValue(parts[0]!));
}

const IMAGE_NAME =
  /^(?:[a-zA-Z0-9.-]+(?::[0-9]+)?\/|\[[0-9a-fA-F:]+\](?::[0-9]+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/** An image reference with registry names as upstream takes them: a name with a tag or a digest, at most one of the two. */
export function isImageReference(text: string): boolean {
  const [, name = '', suffix = ''] =
    /^(.*?)((?:@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?)$/.exec(text) ?? [];
  // A single letter is no repository.
  return name.length >= 2 && IMAGE_NAME.test(name) && !(suffix === '' && text.includes('@'));
}

/** Kubernetes minors a Talos minor runs: six of them, ending with the one current at its release. */
export function kubernetesMinors(talosMinor: number): { readonly least: number; readonly most: number } {
  const most = talosMinor + 23;
  return { least: most - 5, most };
}

/** The minor of a tag `v1.35.0`; a digest may follow the tag. */
export function taggedMinor(image: string): number | undefined {
  const tag = /:v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:-[0-9A-Za-z.-]+)?(?:@sha256:[0-9a-f]+)?$/.exec(image);
  return tag === null || tag[1] !== '1' || !/:v/.test(image) ? undefined : Number(tag[2]);
}
