/** `imager mirror`: images with all their signatures to where no network is needed. */
import { ImagerError, withContext } from '../errors.ts';
import { type CopyDestination, type CopyReport, collectImage, copyImage } from '../oci/copy.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { openMirrorLayouts, throughLayouts } from '../oci/local/layout-mirror.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { openRegistries } from '../oci/registry/registry.ts';
import { distinctImages } from './image-list.ts';
import { openMirrorLayout } from './mirror-layout.ts';
import { openMirrorRepository } from './mirror-registry.ts';
import { formatMirrorTarget, type MirrorTarget, repositoryIn } from './mirror-target.ts';
import type { Workplace } from './workplace.ts';

export interface MirrorRequest {
  /** As people write them; the same image may be there several times. */
  readonly references: readonly string[];
  readonly target: MirrorTarget;
}

export interface MirroredImage extends CopyReport {
  /** Written out, with registry and tag or digest. */
  readonly reference: string;
}

export interface MirrorReport {
  readonly images: readonly MirroredImage[];
  /** Of a registry, as clients reach it: `http://registry.example:5000`. */
  readonly origin?: string;
}

/**
 * Copies what is missing; manifests keep their bytes. A stopped run, even a killed one, goes on where it was. One process at a time may write to a layout, or to one
 * registry from one store. Throws `dependency` offline and for what cannot be had or put, `verification`, `invalid-input` for two images that a mirror
 * would call by the same name, `io`, `canceled`.
 */
export async function mirrorImages(workplace: Workplace, { references, target }: MirrorRequest): Promise<MirrorReport> {
  const wanted = distinctImages(references).map(parseReference);
  if (wanted.length === 0)
    throw new ImagerError('usage', 'mirror: no images, want --image, --profile or --talos-version');
  if (workplace.transport.offline === true) {
    throw new ImagerError('dependency', 'mirror: images come from registries, and offline none may be asked');
  }
  const source = await sourcesOf(workplace);
  const destination = await destinationOf(workplace, target);
  const images: MirroredImage[] = [];
  for (const reference of wanted) {
    const name = formatReference(reference);
    try {
      images.push({ reference: name, ...(await mirrorImage(workplace, source(reference), reference, destination)) });
    } catch (error) {
      throw withContext(`image ${name}`, error);
    }
    workplace.onProgress?.({ task: 'copying images', done: images.length, total: wanted.length, unit: 'step' });
  }
  await destination.close();
  return { images, ...destination.found() };
}

async function mirrorImage(
  { platform, signal, onProgress }: Workplace,
  source: ImageSource,
  reference: Reference,
  { open, claim }: Destination,
): Promise<CopyReport> {
  const image = await collectImage(platform, source, reference, signal);
  for (const [tag, { digest }] of image.tags) claim(reference, tag, digest);
  return copyImage(platform, source, image, await open(reference), {
    ...(signal === undefined ? {} : { signal }),
    onBytes: (done, total) =>
      onProgress?.({ task: `copying ${formatReference(reference)}`, done, total, unit: 'bytes' }),
  });
}

async function sourcesOf({ platform, transport }: Workplace): Promise<(reference: Reference) => ImageSource> {
  const { mirrors = {}, insecure = false } = transport;
  const registries = openRegistries(platform, { mirrors, insecure });
  const layouts = await openMirrorLayouts(platform, mirrors);
  return (reference) => throughLayouts(layouts, mirrors, reference, registries.source(reference));
}

interface Destination {
  open(reference: Reference): Promise<CopyDestination>;
  /** Throws `invalid-input` when the name leads to another image already. */
  claim(reference: Reference, tag: string, digest: string): void;
  found(): { readonly origin?: string };
  close(): Promise<void>;
}

async function destinationOf(workplace: Workplace, target: MirrorTarget): Promise<Destination> {
  const { platform } = workplace;
  if (target.kind === 'layout') {
    const layout = await openMirrorLayout(platform, target.directory);
    return {
      open: async (reference) => layout.repository(reference),
      claim: () => undefined,
      found: () => ({}),
      close: () => layout.close(),
    };
  }
  const { registry } = target;
  const staging = `${workplace.store}/mirror/${formatMirrorTarget(target).replace(/[^a-z0-9.-]/g, '_')}`;
  const shared = { registry, staging, seen: new Map() };
  const claimed = new Map<string, { readonly digest: string; readonly by: string }>();
  let origin: string | undefined;
  return {
    async open(reference) {
      const opened = await openMirrorRepository(workplace, shared, repositoryIn(target, reference));
      origin = opened.origin;
      return opened;
    },
    claim(reference, tag, digest) {
      const name = `${repositoryIn(target, reference)}:${tag}`;
      const by = formatReference(reference);
      const before = claimed.get(name);
      claimed.set(name, { digest, by });
      // Signatures of an image belong to its digest, wherever it is.
      if (before === undefined || before.digest === digest || tag.startsWith('sha256-')) return;
      throw new ImagerError(
        'invalid-input',
        `${registry}/${name}: stands for ${before.by}, and ${by} is another image`,
        {
          hint: 'a mirror knows repositories without their registries: copy one of them to another prefix, or to oci:DIR',
        },
      );
    },
    found: () => (origin === undefined ? {} : { origin }),
    close: () => platform.files.remove(staging),
  };
}
