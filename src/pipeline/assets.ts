/** The boot assets of a build: which are needed, where each is, and their content. */
import { type Bytes, ofSource } from '../bytes/bytes.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import { type IsoChoice, type IsoGenerator, isoGenerator } from '../iso/generator.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { treeOfDirectory } from '../tree/directory.ts';
import { fileAt, resolve, subtree, type Tree } from '../tree/tree.ts';
import { type AssetSource, formatAssetSource } from './asset-source.ts';
import { locateImage, notInStore, openWorkplaceStore, type Workplace } from './workplace.ts';

export type FileRole = 'kernel' | 'initramfs' | 'systemd-stub' | 'systemd-boot';
export type AssetRole = FileRole | 'grub';

/** Where one asset is: a path in the imager image, or one on this machine. */
export interface AssetPlace {
  readonly role: AssetRole;
  readonly in: 'image' | 'machine';
  /** Absolute within the image. */
  readonly path: string;
}

export interface AssetPlaces {
  readonly source: AssetSource;
  readonly places: readonly AssetPlace[];
}

export interface AssetWishes {
  readonly profile: FinalProfile;
  /** Where assets come from that the profile gives no path of its own for; the imager image of the version unless given. */
  readonly assets?: AssetSource;
  /** Directory with GRUB's platform directories, in place of the imager image's. */
  readonly grubDirectory?: string;
}

/** Both in images and on Debian-like machines. */
const GRUB_DIRECTORY = '/usr/lib/grub';
const GRUB_FONT = '/usr/share/grub/unicode.pf2';

/** The image a version's boot assets come from by default. */
export function defaultAssets(version: string): AssetSource {
  return { kind: 'registry', reference: `ghcr.io/siderolabs/imager:${version}` };
}

/** What a profile's output is made of. */
export function rolesOf(profile: FinalProfile): readonly AssetRole[] {
  switch (profile.output.kind) {
    case 'cmdline':
      return [];
    case 'kernel':
      return ['kernel'];
    case 'initramfs':
      return ['initramfs'];
    case 'uki':
      return ['kernel', 'initramfs', 'systemd-stub'];
    case 'iso':
      return isoRoles(profile);
    case 'image':
    case 'installer':
      return ['kernel', 'initramfs', 'systemd-stub', 'systemd-boot', 'grub'];
  }
}

/** What decides which kind of ISO a profile gets. */
export function isoChoice(profile: FinalProfile): IsoChoice {
  const { arch, output, traits } = profile;
  return {
    architecture: arch,
    secureBoot: profile.secureboot === true,
    bootloader: output.isoOptions?.bootloader,
    traits,
  };
}

/** arm64 has no BIOS, so a hybrid ISO for it has no GRUB. */
function isoRoles(profile: FinalProfile): readonly AssetRole[] {
  const roles: readonly AssetRole[] = ISO_ROLES[isoGenerator(isoChoice(profile))];
  return profile.arch === 'arm64' && roles.includes('systemd-boot') ? roles.filter((role) => role !== 'grub') : roles;
}

const ISO_ROLES = {
  grub: ['kernel', 'initramfs', 'grub'],
  hybrid: ['kernel', 'initramfs', 'systemd-stub', 'systemd-boot', 'grub'],
  uefi: ['kernel', 'initramfs', 'systemd-stub', 'systemd-boot'],
} as const satisfies Record<IsoGenerator, readonly AssetRole[]>;

/**
 * A path that is the version's default means the file of that path in the imager image, any other is the user's own file. GRUB comes from the imager
 * image too, unless nothing else does: then from this machine.
 */
export function placeAssets(wishes: AssetWishes): AssetPlaces {
  const { profile } = wishes;
  const source = wishes.assets ?? defaultAssets(profile.version);
  const inSource = (role: AssetRole, path: string): AssetPlace =>
    source.kind === 'directory'
      ? { role, in: 'machine', path: `${source.directory}${path}` }
      : { role, in: 'image', path };
  const roles = rolesOf(profile);
  const files = roles
    .filter((role) => role !== 'grub')
    .map((role): AssetPlace => {
      const { path, usual } = pathsOf(profile, role);
      return path === usual ? inSource(role, path) : { role, in: 'machine', path };
    });
  if (!roles.includes('grub')) return { source, places: files };
  const { grubDirectory } = wishes;
  if (grubDirectory !== undefined)
    return { source, places: [...files, { role: 'grub', in: 'machine', path: grubDirectory }] };
  const allLocal = wishes.assets === undefined && files.every((place) => place.in === 'machine');
  const grub: AssetPlace = allLocal
    ? { role: 'grub', in: 'machine', path: GRUB_DIRECTORY }
    : inSource('grub', GRUB_DIRECTORY);
  return { source, places: [...files, grub] };
}

