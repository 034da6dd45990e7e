/** Where system extensions come from, as a profile says it (spec profiles-and-inputs 6.1, 7). */
import { invalid } from '../errors.ts';
import type { ContainerAsset, Profile } from '../profiles/profile.ts';
import { formatAssetSource, splitNamedPath } from './asset-source.ts';
import type { ImageAssetSource } from './imager-image.ts';

/** Where a container asset of a profile comes from. */
export type ExtensionSource =
  | { readonly kind: 'image'; readonly image: ImageAssetSource; readonly insecure: boolean }
  /** A plain tar of the root of an extension image. */
  | { readonly kind: 'tarball'; readonly file: string };

/** Whether the output holds an initramfs, and with it extensions. */
function holdsExtensions({ output }: Profile): boolean {
  return output.kind !== 'cmdline' && output.kind !== 'kernel';
}

/** Whether anything is added to the initramfs. */
export function hasExtensions(profile: Profile): boolean {
  const { input, customization } = profile;
  return (
    holdsExtensions(profile) && (input.systemExtensions.length > 0 || customization.embeddedMachineConfiguration !== '')
  );
}

/** In the order of the list; none for outputs without an initramfs. Throws `invalid-input` for one that says nowhere. */
export function extensionSources(profile: Profile): ExtensionSource[] {
  return holdsExtensions(profile) ? profile.input.systemExtensions.map(extensionSource) : [];
}

function extensionSource(asset: ContainerAsset, index: number): ExtensionSource {
  return containerSource(asset, `input.systemExtensions[${index}]`);
}

/** Of several places the first counts, as upstream has it. Throws `invalid-input`, naming `field`, where there is none. */
export function containerSource(asset: ContainerAsset, field: string): ExtensionSource {
  const { tarballPath, ociPath, imageRef, forceInsecure } = asset;
  if (tarballPath !== '') return { kind: 'tarball', file: tarballPath };
  if (ociPath !== '') {
    const { path: directory, name } = splitNamedPath(ociPath);
    if (directory === '' || name === '') throw invalid(`${field}.ociPath "${ociPath}": want DIR or DIR:NAME`);
    const image = { kind: 'layout', directory, ...(name === undefined ? {} : { name }) } as const;
    return { kind: 'image', image, insecure: false };
  }
  if (imageRef === '') throw invalid(`${field}: want imageRef, ociPath or tarballPath`);
  return { kind: 'image', image: { kind: 'registry', reference: imageRef }, insecure: forceInsecure };
}

/** As messages and plans call it. */
export function nameOfExtension(source: ExtensionSource): string {
  return source.kind === 'tarball' ? source.file : formatAssetSource(source.image);
}
