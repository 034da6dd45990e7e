/** From the places of assets to their content. */
import { type Bytes, ofSource } from '../bytes/bytes.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import { fileAt, resolve, type Tree } from '../tree/tree.ts';
import { type AssetPlace, type AssetWishes, type FileRole, type InputRole, placeAssets } from './asset-places.ts';
import { type AssetSource, formatAssetSource } from './asset-source.ts';
import { type GrubFiles, grubOfDirectory, grubOfImage } from './grub-files.ts';
import { type ImagerImage, pullImagerImage } from './imager-image.ts';
import { checkPinned, digestOfContent, digestOfGrub } from './input-digest.ts';
import type { Workplace } from './workplace.ts';

/** The content of all assets that the output needs. */
export interface Assets {
  /** Throws `RangeError` for a role the output does not need. */
  readonly file: (role: FileRole) => Bytes;
  /** Present when the output needs GRUB. */
  readonly grub: GrubFiles | undefined;
}

/** What a plan decided on, by role. */
export type PinnedInputs = ReadonlyMap<InputRole, Digest>;

/**
 * Finds the assets and fetches what the store lacks of the imager image; nothing else is read, unless to hold it to `pinned`. Throws `dependency` when the
 * imager image lacks something, naming all that was looked for; `io` for what this machine lacks; `verification` for an input that is not
 * the pinned one; what pulling throws.
 */
export async function acquireAssets(
  workplace: Workplace,
  wishes: AssetWishes,
  pinned: PinnedInputs = new Map(),
): Promise<Assets> {
  const { source, places } = placeAssets(wishes);
  await checkOnMachine(workplace, places);
  const image = await imageFor(workplace, source, places, wishes.profile.arch, pinned.get('imager-image'));
  const files = new Map<FileRole, Bytes>();
  let grub: GrubFiles | undefined;
  for (const place of places) {
    if (place.role === 'grub') grub = await grubAt(workplace, place, image, pinned.get('grub'));
    else files.set(place.role, await fileAtPlace(workplace, place, image, pinned.get(place.role)));
  }
  return {
    file(role) {
      const content = files.get(role);
      if (content === undefined) throw new RangeError(`asset ${role} was not acquired`);
      return content;
    },
    grub,
  };
}

/** Throws `io` with every path that should be on this machine and is not. */
export async function checkOnMachine({ platform }: Workplace, places: readonly AssetPlace[]): Promise<void> {
  const missing: string[] = [];
  for (const { role, in: where, path } of places) {
    if (where === 'image' || (await platform.files.info(path))?.kind === kindOf(role)) continue;
    missing.push(`${kindOf(role)} ${path}`);
  }
  if (missing.length > 0) throw new ImagerError('io', `no ${missing.join(', ')} on this machine`);
}

function kindOf(role: AssetPlace['role']): 'directory' | 'file' {
  return role === 'grub' ? 'directory' : 'file';
}

async function imageFor(
  workplace: Workplace,
  source: AssetSource,
  places: readonly AssetPlace[],
  architecture: string,
  pinned: Digest | undefined,
): Promise<ImagerImage | undefined> {
  const wanted = places.filter((place) => place.in === 'image');
  if (wanted.length === 0 || source.kind === 'directory') return undefined;
  const image = await pullImagerImage(workplace, source, architecture, pinned);
  checkInImage(image.tree, wanted, formatAssetSource(source), architecture);
  return image;
}

function checkInImage(tree: Tree, places: readonly AssetPlace[], image: string, architecture: string): void {
  const missing = places.filter(({ role, path }) => resolve(tree, path)?.kind !== kindOf(role));
  if (missing.length === 0) return;
  const paths = (list: readonly AssetPlace[]): string => list.map(({ path }) => path).join(', ');
  throw new ImagerError('dependency', `${image}: no ${paths(missing)}; looked for ${paths(places)}`, {
    hint: `want an imager image for ${architecture}, like ghcr.io/siderolabs/imager:<version>; single files can be named in a profile, GRUB with --grub-dir`,
  });
}

async function fileAtPlace(
  workplace: Workplace,
  { role, in: where, path }: AssetPlace,
  image: ImagerImage | undefined,
  pinned: Digest | undefined,
): Promise<Bytes> {
  if (where === 'image') return fileAt(image!.tree, path)!;
  const content = ofSource(await workplace.platform.files.source(path));
  if (pinned !== undefined) checkPinned(`${role} ${path}`, await digestOfContent(workplace, content), pinned);
  return content;
}

async function grubAt(
  workplace: Workplace,
  { in: where, path }: AssetPlace,
  image: ImagerImage | undefined,
  pinned: Digest | undefined,
): Promise<GrubFiles> {
  if (where === 'image') return grubOfImage(image!.tree, image!.digest);
  const grub = await grubOfDirectory(workplace.platform.files, path);
  if (pinned !== undefined) checkPinned(`GRUB in ${path}`, await digestOfGrub(workplace, grub), pinned);
  return grub;
}
