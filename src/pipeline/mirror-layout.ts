/** An OCI layout that images are copied to, under their whole references. Source: OCI image-spec image-layout.md. */
import { ofMemory } from '../bytes/bytes.ts';
import { writeToFile } from '../bytes/write.ts';
import { fetchBlob } from '../imagecache/fetch-blob.ts';
import type { CopyDestination, CopyOutcome } from '../oci/copy.ts';
import { digestOf } from '../oci/digest-check.ts';
import type { Descriptor, RawManifest } from '../oci/image-source.ts';
import { REF_NAME } from '../oci/local/layout.ts';
import { checkLayoutDirectory } from '../oci/local/write-layout.ts';
import { MANIFEST_LIMIT } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { Platform } from '../platform/types.ts';

/** Blobs on their way, below the layout. */
const PARTIAL = '.partial';

export interface MirrorLayout {
  readonly directory: string;
  /** A place in it for an image. */
  repository(reference: Reference): CopyDestination;
  /** Takes away what is not needed any more. */
  close(): Promise<void>;
}

/** Made when it is not there; images in it stay. One process at a time. Throws `invalid-input` for a directory with something else in it, `io`. */
export async function openMirrorLayout(machine: Platform, directory: string): Promise<MirrorLayout> {
  const { files } = machine;
  await checkLayoutDirectory(files, directory);
  await files.makeDirectory(`${directory}/blobs/sha256`);
  const write = (name: string, value: unknown): Promise<void> =>
    writeToFile(files, `${directory}/${name}`, ofMemory(new TextEncoder().encode(JSON.stringify(value))), {
      sync: true,
    });
  // A layout from the beginning on, with nothing in it.
  const isThere = (await files.info(`${directory}/index.json`)) !== undefined;
  if (!isThere) {
    await write('oci-layout', { imageLayoutVersion: '1.0.0' });
    await write('index.json', indexOf([]));
  }
  const index = new TextDecoder().decode(await files.read(`${directory}/index.json`, MANIFEST_LIMIT));
  let entries = (JSON.parse(index) as { readonly manifests: readonly Descriptor[] }).manifests;
  await files.makeDirectory(`${directory}/${PARTIAL}`);
  return {
    directory,
    repository(reference) {
      const named = new Map<string, RawManifest>();
      return {
        label: `oci:${directory}`,
        async putBlob(descriptor, source, onBytes, signal) {
          const name = descriptor.digest.slice('sha256:'.length);
          const path = `${directory}/blobs/sha256/${name}`;
          const before = await files.info(path);
          await fetchBlob(
            machine,
            { descriptor, source },
            { path, partial: `${directory}/${PARTIAL}/${name}` },
            {
              signal,
              onBytes,
            },
          );
          return before?.size === descriptor.size ? 'present' : 'copied';
        },
        async putDocument(document) {
          // What no tag leads to is found by its digest.
          if (reference.tag === undefined && document.digest === reference.digest) {
            named.set(formatReference(reference), document);
          }
          return putDocument(machine, directory, document);
        },
        async putTag(tag, document) {
          named.set(formatReference({ ...reference, tag, digest: undefined }), document);
          // As other tools look for it: what refers to a digest is the same in every repository.
          if (tag.startsWith('sha256-')) named.set(tag, document);
          return putDocument(machine, directory, document);
        },
        keepsReferrers: async () => false,
        async finish() {
          const others = entries.filter(({ annotations }) => !named.has(annotations?.[REF_NAME] ?? ''));
          const added = [...named].map(([name, { mediaType, digest, raw }]) => ({
            mediaType,
            digest,
            size: raw.length,
            annotations: { [REF_NAME]: name },
          }));
          const next = [...others, ...added];
          await files.syncDirectory(`${directory}/blobs/sha256`);
          if (JSON.stringify(next) !== JSON.stringify(entries)) await write('index.json', indexOf(next));
          entries = next;
        },
      };
    },
    close: () => files.remove(`${directory}/${PARTIAL}`),
  };
}

function indexOf(manifests: readonly Descriptor[]): object {
  return { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
}

async function putDocument(machine: Platform, directory: string, { digest, raw }: RawManifest): Promise<CopyOutcome> {
  const { files } = machine;
  const path = `${directory}/blobs/sha256/${digest.slice('sha256:'.length)}`;
  const isWhole =
    (await files.info(path))?.size === raw.length && digestOf(machine, await files.read(path, raw.length)) === digest;
  if (isWhole) return 'present';
  await writeToFile(files, path, ofMemory(raw), { sync: true });
  return 'copied';
}
