/** An extension image as a tree: a manifest and what it adds to the root of a node (spec profiles-and-inputs 7.1). */
import { toMemory } from '../bytes/read.ts';
import { invalid } from '../errors.ts';
import { subtree, type Tree } from '../tree/tree.ts';
import { decodeYamlText } from '../yaml/document.ts';
import { type ExtensionMetadata, parseManifest } from './manifest.ts';

/** Far above any manifest. */
const MANIFEST_LIMIT = 1 << 20;

const MANIFEST = 'manifest.yaml';
const ROOTFS = 'rootfs';

export interface Extension {
  readonly metadata: ExtensionMetadata;
  /** What lies below `rootfs/`. */
  readonly rootfs: Tree;
  /** One line each. */
  readonly warnings: readonly string[];
}

/** `image` is the flattened image, `name` what messages call it. Throws `invalid-input` for another layout or a bad manifest. */
export async function openExtension(image: Tree, name: string): Promise<Extension> {
  const strange = image.entries.find(
    ({ path }) => path !== '' && !path.includes('/') && path !== MANIFEST && path !== ROOTFS,
  );
  if (strange !== undefined) throw invalid(`${name}: ${strange.path}: want ${MANIFEST} and ${ROOTFS}/, nothing else`);
  const manifest = image.byPath.get(MANIFEST);
  const found = manifest === undefined ? 'missing' : `a ${manifest.kind}`;
  if (manifest?.kind !== 'file') throw invalid(`${name}: ${MANIFEST} is ${found}, want a file`);
  const rootfs = image.byPath.get(ROOTFS);
  if (rootfs?.kind !== 'directory') {
    throw invalid(`${name}: ${ROOTFS} is ${rootfs === undefined ? 'missing' : `a ${rootfs.kind}`}, want a directory`);
  }
  const file = `${name}: ${MANIFEST}`;
  const { metadata, warnings } = parseManifest(
    decodeYamlText(await toMemory(manifest.content, MANIFEST_LIMIT, file), file),
    file,
  );
  return { metadata, warnings, rootfs: subtree(image, ROOTFS) };
}
