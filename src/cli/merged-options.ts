/** Options of commands that take no profile, those before their name included. */
import type { Command, Option } from 'commander';
import { ImagerError } from '../errors.ts';

/**
 * What was given to `command` and, before its name, to those it belongs to: of lists all count, of the rest the later ones. Throws `usage` for a flag before the name that it
 * does not have.
 */
export function mergedOptions<T>(command: Command): T {
  const merged: Record<string, unknown> = {};
  for (const ancestor of ancestorsOf(command)) {
    for (const option of ancestor.options.filter((each) => isGiven(ancestor, each))) {
      const own = command.options.find(({ long }) => long === option.long);
      if (own === undefined) throw misplaced(command, option);
      const name = own.attributeName();
      for (const value of [ancestor.getOptionValue(option.attributeName())].flat()) {
        merged[name] = own.parseArg === undefined ? value : own.parseArg(String(value), merged[name]);
      }
    }
  }
  for (const [name, value] of Object.entries(command.opts())) {
    const isGivenHere = command.getOptionValueSource(name) === 'cli';
    const before = merged[name];
    if (isGivenHere && Array.isArray(before) && Array.isArray(value)) merged[name] = [...before, ...value];
    else if (isGivenHere || !(name in merged)) merged[name] = value;
  }
  return merged as T;
}

/** From the program down. */
function ancestorsOf({ parent }: Command): Command[] {
  return parent === null ? [] : [...ancestorsOf(parent), parent];
}

function isGiven(command: Command, option: Option): boolean {
  return command.getOptionValueSource(option.attributeName()) === 'cli';
}

function misplaced(command: Command, { long }: Option): ImagerError {
  const names = [...ancestorsOf(command), command].map((each) => each.name());
  return new ImagerError('usage', `flag ${long}: ${names.slice(1).join(' ')} has none`, {
    hint: `${names.join(' ')} --help lists its flags`,
  });
}
