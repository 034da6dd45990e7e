/** An image read where it lies, without a copy in the store: layers that are not compressed are ranges of files already. */
import { ofSource } from '../../bytes/bytes.ts';
import type { Digest } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import { indexTarBytes } from '../../formats/tar/tar-index.ts';
import type { Platform as Machine, Source } from '../../platform/types.ts';
import type { Tree } from '../../tree/tree.ts';
import { sizeError } from '../digest-check.ts';
import type { Platform } from '../image-source.ts';
import { flatten } from '../layer/flatten.ts';
import { type ImageLayer, layersOf } from '../layer/layer.ts';
import { parseImageConfig } from '../manifest.ts';
import { requireImage, resolveImage } from '../resolve.ts';
import { sourceReader } from '../source-reader.ts';
import { openLayout } from './layout.ts';

export interface ImageInPlace {
  readonly manifestDigest: Digest;
  readonly tree: Tree;
}

/**
 * The image for a platform in the OCI layout `directory`; `undefined` when a layer is compressed. Documents are verified, but of the layers only
 * sizes and tar headers are: whoever needs more knows better what to hold them to. Throws as `resolveImage`, `io`, `invalid-input`,
 * `unsupported`.
 */
export async function openInPlace(
  machine: Machine,
  directory: string,
  platform: Platform,
): Promise<ImageInPlace | undefined> {
  const source = await openLayout(machine, directory);
  const reader = sourceReader(machine, source);
  const { manifest, manifestDigest } = await resolveImage(machine, reader, '', platform);
  requireImage(manifest, source.label);
  const config = parseImageConfig(await reader.config(manifest.config), `${source.label}: config`);
  const layers = layersOf(manifest, config, source.label);
  if (!layers.every(({ descriptor, diffId }) => descriptor.digest === diffId)) return undefined;
  const contents = [];
  for (const layer of layers) {
    const content = await layerSource(machine, directory, layer);
    const label = `layer ${layer.diffId}`;
    contents.push({ label, entries: await indexTarBytes(ofSource(content)), source: content });
  }
  return { manifestDigest, tree: flatten(contents) };
}

async function layerSource({ files }: Machine, directory: string, { descriptor }: ImageLayer): Promise<Source> {
  const { digest, size } = descriptor;
  const path = `${directory}/blobs/${digest.replace(':', '/')}`;
  if ((await files.info(path))?.kind !== 'file') {
    throw invalid(`oci:${directory}: layer ${digest} is not there`, { hint: 'the layout is incomplete' });
  }
  const source = await files.source(path);
  if (source.size !== size) throw sizeError(`oci:${directory}: layer ${digest}`, source.size, size);
  return source;
}
