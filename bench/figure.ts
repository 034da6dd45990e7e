/** What a figure is: lines of the table, and how they are worded. */

/** A line of the table. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  /** Command and result of what is compared with; empty where there is only a bound. */
  readonly peer: string;
  readonly result: string;
  readonly target: string;
  readonly isMet: boolean | undefined;
  /** Said below the table. */
  readonly note?: string;
}

export interface Bench {
  /** Empty, and removed with all in it afterwards. */
  readonly directory: string;
  /** Of each timed figure. */
  readonly runs: number;
}

export type Figure = (bench: Bench) => Row[] | Promise<Row[]>;

export const MIB: number = 2 ** 20;
export const GIB: number = 2 ** 30;

type Judgement = Pick<Row, 'result' | 'target' | 'isMet'>;

export function atMost(value: number, limit: number, unit: string, digits = 2): Judgement {
  return { result: `${value.toFixed(digits)}${unit}`, target: `<= ${limit}${unit}`, isMet: value <= limit };
}

export function atLeast(value: number, limit: number, unit: string, digits = 1): Judgement {
  return { result: `${value.toFixed(digits)}${unit}`, target: `>= ${limit}${unit}`, isMet: value >= limit };
}

/** A result nobody promised anything about. */
export function forInformation(result: string): Judgement {
  return { result, target: '', isMet: undefined };
}

export function notMeasured(what: string, reason: string): Row {
  return { what, ours: '', peer: '', ...forInformation('not measured'), note: reason };
}

export function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(0)} ms`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