function pathsOf({ arch, input }: FinalProfile, role: FileRole): { readonly path: string; readonly usual: string } {
  const usual = (name: string): string => `/usr/install/${arch}/${name}`;
  switch (role) {
    case 'kernel':
      return { path: input.kernel.path, usual: usual('vmlinuz') };
    case 'initramfs':
      return { path: input.initramfs.path, usual: usual('initramfs.xz') };
    case 'systemd-stub':
      return { path: input.sdStub.path, usual: usual('systemd-stub.efi') };
    case 'systemd-boot':
      return { path: input.sdBoot.path, usual: usual('systemd-boot.efi') };
  }
}

/** The content of all assets; reading nothing but what a pull needs. */
export interface Assets {
  /** Throws `RangeError` for a role the plan did not ask for. */
  readonly file: (role: FileRole) => Bytes;
  /** Present when the plan asked for GRUB. */
  readonly grub: GrubFiles | undefined;
}

export interface GrubFiles {
  /** GRUB's platform directories (`i386-pc`, `x86_64-efi`, ...) by name. */
  readonly platforms: Tree;
  /** `unicode.pf2`, where there is one. */
  readonly font: Bytes | undefined;
  /** Same text, same files: what derived results are keyed by; `undefined` for a directory somebody may change. */
  readonly identity: string | undefined;
}

/**
 * Finds and, where the store lacks them, fetches the assets. Throws `dependency` when the imager image lacks one, naming all paths looked for;
 * `io` for a file of the user's. `pinned` is the manifest digest a plan decided on; without it the name is asked anew.
 */
export async function acquireAssets(workplace: Workplace, wishes: AssetWishes, pinned?: Digest): Promise<Assets> {
  const { source, places } = placeAssets(wishes);
  const fromImage = places.filter((place) => place.in === 'image');
  const image = fromImage.length === 0 ? undefined : await pullImage(workplace, source, wishes.profile.arch, pinned);
  if (image !== undefined) checkPresent(image.tree, fromImage, formatAssetSource(source), wishes.profile.arch);
  const contents = new Map<FileRole, Bytes>();
  let grub: GrubFiles | undefined;
  for (const { role, in: where, path } of places) {
    if (role === 'grub') {
      grub = where === 'image' ? grubOfImage(image!.tree, image!.digest) : await grubOfMachine(workplace, path);
    } else {
      const content =
        where === 'image' ? fileAt(image!.tree, path) : ofSource(await workplace.platform.files.source(path));
      contents.set(role, content!);
    }
  }
  return {
    file(role) {
      const content = contents.get(role);
      if (content === undefined) throw new RangeError(`asset ${role} was not acquired`);
      return content;
    },
    grub,
  };
}

interface ImageTree {
  readonly tree: Tree;
  readonly digest: string;
}

async function pullImage(
  workplace: Workplace,
  source: AssetSource,
  arch: string,
  pinned: Digest | undefined,
): Promise<ImageTree> {
  if (source.kind === 'directory') throw new RangeError('a directory is not pulled');
  const { signal, onProgress } = workplace;
  const platform = { os: 'linux', architecture: arch };
  const [store, image] = await Promise.all([openWorkplaceStore(workplace), locateImage(workplace, source)]);
  const { referenceName } = image;
  if (image.source === undefined) {
    const found = await store.find(pinned ?? referenceName, platform);
    if (found === undefined) throw notInStore(referenceName, workplace.store);
    return { tree: found.tree, digest: found.manifestDigest };
  }
  const options = {
    platform,
    referenceName,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  const { tree, manifestDigest } = await store.pull(image.source, pinned ?? image.identifier, options);
  return { tree, digest: manifestDigest };
}

function checkPresent(tree: Tree, places: readonly AssetPlace[], image: string, arch: string): void {
  const missing = places.filter(
    ({ role, path }) => resolve(tree, path)?.kind !== (role === 'grub' ? 'directory' : 'file'),
  );
  if (missing.length === 0) return;
  const looked = places.map(({ path }) => path).join(', ');
  throw new ImagerError(
    'dependency',
    `${image}: no ${missing.map(({ path }) => path).join(', ')}; looked for ${looked}`,
    {
      hint: `want an imager image for ${arch}, like ghcr.io/siderolabs/imager:<version>; single files can be named in a profile, GRUB with --grub-dir`,
    },
  );
}

function grubOfImage(tree: Tree, identity: string): GrubFiles {
  const directory = resolve(tree, GRUB_DIRECTORY)!;
  return { platforms: subtree(tree, directory.path), font: fileAt(tree, GRUB_FONT), identity };
}

async function grubOfMachine({ platform }: Workplace, directory: string): Promise<GrubFiles> {
  const root = directory.endsWith(GRUB_DIRECTORY) ? directory.slice(0, -GRUB_DIRECTORY.length) : undefined;
  const font = root === undefined ? undefined : `${root}${GRUB_FONT}`;
  const hasFont = font !== undefined && (await platform.files.info(font))?.kind === 'file';
  return {
    platforms: await treeOfDirectory(platform.files, directory),
    font: hasFont ? ofSource(await platform.files.source(font)) : undefined,
    identity: undefined,
  };
}
