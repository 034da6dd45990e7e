/** Images into an OCI image layout directory (image-spec image-layout.md), a new one or one that has others already. */
import { type Bytes, ofMemory } from '../../bytes/bytes.ts';
import { toMemory } from '../../bytes/read.ts';
import type { Digest } from '../../bytes/units.ts';
import { type WriteOptions, writeToFile } from '../../bytes/write.ts';
import { invalid } from '../../errors.ts';
import type { Files, Platform as Machine } from '../../platform/types.ts';
import { blobsOf, type ComposedImage, manifestDescriptor, topManifest } from '../composed-image.ts';
import type { RawManifest } from '../image-source.ts';
import { MANIFEST_LIMIT } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';
import { blobPathOf, fileOpener, REF_NAME } from './layout.ts';
import { isWholeBlob } from './whole-blob.ts';

export interface WriteLayoutOptions extends Pick<WriteOptions, 'signal' | 'sync' | 'temporarySuffix'> {
  /** Told of bytes written, of all blobs together. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Puts the images under `name` into the layout in `directory`, several as one index, in place of what had the name. Blobs that are there are not written again;
 * `index.json` is replaced last, so that nobody ever finds half an image. Returns the document the name leads to.
 * Throws `invalid-input` for a directory that has something else in it, `io`, `canceled`.
 */
export async function writeToLayout(
  machine: Pick<Machine, 'files' | 'hash'>,
  directory: string,
  name: string,
  images: readonly ComposedImage[],
  options: WriteLayoutOptions = {},
): Promise<RawManifest> {
  const { files } = machine;
  const others = (await entriesOf(files, directory)).filter(({ annotations }) => annotations?.[REF_NAME] !== name);
  const top = topManifest(machine, images);
  const documents = new Map([...images.map(({ manifest }) => manifest), top].map((one) => [one.digest, one.raw]));
  const contents: (readonly [digest: Digest, bytes: Bytes])[] = [
    ...blobsOf(images).map(({ descriptor, bytes }) => [descriptor.digest, bytes] as const),
    ...[...documents].map(([digest, raw]) => [digest, ofMemory(raw)] as const),
  ];
  await files.makeDirectory(`${directory}/blobs/sha256`);
  await writeBlobs(machine, directory, contents, options);
  const [only] = images;
  const described =
    images.length === 1
      ? manifestDescriptor(only!)
      : { mediaType: top.mediaType, digest: top.digest, size: top.raw.length };
  const entry = { ...described, annotations: { [REF_NAME]: name } };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...others, entry] };
  await writeToFile(files, `${directory}/oci-layout`, json({ imageLayoutVersion: '1.0.0' }), fileOptions(options));
  await writeToFile(files, `${directory}/index.json`, json(index), fileOptions(options));
  return top;
}

interface Entry {
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Throws `invalid-input` for a directory that has something else in it: before the images for it are made. */
export async function checkLayoutDirectory(files: Files, directory: string): Promise<void> {
  await entriesOf(files, directory);
}

/** What a writer leaves that was killed before its first `index.json`. */
function isUnfinished(names: readonly string[]): boolean {
  return (
    names.includes('blobs') && names.every((name) => /^(blobs|oci-layout|(oci-layout|index\.json)\..+)$/.test(name))
  );
}

function isObject(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What `index.json` lists already. */
async function entriesOf(files: Files, directory: string): Promise<readonly Entry[]> {
  if ((await files.info(directory)) === undefined || (await files.list(directory)).length === 0) return [];
  const open = fileOpener(files, directory);
  const [marker, index] = [await open('oci-layout'), await open('index.json')];
  const broken = invalid(`oci:${directory}: a directory with something else in it, want an OCI image layout or none`);
  if (index === undefined && isUnfinished(await files.list(directory))) return [];
  if (marker === undefined || index === undefined) throw broken;
  const text = new TextDecoder().decode(await toMemory(index, MANIFEST_LIMIT, `${directory}/index.json`));
  try {
    const { manifests } = JSON.parse(text) as { readonly manifests?: unknown };
    if (manifests === null) return [];
    if (Array.isArray(manifests) && manifests.every(isObject)) return manifests;
  } catch {
    throw broken;
  }
  throw broken;
}

async function writeBlobs(
  machine: Pick<Machine, 'files' | 'hash'>,
  directory: string,
  contents: readonly (readonly [digest: Digest, bytes: Bytes])[],
  options: WriteLayoutOptions,
): Promise<void> {
  const total = contents.reduce((sum, [, { size }]) => sum + size, 0);
  let before = 0;
  for (const [digest, bytes] of contents) {
    const path = `${directory}/${blobPathOf(digest)}`;
    const start = before;
    before += bytes.size;
    if (await isWholeBlob(machine, directory, { digest, size: bytes.size }, options.signal)) {
      options.onProgress?.(before, total);
      continue;
    }
    const onProgress = (done: number): void => options.onProgress?.(start + done, total);
    await writeToFile(machine.files, path, bytes, { ...fileOptions(options), onProgress });
  }
}

function fileOptions({ signal, sync, temporarySuffix }: WriteLayoutOptions): WriteOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(sync === undefined ? {} : { sync }),
    ...(temporarySuffix === undefined ? {} : { temporarySuffix }),
  };
}

function json(value: unknown): Bytes {
  return ofMemory(new TextEncoder().encode(JSON.stringify(value)));
}
