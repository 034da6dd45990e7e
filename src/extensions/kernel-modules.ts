/** Kernel modules of extensions, and the index files that make them and those of the base be found (spec profiles-and-inputs 7.4). */
import type { DepmodConfiguration } from '../formats/kmod/configuration.ts';
import { buildModuleIndexes } from '../formats/kmod/module-indexes.ts';
import type { Compression } from '../platform/types.ts';
import { below, children, type Entry, nameOf, overlay, subtree, type Tree, treeOf } from '../tree/tree.ts';
import type { BaseModules } from './base-rootfs.ts';
import type { ExtensionMetadata } from './manifest.ts';

/** Modules of extensions lie in `extras`: they go before those the kernel came with. */
const CONFIGURATION: DepmodConfiguration = { search: ['extras', 'built-in'], overrides: [], excludes: [] };

export const MODULES_IMAGE = 'modules.dep.sqsh';

/** Kernel versions an extension has modules for; `undefined` where it has no directory for modules. `modulesPath` without a leading `/`. */
export function kernelsOf(rootfs: Tree, modulesPath: string): string[] | undefined {
  if (rootfs.byPath.get(modulesPath)?.kind !== 'directory') return undefined;
  return children(rootfs, modulesPath).map(({ path }) => nameOf(path));
}

/** Of the virtual extension that has the index files. */
export function modulesMetadata(kernelVersion: string): ExtensionMetadata {
  return {
    name: 'modules.dep',
    version: kernelVersion,
    author: 'Talos Machinery',
    description: 'Combined modules.dep for all extensions',
    constraint: '',
    extraInfo: '',
  };
}

export interface ModulesExtension {
  readonly rootfs: Tree;
  /** What depmod would complain of and go on. */
  readonly warnings: readonly string[];
}

/**
 * `extensions` are the root file systems of those with modules for the kernel, in the order in which they are laid over the base. Throws as
 * `buildModuleIndexes`.
 */
export async function combineModules(
  { kernelVersion, tree }: BaseModules,
  extensions: readonly Tree[],
  modulesPath: string,
  compression: Compression,
  signal: AbortSignal | undefined,
): Promise<ModulesExtension> {
  const directory = `${modulesPath}/${kernelVersion}`;
  const modules = extensions.reduce((lower, rootfs) => overlay(lower, subtree(rootfs, directory)), tree);
  const options = { configuration: CONFIGURATION, ...(signal === undefined ? {} : { signal }) };
  const { files, warnings } = await buildModuleIndexes(modules, compression, options);
  const lists = treeOf(modules.entries.filter(isList));
  return { rootfs: below(overlay(lists, files), directory), warnings };
}

/** `modules.order`, `modules.builtin`, ...: what the indexes were made from stays beside them. */
function isList({ kind, path }: Entry): boolean {
  return kind === 'file' && path.startsWith('modules.') && !path.includes('/');
}
