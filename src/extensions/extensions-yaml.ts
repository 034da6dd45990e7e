/** `extensions.yaml`: what an initramfs holds beside its base, lowest layer first (spec profiles-and-inputs 7.5). */
import { emitYaml } from '../yaml/emit.ts';
import type { YamlValue } from '../yaml/value.ts';
import type { ExtensionMetadata } from './manifest.ts';

export interface ExtensionLayer {
  /** Name of its squashfs file in the initramfs. */
  readonly image: string;
  readonly metadata: ExtensionMetadata;
}

/** Byte for byte as 1.14 writes it; 1.13 differs in that it never folds long lines. */
export function extensionsYaml(layers: readonly ExtensionLayer[], options: { readonly fold?: boolean } = {}): string {
  const { fold = true } = options;
  const era = fold ? 'v4-rc6' : 'v4-rc4';
  return emitYaml({ layers: layers.map(layerValue) }, { indent: 4, fold, era });
}

function layerValue({ image, metadata }: ExtensionLayer): YamlValue {
  const { name, version, author, description, constraint, extraInfo } = metadata;
  return {
    image,
    metadata: {
      name,
      version,
      author,
      description,
      compatibility: { talos: { version: constraint } },
      ...(extraInfo === '' ? {} : { extraInfo }),
    },
  };
}
