/** What depmod is told in `depmod.d` files. Source: kmod, tools/depmod.c and depmod.d(5). */
import { ImagerError, invalid } from '../../errors.ts';

export interface DepmodConfiguration {
  /**
   * Directories below the tree and `built-in`, which stands for every other one; of two modules of one name the one in the earlier is taken.
   * Without any, `updates` goes before all others.
   */
  readonly search: readonly string[];
  /** Modules that are taken from a directory wherever else they are; of several that fit, the last. */
  readonly overrides: readonly { readonly module: string; readonly directory: string }[];
  /** Names of directories and files that are not looked at, wherever they are. */
  readonly excludes: readonly string[];
}

export const DEFAULT_CONFIGURATION: DepmodConfiguration = { search: [], overrides: [], excludes: [] };

/**
 * One file, or several joined in the order of their names. Overrides for other kernels are left out; `kernelVersion` is matched as an
 * extended regular expression. Throws `invalid-input` for lines depmod would complain of and `unsupported` for external directories,
 * which are no part of a tree. `what` is how messages call the file.
 */
export function parseDepmodConfiguration(text: string, kernelVersion: string, what: string): DepmodConfiguration {
  const search: string[] = [];
  const overrides: { module: string; directory: string }[] = [];
  const excludes: string[] = [];
  for (const line of logicalLines(text)) {
    if (line.startsWith('#')) continue;
    const [command, ...words] = line.split(/[\t ]+/).filter((word) => word !== '');
    switch (command) {
      case undefined:
      // Of other tools of the same name: depmod passes over them too.
      case 'include':
      case 'make_map_files':
        break;
      case 'search':
        search.push(...words);
        break;
      case 'exclude':
        excludes.push(...words);
        break;
      case 'override': {
        const [module, version, directory] = words;
        if (module === undefined || version === undefined || directory === undefined) {
          throw invalid(`${what}: "${line}": want override MODULE KERNEL DIRECTORY`);
        }
        if (isKernel(version, kernelVersion)) overrides.push({ module, directory });
        break;
      }
      case 'external':
        throw new ImagerError('unsupported', `${what}: "${line}": want no directories outside the tree`);
      default:
        throw invalid(`${what}: "${line}": want search, override or exclude`);
    }
  }
  if (search.includes('external')) {
    throw new ImagerError('unsupported', `${what}: "search external": want no directories outside the tree`);
  }
  return { search, overrides, excludes };
}

/** A backslash at the end continues a line. */
function logicalLines(text: string): string[] {
  return text.replaceAll('\\\n', '').split('\n');
}

function isKernel(pattern: string, version: string): boolean {
  if (pattern === '*') return true;
  try {
    return new RegExp(pattern).test(version);
  } catch {
    return false;
  }
}
