/** An OCI layout that images are copied to, under their whole references. Source: OCI image-spec image-layout.md. */
import { ofMemory } from '../bytes/bytes.ts';
import { type Digest, MIB } from '../bytes/units.ts';
import { writeToFile } from '../bytes/write.ts';
import { fetchBlob } from '../imagecache/fetch-blob.ts';
import type { CopyDestination, CopyOutcome } from '../oci/copy.ts';
import { readBlob } from '../oci/digest-check.ts';
import type { Descriptor, RawManifest } from '../oci/image-source.ts';
import { blobPathOf, REF_NAME } from '../oci/local/layout.ts';
import { isWholeBlob } from '../oci/local/whole-blob.ts';
import { checkLayoutDirectory } from '../oci/local/write-layout.ts';
import { MANIFEST_LIMIT } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { Platform } from '../platform/types.ts';

/** Blobs on their way, below the layout. */
const PARTIAL = '.partial';

/** Bytes; what is smaller is not worth a beginning. */
const SMALL: number = MIB;

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
    writeToFile(files, `${directory}/${name}`, ofMemory(new TextEncoder().encode(JSON.stringify(value))));
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
          const { digest, size } = descriptor;
          if (await isWholeBlob(machine, directory, descriptor, signal)) return 'present';
          const path = pathOf(directory, digest);
          if (size <= SMALL) {
            await writeToFile(files, path, ofMemory(await readBlob(machine, source, descriptor, SMALL, signal)));
            return 'copied';
          }
          const partial = `${directory}/${PARTIAL}/${digest.slice('sha256:'.length)}`;
          await fetchBlob(machine, { descriptor, source }, { path, partial }, { signal, onBytes });
          return 'copied';
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
        async attachedAt(tag) {
          const names = [formatReference({ ...reference, tag, digest: undefined }), tag];
          const listed = entries.filter(({ annotations }) => names.includes(annotations?.[REF_NAME] ?? ''));
          const distinct = new Map(listed.map((entry) => [entry.digest, entry]));
          const found: RawManifest[] = [];
          for (const entry of distinct.values()) {
            // What is damaged is made anew.
            if (!(await isWholeBlob(machine, directory, entry))) continue;
            const raw = await files.read(pathOf(directory, entry.digest), MANIFEST_LIMIT);
            found.push({ digest: entry.digest, mediaType: entry.mediaType, raw });
          }
          return found;
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
          if (JSON.stringify(next) !== JSON.stringify(entries)) await write('index.json', indexOf(next));
          entries = next;
        },
      };
    },
    async close() {
      await files.remove(`${directory}/${PARTIAL}`);
      await files.syncDirectory(directory);
    },
  };
}

function indexOf(manifests: readonly Descriptor[]): object {
  return { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
}

async function putDocument(machine: Platform, directory: string, { digest, raw }: RawManifest): Promise<CopyOutcome> {
  if (await isWholeBlob(machine, directory, { digest, size: raw.length })) return 'present';
  await writeToFile(machine.files, pathOf(directory, digest), ofMemory(raw));
  return 'copied';
}

function pathOf(directory: string, digest: Digest): string {
  return `${directory}/${blobPathOf(digest)}`;
}
