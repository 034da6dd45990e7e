/** `moddep.lst`: which GRUB module needs which, and in what order they must be loaded. Source: GRUB util/resolve.c. */
import { invalid } from '../../errors.ts';

/** Module name to the names on its line, in order. */
export type ModuleDependencies = ReadonlyMap<string, readonly string[]>;

/** Lines `name: needed needed`. The last line for a name counts. Throws `invalid-input` naming the line. */
export function parseModuleDependencies(text: string): ModuleDependencies {
  const dependencies = new Map<string, readonly string[]>();
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const [index, line] of lines.entries()) {
    const colon = line.indexOf(':');
    if (colon < 1) throw invalid(`moddep.lst line ${index + 1}: "${line.slice(0, 100)}": want "module: modules"`);
    const needed = line.slice(colon + 1).split(/\s+/);
    dependencies.set(
      line.slice(0, colon),
      needed.filter((name) => name !== ''),
    );
  }
  return dependencies;
}

/**
 * `wanted` with all they need, each once and after what it needs. The order is grub-mkimage's: what a module needs is
 * visited from the end of its line. A name without a line needs nothing. Throws `invalid-input` for modules that need
 * each other.
 */
export function resolveModules(dependencies: ModuleDependencies, wanted: readonly string[]): string[] {
  const done = new Set<string>();
  const open = new Set<string>();
  // An explicit stack: a hostile list may chain hundreds of thousands of modules.
  const stack = [...wanted].reverse();
  while (stack.length > 0) {
    const name = stack.at(-1)!;
    if (done.has(name) || open.has(name)) {
      stack.pop();
      open.delete(name);
      done.add(name);
      continue;
    }
    open.add(name);
    for (const needed of dependencies.get(name) ?? []) {
      if (open.has(needed)) throw invalid(`GRUB modules "${name}" and "${needed}" need each other`);
      if (!done.has(needed)) stack.push(needed);
    }
  }
  return [...done];
}
