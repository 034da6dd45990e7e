/** The layer of an overlay: what its installer program puts onto the disk of the machine. Source: spec profiles-and-inputs 9.3. */
import { ofText } from '../bytes/bytes.ts';
import { ImagerError } from '../errors.ts';
import { type Attributes, type Entry, resolve, type Tree, treeOf } from '../tree/tree.ts';

export interface OverlayParts {
  /** The overlay image for the target's architecture. */
  readonly tree: Tree;
  /** Which of its `installers`. */
  readonly name: string;
  /** YAML text of the options: `{}` and a newline when there are none. */
  readonly options: string;
  /** What messages call the image. */
  readonly image: string;
}

const ARTIFACTS = 'artifacts';

/** Entries in the order of the archive; the top directories are not among them. Throws `dependency` for an overlay that lacks a part. */
export function overlayEntries({ tree, name, options, image }: OverlayParts): readonly Entry[] {
  const missing = [
    ...(resolve(tree, ARTIFACTS)?.kind === 'directory' ? [] : [`${ARTIFACTS}/`]),
    ...(resolve(tree, `installers/${name}`)?.kind === 'file' ? [] : [`installers/${name}`]),
  ];
  if (missing.length > 0) throw new ImagerError('dependency', `overlay image ${image}: no ${missing.join(', no ')}`);
  const below = `${resolve(tree, ARTIFACTS)!.path}/`;
  const artifacts = tree.entries.filter(({ path }) => path.startsWith(below));
  const entries = [
    ...artifacts.map((entry) => copied(tree, entry, `overlay/${ARTIFACTS}/${entry.path.slice(below.length)}`)),
    copied(tree, resolve(tree, `installers/${name}`)!, 'overlay/installers/default'),
    { kind: 'file' as const, path: 'overlay/extra-options', content: ofText(options), ...owned(0o644) },
  ];
  const parents = ['', 'overlay', `overlay/${ARTIFACTS}`, 'overlay/installers'];
  return treeOf(entries).entries.filter(({ path }) => !parents.includes(path));
}

/** A symbolic link becomes a copy of what it leads to, with the mode that links have. */
function copied(tree: Tree, entry: Entry, path: string): Entry {
  switch (entry.kind) {
    case 'file':
      return { kind: 'file', path, content: entry.content, ...owned(entry.mode & 0o777) };
    case 'directory':
      return { kind: 'directory', path, ...owned(entry.mode & 0o777) };
    case 'symlink':
      return linked(tree, entry.path, path);
    default:
      throw new ImagerError('dependency', `overlay: ${path} is a ${entry.kind}: want files and directories`);
  }
}

function linked(tree: Tree, link: string, path: string): Entry {
  const target = resolve(tree, link);
  if (target?.kind !== 'file') {
    throw new ImagerError('dependency', `overlay: link ${link} leads to no file`, {
      hint: 'links become copies, which directories cannot',
    });
  }
  return { kind: 'file', path, content: target.content, ...owned(0o777) };
}

function owned(mode: number): Attributes {
  return { mode, uid: 0, gid: 0, mtime: 0 };
}
