/** What of an extension's files a node is given: as upstream's imager leaves them on a disk before it packs them (spec profiles-and-inputs 6.4, 7.3). */
import { type Attributes, type Entry, type Tree, withAttributes } from '../tree/tree.ts';

const LABEL = 'security.selinux';

/** The umask of a build. */
const MASKED = 0o022;

/**
 * Owned by root, all of one time, in seconds since 1970; not writable for others; of extended attributes only SELinux labels, without the NUL they
 * may end in. Hard links stay, which upstream loses.
 */
export function nodeTree(rootfs: Tree, time: number): Tree {
  return withAttributes(rootfs, (entry) => ({
    uid: 0,
    gid: 0,
    mtime: time,
    mode: modeOf(entry),
    ...labelOf(entry),
  }));
}

function modeOf({ kind, mode }: Entry): number {
  if (kind === 'symlink') return 0o777;
  return (kind === 'directory' ? (mode & 0o777) | 0o700 : mode) & ~MASKED;
}

function labelOf({ xattrs }: Entry): Pick<Attributes, 'xattrs'> {
  const label = xattrs?.get(LABEL);
  if (label === undefined) return xattrs === undefined ? {} : { xattrs: new Map() };
  return { xattrs: new Map([[LABEL, label.at(-1) === 0 ? label.subarray(0, -1) : label]]) };
}
