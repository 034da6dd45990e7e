/** The order of modules: first those of `modules.order`, then the others. Source: kmod, tools/depmod.c. */

import { inHashOrder } from './hash-order.ts';
import { MAX_TEXT } from './module-name.ts';
import { type FoundModule, orderedPathOf } from './search.ts';

/** Of kmod's table of modules by name. */
const BUCKETS = 512;

/**
 * `order` is the content of `modules.order` as byte text; where it is missing or its last line has no end, it does not count.
 * Of lines that are there twice the `repeated` one counts.
 */
export function orderModules(
  modules: ReadonlyMap<string, FoundModule>,
  order: string | undefined,
  repeated: 'first' | 'last',
): FoundModule[] {
  const unordered = inHashOrder([...modules.keys()], BUCKETS).map((name) => modules.get(name)!);
  if (order === undefined || !isWhole(order)) return unordered;
  const byPath = new Map(unordered.map((module) => [orderedPathOf(module), module]));
  const ordered = new Set<FoundModule>();
  for (const line of order.split('\n')) {
    const module = byPath.get(line);
    if (module === undefined) continue;
    if (repeated === 'last') ordered.delete(module);
    ordered.add(module);
  }
  return [...ordered, ...unordered.filter((module) => !ordered.has(module))];
}

/** Whether every line ends, within what depmod reads at once. */
export function isWhole(order: string): boolean {
  const lines = order.split('\n');
  return lines.at(-1) === '' && lines.every(({ length }) => length < MAX_TEXT);
}
