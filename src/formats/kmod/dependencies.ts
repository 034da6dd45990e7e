/** Which modules need which, and in what order they are listed. Source: kmod, tools/depmod.c. */
import { invalid } from '../../errors.ts';

/** For each module those it needs itself, as numbers, in the order it names them. */
export type DirectDependencies = readonly (readonly number[])[];

/** The modules that must be loaded before module `index`, itself not among them, the ones nothing else of them needs first. */
export type AllDependencies = (index: number) => readonly number[];

/** Throws `invalid-input` naming the modules when some need each other, as depmod then writes nothing. */
export function sortDependencies(direct: DirectDependencies, names: readonly string[]): AllDependencies {
  const rank = ranks(direct);
  if (rank === undefined) throw cycleError(direct, names);
  // One mark a module, so that the sets of thousands of modules take no memory of their own.
  const marks = new Int32Array(direct.length);
  let mark = 0;
  return (index) => {
    mark++;
    const found: number[] = [];
    const pending = [index];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      for (const one of direct[at]!) {
        if (marks[one] === mark) continue;
        marks[one] = mark;
        found.push(one);
        pending.push(one);
      }
    }
    return found.sort((a, b) => rank[a]! - rank[b]!);
  };
}

/** Place of each module when those that nobody needs come first; `undefined` when there is no such order. */
function ranks(direct: DirectDependencies): Int32Array | undefined {
  const users = new Int32Array(direct.length);
  for (const needed of direct) for (const one of needed) users[one]!++;
  const roots: number[] = [];
  for (const [index, count] of users.entries()) if (count === 0) roots.push(index);
  const rank = new Int32Array(direct.length);
  let sorted = 0;
  for (let root = roots.pop(); root !== undefined; root = roots.pop()) {
    rank[root] = sorted++;
    for (const one of direct[root]!) {
      users[one]!--;
      if (users[one] === 0) roots.push(one);
    }
  }
  return sorted === direct.length ? rank : undefined;
}

/** More cycles are counted, not named. */
const MAX_NAMED = 10;

function cycleError(direct: DirectDependencies, names: readonly string[]): Error {
  const groups = cyclicGroups(direct);
  const count = groups.reduce((sum, group) => sum + group.length, 0);
  const named = groups.slice(0, MAX_NAMED).map((group) =>
    cycleIn(direct, group)
      .map((index) => names[index])
      .join(' -> '),
  );
  const more = groups.length > MAX_NAMED ? `; and ${groups.length - MAX_NAMED} more` : '';
  return invalid(`modules: ${count} in dependency cycles: ${named.join('; ')}${more}`, {
    hint: 'each needs a symbol of the next; leave one of the modules out',
  });
}

/** Sets of modules that need each other, in the order of their first. Tarjan's algorithm, without recursion: chains can be long. */
function cyclicGroups(direct: DirectDependencies): number[][] {
  const found = new Int32Array(direct.length).fill(-1);
  const lowest = new Int32Array(direct.length);
  const isOpen = new Uint8Array(direct.length);
  const open: number[] = [];
  const groups: number[][] = [];
  let count = 0;
  for (let start = 0; start < direct.length; start++) {
    if (found[start] !== -1) continue;
    const path: { readonly at: number; next: number }[] = [];
    const enter = (at: number): void => {
      found[at] = lowest[at] = count++;
      isOpen[at] = 1;
      open.push(at);
      path.push({ at, next: 0 });
    };
    enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { at } = top;
      const child = direct[at]![top.next++];
      if (child !== undefined) {
        if (found[child] === -1) enter(child);
        else if (isOpen[child] === 1) lowest[at] = Math.min(lowest[at]!, found[child]!);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) lowest[parent.at] = Math.min(lowest[parent.at]!, lowest[at]!);
      if (lowest[at] !== found[at]) continue;
      const group = open.splice(open.lastIndexOf(at));
      for (const one of group) isOpen[one] = 0;
      if (group.length > 1 || direct[at]!.includes(at)) groups.push(group.sort((a, b) => a - b));
    }
  }
  return groups.sort((a, b) => a[0]! - b[0]!);
}

/** The shortest way from the first of a group back to it, both ends named. */
function cycleIn(direct: DirectDependencies, group: readonly number[]): number[] {
  const first = group[0]!;
  const inside = new Set(group);
  const cameFrom = new Map<number, number>();
  const queue = [first];
  for (const at of queue) {
    for (const next of direct[at]!) {
      if (next === first) {
        const way = [first];
        for (let back: number | undefined = at; back !== undefined && back !== first; back = cameFrom.get(back))
          way.push(back);
        return [first, ...way.slice(1).reverse(), first];
      }
      if (!inside.has(next) || cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      queue.push(next);
    }
  }
  return [first, first];
}
