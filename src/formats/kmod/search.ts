/** Which files of a tree are its modules: of several with one name, which. Source: kmod, tools/depmod.c. */
import type { Bytes } from '../../bytes/bytes.ts';
import { invalid } from '../../errors.ts';
import { children, type DirectoryEntry, type Entry, nameOf, parentOf, resolve, type Tree } from '../../tree/tree.ts';
import { byteTextOfPath } from './byte-text.ts';
import type { DepmodConfiguration } from './configuration.ts';
import { isModuleFile, moduleNameOf } from './module-name.ts';

export interface FoundModule {
  /** Byte text, as all that is written. */
  readonly name: string;
  /** Byte text. */
  readonly path: string;
  readonly content: Bytes;
}

/** Symbolic links can make one file many. */
const MAX_VISITS = 1 << 20;
/** Links that lead to links. */
const MAX_DEPTH = 64;

/**
 * In the order of the tree, by name. Symbolic links are followed within the tree, but not round in circles. Throws `invalid-input` when
 * links multiply the tree.
 */
export function findModules(tree: Tree, configuration: DepmodConfiguration): Map<string, FoundModule> {
  const priority = new Priority(configuration);
  const excludes = new Set(['build', 'source', ...configuration.excludes]);
  const found = new Map<string, FoundModule>();
  let visits = 0;
  const visit = (directory: DirectoryEntry, path: string, ancestors: readonly string[]): void => {
    if (ancestors.length > MAX_DEPTH) throw invalid(`modules: "${path}" is more than ${MAX_DEPTH} directories deep`);
    for (const child of children(tree, directory.path)) {
      visits++;
      if (visits > MAX_VISITS) throw invalid(`modules: more than ${MAX_VISITS} files, symbolic links followed`);
      const name = nameOf(child.path);
      if (excludes.has(name)) continue;
      const entry = followed(tree, child);
      const at = path === '' ? name : `${path}/${name}`;
      if (entry?.kind === 'directory') {
        if (!ancestors.includes(entry.path)) visit(entry, at, [...ancestors, entry.path]);
      } else if (entry?.kind === 'file' && isModuleFile(name)) {
        const module = { name: byteTextOfPath(moduleNameOf(at)), path: byteTextOfPath(at), content: entry.content };
        const known = found.get(module.name);
        if (known === undefined || priority.isReplacing(module, known)) {
          found.delete(module.name);
          found.set(module.name, module);
        }
      }
    }
  };
  const root = tree.entries[0];
  if (root?.kind === 'directory') visit(root, '', ['']);
  return found;
}

function followed(tree: Tree, entry: Entry): Entry | undefined {
  if (entry.kind !== 'symlink') return entry;
  return entry.target.startsWith('/') ? undefined : resolve(tree, `${parentOf(entry.path)}/${entry.target}`);
}

class Priority {
  readonly #search: readonly string[];
  readonly #builtIn: number;
  /** The one given last is looked at first. */
  readonly #overrides: readonly string[];

  constructor({ search, overrides }: DepmodConfiguration) {
    // Ascending: what is named first in the configuration is the highest.
    this.#search = search.length === 0 ? ['updates'] : search.map(byteTextOfPath).reverse();
    this.#builtIn = this.#search.lastIndexOf('built-in');
    this.#overrides = overrides.map(({ directory, module }) => byteTextOfPath(`${directory}/${module}`)).reverse();
  }

  /** Between two of one directory of the search list the later is taken, between two of `built-in` the earlier. */
  isReplacing(module: FoundModule, known: FoundModule): boolean {
    for (const override of this.#overrides) {
      if (override === stemOf(module)) return true;
      if (override === stemOf(known)) return false;
    }
    let [fresh, old] = [-1, -1];
    for (const [index, directory] of this.#search.entries()) {
      if (directory === 'built-in') continue;
      if (isBelow(module, directory)) fresh = index;
      // As depmod has it: where both are below, only the one that comes later is seen to be.
      else if (isBelow(known, directory)) old = index;
    }
    return (fresh < 0 ? this.#builtIn : fresh) > (old < 0 ? this.#builtIn : old);
  }
}

/** Path without extension: as much of the file name as the module's name has. */
function stemOf({ path, name }: FoundModule): string {
  return path.slice(0, path.lastIndexOf('/') + 1 + name.length);
}

function isBelow(module: FoundModule, directory: string): boolean {
  const path = stemOf(module);
  return path.length > directory.length && path[directory.length] === '/' && path.startsWith(directory);
}

/** What `modules.order` calls it: the path with the extension cut to `.ko`. */
export function orderedPathOf(module: FoundModule): string {
  return module.path.slice(0, stemOf(module).length + 3);
}
