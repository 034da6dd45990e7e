/** OCI layouts as mirrors of registries: one repository of a layout whose names are whole references. */
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import type { ImageSource, RawManifest } from '../image-source.ts';
import { formatReference, type Reference } from '../reference.ts';
import { layoutsOf, type Mirrors } from '../registry/mirrors.ts';
import { isDigest } from '../resolve.ts';
import { openLayout } from './layout.ts';

/** Sources by directory, each opened once. */
export type OpenedLayouts = ReadonlyMap<string, ImageSource>;

/** Every layout that `mirrors` name. Throws `invalid-input` for a directory that is none, `io`. */
export async function openMirrorLayouts(
  machine: Pick<Machine, 'files' | 'hash'>,
  mirrors: Mirrors,
): Promise<OpenedLayouts> {
  const opened = new Map<string, ImageSource>();
  for (const directory of new Set(Object.values(mirrors).flatMap(({ layouts = [] }) => layouts))) {
    opened.set(directory, await openLayout(machine, directory));
  }
  return opened;
}

type RepositoryName = Pick<Reference, 'registry' | 'repository'>;

/** The repository in the layouts that stand for its registry, then in `registry`; that alone where there are none, and nothing where there is neither. */
export function throughLayouts<Registry extends ImageSource | undefined>(
  opened: OpenedLayouts,
  mirrors: Mirrors,
  name: RepositoryName,
  registry: Registry,
): ImageSource | Registry {
  const layouts = layoutsOf(name.registry, mirrors).map((directory) => opened.get(directory)!);
  return layouts.length === 0 ? registry : layoutMirror(layouts, name, registry);
}

/** Of which manifest a tag tells something, as cosign and the referrers tag schema name it. */
const ABOUT = /^sha256-([0-9a-f]{64})(?:\..*)?$/;

/**
 * What a layout has it decides about: a signature that it lacks of an image it has is not looked for elsewhere, which offline would be an error in
 * place of an answer.
 */
export function layoutMirror(
  layouts: readonly ImageSource[],
  name: RepositoryName,
  registry: ImageSource | undefined,
): ImageSource {
  const label = `${name.registry}/${name.repository}`;
  const holder = async (digest: string): Promise<ImageSource | undefined> => {
    for (const layout of layouts) if ((await layout.findManifest(digest)) !== undefined) return layout;
    return undefined;
  };
  const inLayouts = async (identifier: string): Promise<RawManifest | 'none' | undefined> => {
    const about = ABOUT.exec(identifier)?.[1];
    for (const layout of layouts) {
      const found = await layout.findManifest(nameIn(name, identifier));
      if (found !== undefined) return found;
      // Made of a digest, so the same for every repository; other tools write it so.
      const short = about === undefined ? undefined : await layout.findManifest(identifier);
      if (short !== undefined) return short;
    }
    return about !== undefined && (await holder(`sha256:${about}`)) !== undefined ? 'none' : undefined;
  };
  const findManifest: ImageSource['findManifest'] = async (identifier, signal) => {
    const found = await inLayouts(identifier);
    if (found === 'none') return undefined;
    return found ?? registry?.findManifest(identifier, signal);
  };
  const notThere = (what: string): ImagerError =>
    new ImagerError('dependency', `${label}: ${what} is not in ${layouts.map((one) => one.label).join(' or ')}`, {
      hint: 'imager mirror copies it there',
    });
  const blobs = new Map<Digest, BlobPlaces>();
  const placesOf = (digest: Digest): BlobPlaces => {
    const known = blobs.get(digest) ?? { rejected: new Set(), sender: undefined };
    blobs.set(digest, known);
    return known;
  };
  return {
    label,
    ...(registry?.isPersistent === undefined ? {} : { isPersistent: registry.isPersistent }),
    async manifest(identifier, signal) {
      const found = await inLayouts(identifier);
      if (found !== undefined && found !== 'none') return found;
      if (registry === undefined) throw notThere(identifier);
      return registry.manifest(identifier, signal);
    },
    findManifest,
    async referrers(digest, options) {
      const layout = await holder(digest);
      return (await (layout ?? registry)?.referrers(digest, options)) ?? [];
    },
    async blob(descriptor, from, signal) {
      const places = placesOf(descriptor.digest);
      for (const layout of layouts.filter((one) => !places.rejected.has(one))) {
        places.sender = layout;
        try {
          return await layout.blob(descriptor, from, signal);
        } catch (error) {
          if (!(error instanceof ImagerError) || error.code !== 'dependency') throw error;
        }
      }
      if (registry === undefined) throw notThere(`blob ${descriptor.digest}`);
      places.sender = registry;
      return registry.blob(descriptor, from, signal);
    },
    reject(digest) {
      const { rejected, sender } = placesOf(digest);
      if (sender === undefined) return false;
      if (sender === registry) return registry.reject?.(digest) ?? false;
      const isLast = registry === undefined && layouts.every((one) => one === sender || rejected.has(one));
      if (!isLast) rejected.add(sender);
      return !isLast;
    },
  };
}

/** Where a blob was had from last, and which layouts had it wrong. */
interface BlobPlaces {
  readonly rejected: Set<ImageSource>;
  sender: ImageSource | undefined;
}

/** What a layout calls it. */
function nameIn(name: RepositoryName, identifier: string): string {
  if (isDigest(identifier)) return parseDigest(identifier);
  return formatReference({ ...name, tag: identifier, digest: undefined });
}
