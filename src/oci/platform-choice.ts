/** Which child of an index is meant by a platform (spec factory-and-signatures H4). */
import type { Descriptor, Platform } from './image-source.ts';
import type { ImageConfig, ImageIndex } from './manifest.ts';
import { INDEX_TYPES, MANIFEST_TYPES } from './media-types.ts';

/** What an architecture without variant is: the least any machine of that kind can do. */
const BASELINE: ReadonlyMap<string, string> = new Map([
  ['amd64', 'v1'],
  ['arm64', 'v8'],
  ['arm', 'v7'],
]);

/** What a child without platform is taken for when nothing else says what it is. */
const UNSAID: Platform = { os: 'linux', architecture: 'amd64' };

export interface Candidates {
  /** Children whose platform fits, best first: an exact or baseline variant before any other, then in the order of the index. */
  readonly fitting: readonly Descriptor[];
  /** Children without platform, in order: nested indexes to look into, manifests whose configuration must tell. */
  readonly unsaid: readonly Descriptor[];
}

/** The children worth looking at. Attestations, unknown platforms and media types that are no images are left out. */
export function candidates(index: ImageIndex, wanted: Platform): Candidates {
  const images = index.manifests.filter(isImage);
  const ranked = images
    .map((child) => ({ child, rank: child.platform === undefined ? undefined : rankOf(child.platform, wanted) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => a.rank! - b.rank!);
  return { fitting: ranked.map(({ child }) => child), unsaid: images.filter(({ platform }) => platform === undefined) };
}

/** Whether a configuration is for the wanted platform; what it does not say is no objection. */
export function configFits(config: Pick<ImageConfig, 'os' | 'architecture' | 'variant'>, wanted: Platform): boolean {
  const os = config.os || wanted.os;
  const architecture = config.architecture || wanted.architecture;
  const { variant } = config;
  return rankOf({ os, architecture, ...(variant === undefined ? {} : { variant }) }, wanted) !== undefined;
}

/** A child of an index that has neither platform nor a configuration which says one counts as linux/amd64. */
export function unsaidConfigFits(
  config: Pick<ImageConfig, 'os' | 'architecture' | 'variant'>,
  wanted: Platform,
): boolean {
  const silent = config.os === '' && config.architecture === '';
  return silent ? rankOf(UNSAID, wanted) !== undefined : configFits(config, wanted);
}

export function platformText({ os, architecture, variant }: Platform): string {
  return [os || '?', architecture || '?', ...(variant === undefined ? [] : [variant])].join('/');
}

function isImage({ mediaType, platform, annotations }: Descriptor): boolean {
  if (!INDEX_TYPES.includes(mediaType) && !MANIFEST_TYPES.includes(mediaType)) return false;
  if (platform?.os === 'unknown' && platform.architecture === 'unknown') return false;
  return annotations?.['vnd.docker.reference.type'] !== 'attestation-manifest';
}

/** 0 for the very variant or the baseline, 1 for another variant where none was asked for, `undefined` for another platform. */
function rankOf(offered: Platform, wanted: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined;
  const baseline = BASELINE.get(wanted.architecture) ?? '';
  const has = offered.variant ?? baseline;
  if (has === (wanted.variant ?? baseline)) return 0;
  return wanted.variant === undefined ? 1 : undefined;
}
