/** What an extension may hold, and where (spec profiles-and-inputs 7.1). */
import type { Entry, Tree } from '../tree/tree.ts';

/** Paths at and below which files may lie, below the root of the node. */
const ALLOWED: readonly string[] = [
  'etc/cri/conf.d',
  'etc/ld.so.cache',
  'etc/ld.so.conf',
  'etc/vulkan',
  'usr/bin/ldconfig',
  'usr/bin/nvidia-cdi-hook',
  'usr/bin/nvidia-ctk',
  'usr/bin/nvidia-modprobe',
  'usr/bin/nvidia-pcc',
  'usr/bin/nvidia-smi',
  'usr/bin/nvme',
  'usr/lib/firmware',
  'usr/lib/ld-linux-aarch64.so.1',
  'usr/lib/ld-linux-x86-64.so.2',
  'usr/lib/modules',
  'usr/lib/udev/rules.d',
  'usr/local',
  'usr/share/egl',
  'usr/share/glvnd',
];

/** Before 1.10 these were not below /usr. */
const ALLOWED_UNMERGED: readonly string[] = ['lib/firmware', 'lib/modules'];

export interface ContentProblem {
  readonly severity: 'error' | 'warning';
  /** Below the root of the node, with a leading `/`. */
  readonly path: string;
  readonly message: string;
}

export interface ContentRules {
  /** Whether kernel modules and firmware lie below /usr. */
  readonly mergedUsr: boolean;
}

/**
 * Every violation, in tree order: only regular files, directories and symbolic links, and those in allowed places. `rootfs` is what lies below
 * `rootfs/` of the extension. Places that upstream lets through because it compares beginnings of texts (`/usr/localx`) are warnings.
 */
export function checkContents(rootfs: Tree, { mergedUsr }: ContentRules): ContentProblem[] {
  const allowed = mergedUsr ? ALLOWED : [...ALLOWED, ...ALLOWED_UNMERGED];
  return rootfs.entries.flatMap((entry) => problemOf(entry, allowed));
}

function problemOf({ kind, path: relative }: Entry, allowed: readonly string[]): ContentProblem[] {
  const path = `/${relative}`;
  if (kind === 'directory') return [];
  if (kind !== 'file' && kind !== 'symlink') {
    return [
      { severity: 'error', path, message: `a ${kind} device or pipe: want files, directories and symbolic links` },
    ];
  }
  if (allowed.some((place) => relative === place || relative.startsWith(`${place}/`))) return [];
  const near = allowed.find((place) => relative.startsWith(place));
  return near === undefined
    ? [{ severity: 'error', path, message: 'not a place for files of extensions' }]
    : [{ severity: 'warning', path, message: `not below /${near}, although its name begins like that` }];
}
