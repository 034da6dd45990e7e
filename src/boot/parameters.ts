/**
 * Kernel parameters as Talos' own tools hold them: an ordered list of keys, each with an ordered list of values. No quoting is known here: blanks
 * always separate. Source: spec profiles-and-inputs 4.1 (go-procfs).
 */
import { type KernelArgument, parseCommandLine } from '../machineconfig/command-line.ts';

/** The value `''` prints as the bare key; an empty list prints nothing and keeps the place for a later append. */
export type Parameter = KernelArgument;

export type Parameters = readonly Parameter[];

export interface AppendOptions {
  /** Keys whose values are replaced in place instead of added to. */
  readonly overwrite?: readonly string[];
  /** Whether `-key` removes a parameter and `-key=value` one value of it. */
  readonly negate?: boolean;
}

/** One line: `key=value` for each value, `key` for an empty one. */
export function formatParameters(parameters: Parameters): string {
  return parameters
    .flatMap(({ key, values }) => values.map((value) => (value === '' ? key : `${key}=${value}`)))
    .join(' ')
    .replace(/(?<! ) +$/, '');
}

/** Adds a value to a key, which is new at the end if it was not there. */
export function appendValue(parameters: Parameters, key: string, value: string): Parameters {
  return appendValues(parameters, key, [value]);
}

/** Replaces all values of a key in its place, or adds it at the end. */
export function setValues(parameters: Parameters, key: string, values: readonly string[]): Parameters {
  if (!parameters.some((one) => one.key === key)) return [...parameters, { key, values }];
  return parameters.map((one) => (one.key === key ? { key, values } : one));
}

/** `setValues` for each key of `args`, which are taken as one line. */
export function setAll(parameters: Parameters, args: readonly string[]): Parameters {
  return parseCommandLine(args.join(' ')).reduce((list, { key, values }) => setValues(list, key, values), parameters);
}

/** Adds `args`, taken as one line and thus grouped by key first: `-a -a=b` removes all of `a`, `-a=b -a` only two values. */
export function appendAll(parameters: Parameters, args: readonly string[], options: AppendOptions = {}): Parameters {
  return parseCommandLine(args.join(' ')).reduce((list, one) => appendParameter(list, one, options), parameters);
}

/** One step of `appendAll`. */
export function appendParameter(parameters: Parameters, added: Parameter, options: AppendOptions = {}): Parameters {
  const { key, values } = added;
  if (options.negate === true && isNegation(key)) {
    const negated = key.slice(1);
    return values[0] === '' ? deleteKey(parameters, negated) : deleteValues(parameters, negated, values);
  }
  if (options.overwrite?.includes(key) === true) return setValues(parameters, key, values);
  return appendValues(parameters, key, values);
}

/** A lone `-` is an ordinary key, and `--x` negates the key `-x`. */
export function isNegation(key: string): boolean {
  return key.length > 1 && key.startsWith('-');
}

/** Removes a key with its place. */
export function deleteKey(parameters: Parameters, key: string): Parameters {
  return parameters.filter((one) => one.key !== key);
}

/** Removes values equal to one of `values`; a key left without values keeps its place. */
export function deleteValues(parameters: Parameters, key: string, values: readonly string[]): Parameters {
  return parameters.map((one) =>
    one.key === key ? { key, values: one.values.filter((value) => !values.includes(value)) } : one,
  );
}

function appendValues(parameters: Parameters, key: string, values: readonly string[]): Parameters {
  const before = parameters.find((one) => one.key === key)?.values ?? [];
  return setValues(parameters, key, [...before, ...values]);
}
