/** Which images a Talos release and the profiles for it need: what an air-gapped site has to have. Sources: spec factory-and-signatures D6; siderolabs/talos pkg/images. */
import { ImagerError, invalid } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import { type AssetWishes, placeAssets } from './asset-places.ts';
import { LAST_PATCHES, RELEASES, type ReleaseVersions } from './image-list-releases.ts';

const VENDOR = 'ghcr.io/siderolabs';
const KUBERNETES = 'registry.k8s.io';

export interface ImageList {
  /** References as a build or a node names them. */
  readonly images: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * What building for `talosVersion` and running nodes of it needs, in the order of `talosctl image default`, after the images of the release itself. Throws
 * `invalid-input` for what is no version, `unsupported` for a release we have no list of.
 */
export function imagesOfRelease(talosVersion: string, kubernetesVersion?: string): ImageList {
  const version = parseTalosVersion(talosVersion);
  if (version === undefined) throw invalid(`Talos version "${talosVersion}": want one like v1.13.0`);
  const { major, minor, patch } = version;
  const last = major === 1 ? LAST_PATCHES[minor] : undefined;
  if (last === undefined) {
    const minors = Object.keys(LAST_PATCHES).map((each) => `1.${each}`);
    throw new ImagerError(
      'unsupported',
      `Talos version ${talosVersion}: no list of its images, want ${minors.join(', ')}`,
      {
        hint: 'name them with --image: talosctl image default of that release prints them',
      },
    );
  }
  const tag = talosVersion.trim().replace(/^v?/, 'v');
  const versions = versionsOf(minor, patch);
  const kubernetes = kubernetesVersion === undefined ? versions.kubernetes : checkedKubernetes(kubernetesVersion);
  const warnings =
    patch <= last
      ? []
      : [`Talos version ${talosVersion}: newer than what is known, the list is that of v1.${minor}.${last}`];
  return { images: [...imagesOfVendor(minor, tag), ...imagesOfNodes(minor, versions, kubernetes)], warnings };
}

function versionsOf(minor: number, patch: number): ReleaseVersions {
  const lines = RELEASES[minor]!.filter(([first]) => first <= patch).map(([, versions]) => versions);
  return Object.assign({}, ...lines) as ReleaseVersions;
}

function checkedKubernetes(text: string): string {
  if (/^v?1\.\d{1,3}\.\d{1,3}(?:-[a-z0-9.]+)?$/.test(text)) return text.replace(/^v?/, 'v');
  throw invalid(`Kubernetes version "${text}": want one like v1.36.3`);
}

function imagesOfVendor(minor: number, tag: string): string[] {
  const names = [
    'imager',
    'installer',
    // Since then installers are made from a base without boot assets.
    ...(minor >= 10 ? ['installer-base'] : []),
    ...(minor >= 11 ? ['talosctl-all'] : []),
    'overlays',
    'extensions',
  ];
  return names.map((name) => `${VENDOR}/${name}:${tag}`);
}

function imagesOfNodes(minor: number, versions: ReleaseVersions, kubernetes: string): string[] {
  const { flannel, coredns, etcd, pause, networkPolicies } = versions;
  const etcdImage = minor >= 12 ? `${KUBERNETES}/etcd` : 'gcr.io/etcd-development/etcd';
  return [
    `${VENDOR}/flannel:${flannel}`,
    `${KUBERNETES}/coredns/coredns:${coredns}`,
    `${etcdImage}:${etcd}`,
    `${KUBERNETES}/pause:${pause}`,
    ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'].map(
      (name) => `${KUBERNETES}/${name}:${kubernetes}`,
    ),
    `${VENDOR}/kubelet:${kubernetes}`,
    ...(networkPolicies === undefined ? [] : [`${KUBERNETES}/networking/kube-network-policies:${networkPolicies}`]),
  ];
}

/** What building a profile takes from registries: of several places of an asset the first counts, and others than registries need no copy. */
export function imagesOfProfile(request: AssetWishes): string[] {
  const { input, overlay, output } = request.profile;
  const { source, places } = placeAssets(request);
  const needsImage = places.some((place) => place.in === 'image');
  const assets = [
    ...(output.kind === 'installer' ? [input.baseInstaller] : []),
    ...input.systemExtensions,
    input.imageCache,
    ...(overlay === null ? [] : [overlay.image]),
  ];
  return [
    ...(needsImage && source.kind === 'registry' ? [source.reference] : []),
    ...assets
      .filter(({ imageRef, ociPath, tarballPath }) => imageRef !== '' && ociPath === '' && tarballPath === '')
      .map(({ imageRef }) => imageRef),
  ];
}

/** Each once, whatever it is called, in order. Throws `invalid-input` for a bad reference. */
export function distinctImages(references: readonly string[]): string[] {
  const known = new Map(references.map((text) => [JSON.stringify(parseReference(text)), text] as const).reverse());
  return [...new Set(references.map((text) => known.get(JSON.stringify(parseReference(text)))!))];
}
