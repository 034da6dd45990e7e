/** What an overlay image holds, and the program of it that a profile names. Source: spec profiles-and-inputs 8.1. */
import { ImagerError, invalid } from '../errors.ts';
import { children, EMPTY_TREE, type FileEntry, nameOf, resolve, subtree, type Tree } from '../tree/tree.ts';
import { nearName, quoted } from '../yaml/diagnostic.ts';

/** Of a profile that names none. */
export const DEFAULT_INSTALLER = 'default';

const INSTALLERS = 'installers';
const ARTIFACTS = 'artifacts';
const PROFILES = 'profiles';

/** An overlay image, and what messages call it. */
export interface OverlayImage {
  readonly tree: Tree;
  readonly image: string;
}

/** Names of the programs, in byte order. */
export function installerNames({ tree }: OverlayImage): string[] {
  return children(tree, INSTALLERS)
    .filter(({ path }) => resolve(tree, path)?.kind === 'file')
    .map(({ path }) => nameOf(path));
}

/** Name and file of each profile; `name.yaml` is called `name`. */
export function profileFiles({ tree }: OverlayImage): (readonly [name: string, file: FileEntry])[] {
  return children(tree, PROFILES).flatMap(({ path }) => {
    const [, name] = /(?<![^/])([^/]+)\.yaml$/.exec(path) ?? [];
    const entry = resolve(tree, path);
    return name === undefined || entry?.kind !== 'file' ? [] : [[name, entry] as const];
  });
}

/**
 * The program a profile means by `overlay.name`. Throws `invalid-input` for a name that is none of the image's, with those it has, and `dependency` for a file that cannot
 * be executed.
 */
export function installerProgram(overlay: OverlayImage, name: string): FileEntry {
  const wanted = name === '' ? DEFAULT_INSTALLER : name;
  const names = installerNames(overlay);
  // Only what lies in the directory itself: a name with a slash leads elsewhere.
  const entry = names.includes(wanted) ? resolve(overlay.tree, `${INSTALLERS}/${wanted}`) : undefined;
  if (entry?.kind !== 'file') throw unknownName(overlay, wanted, names);
  if ((entry.mode & 0o111) === 0) {
    throw new ImagerError('dependency', `overlay image ${overlay.image}: ${INSTALLERS}/${wanted} is not executable`);
  }
  return entry;
}

function unknownName(overlay: OverlayImage, name: string, names: readonly string[]): ImagerError {
  const profiles = profileFiles(overlay).map(([profile]) => profile);
  const near = nearName(name, names);
  const has = [
    `installers ${names.join(', ') || 'none'}`,
    ...(profiles.length === 0 ? [] : [`profiles ${profiles.join(', ')}`]),
  ].join('; ');
  return invalid(`overlay.name ${quoted(name)}: not in overlay image ${overlay.image}, which has ${has}`, {
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}

/** What the program is handed; empty when the image has none. */
export function artifacts({ tree }: OverlayImage): Tree {
  const top = resolve(tree, ARTIFACTS);
  return top?.kind === 'directory' ? subtree(tree, top.path) : EMPTY_TREE;
}
