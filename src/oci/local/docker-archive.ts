/**
 * An image as what `docker load` reads (`docker save`'s form): config, layers and a list of both in one tar. Names and order are
 * go-containerregistry's (spec profiles-and-inputs 9.4), which upstream writes.
 */
import { type Bytes, ofText } from '../../bytes/bytes.ts';
import { hexOf } from '../../bytes/units.ts';
import { layoutTarEntries } from '../../formats/tar/layout-tar.ts';
import type { FileEntry } from '../../tree/tree.ts';
import type { ComposedImage } from '../composed-image.ts';

/**
 * The archive, referring to the layers. `tags` are the names the image gets when it is loaded; null for none.
 * The archive has no manifest of the registry's kind: media types of layers are lost in it.
 */
export function layoutDockerArchive({ config, layers }: ComposedImage, tags: readonly string[] | null): Bytes {
  const names = layers.map(({ descriptor: { digest, mediaType } }) => `${hexOf(digest)}${suffixOf(mediaType)}`);
  const configName = config.descriptor.digest;
  const list = [{ Config: configName, RepoTags: tags, Layers: names }];
  const files = new Map<string, Bytes>([[configName, config.bytes]]);
  for (const [index, name] of names.entries()) files.set(name, layers[index]!.bytes);
  files.set('manifest.json', ofText(JSON.stringify(list)));
  return layoutTarEntries([...files].map(([path, content]) => fileEntry(path, content)));
}

function fileEntry(path: string, content: Bytes): FileEntry {
  return { kind: 'file', path, content, mode: 0o644, uid: 0, gid: 0, mtime: 0 };
}

/** Some readers go by the name. */
function suffixOf(mediaType: string): string {
  if (mediaType.endsWith('gzip')) return '.tar.gz';
  return mediaType.endsWith('zstd') ? '.tar.zst' : '.tar';
}
