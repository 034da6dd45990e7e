/** Problems in a text a person wrote: where, what, what is wanted, with the line and a caret under it. */
import { ImagerError } from '../errors.ts';

/** Both count from 1; columns count characters (code points), as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A text with the name it has for the user. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
}

export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly position: Position;
  /** Columns to underline, on the line of `position`. */
  readonly length?: number;
  /** `addresses[0].address`; absent when the problem is about the text as such. */
  readonly path?: string;
  /** Value and wish: `"10.0.0.1": want an address with prefix length`. */
  readonly message: string;
  readonly hint?: string;
}

/** Columns of the source line shown in an excerpt; longer lines are cut around the caret. */
const EXCERPT_WIDTH = 120;

/** More problems than this are counted, not shown: after so many the first is the cause of the rest. */
const SHOWN_PROBLEMS = 50;

/** Values under such keys never reach a log or a terminal. */
const SECRET =
  /((?:private|preshared)_?key|\bkey|token|secret|password|passphrase|\bauth)(["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\s,}\]]+)/giu;

/** `file:line:column: path: message`, on one line, without excerpt. */
export function problemLine(source: SourceText, problem: Problem): string {
  const { line, column } = problem.position;
  const path = problem.path ? `${problem.path}: ` : '';
  return `${source.file}:${line}:${column}: ${path}${problem.message}`;
}

/** The problem's line, the source line and a caret; without the hint. */
export function renderProblem(source: SourceText, problem: Problem): string {
  const excerpt = excerptOf(source.text, problem);
  return excerpt === undefined ? problemLine(source, problem) : `${problemLine(source, problem)}\n${excerpt}`;
}

/**
 * One `invalid-input` error that tells all `problems`, in the order of their positions. A single problem's hint becomes the
 * error's hint; with several, each hint stands under its problem.
 */
export function problemsError(source: SourceText, problems: readonly Problem[]): ImagerError {
  const sorted = [...problems].sort(byPosition);
  const [first] = sorted;
  if (first === undefined) throw new RangeError('problemsError needs at least one problem');
  if (sorted.length === 1) {
    const details = first.hint === undefined ? {} : { hint: first.hint };
    return new ImagerError('invalid-input', renderProblem(source, first), details);
  }
  const shown = sorted.slice(0, SHOWN_PROBLEMS).map((problem) => {
    const hint = problem.hint === undefined ? '' : `\n      hint: ${problem.hint}`;
    return renderProblem(source, problem) + hint;
  });
  const rest = sorted.length - shown.length;
  if (rest > 0) shown.push(`and ${rest} more problems`);
  return new ImagerError('invalid-input', shown.join('\n'));
}

/** An `invalid-input` error about one place of a text. */
export function errorAt(source: SourceText, problem: Omit<Problem, 'severity'>): ImagerError {
  return problemsError(source, [{ ...problem, severity: 'error' }]);
}

export function byPosition(a: Problem, b: Problem): number {
  return a.position.line - b.position.line || a.position.column - b.position.column;
}

/**
 * The candidate that `name` was probably meant to be, or `undefined`. Case, `-` and `_` count for nothing; otherwise one
 * changed letter per three, at most three, so that short names do not turn into each other.
 */
export function nearName(name: string, candidates: Iterable<string>): string | undefined {
  const plain = plainName(name);
  if (plain.length > 64) return undefined;
  const limit = Math.min(3, Math.floor(plain.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const other = plainName(candidate);
    // As many changes as the lengths differ by are needed at least.
    if (Math.abs(other.length - plain.length) >= bestDistance) continue;
    const distance = editDistance(plain, other);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_\s]/g, '');
}

/** Edit distance with neighbouring letters swapped as one change. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + changed);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1);
      }
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

function excerptOf(text: string, problem: Problem): string | undefined {
  const source = lineOf(text, problem.position.line);
  if (source === undefined) return undefined;
  const characters = [...printable(source)];
  let caret = Math.min(problem.position.column - 1, characters.length);
  let width = Math.max(1, Math.min(problem.length ?? 1, characters.length - caret));
  let shown = characters;
  if (characters.length > EXCERPT_WIDTH) {
    const start = Math.max(0, Math.min(caret - EXCERPT_WIDTH / 3, characters.length - EXCERPT_WIDTH));
    const from = Math.floor(start);
    shown = characters.slice(from, from + EXCERPT_WIDTH);
    if (from > 0) shown[0] = '\u2026';
    if (from + EXCERPT_WIDTH < characters.length) shown[EXCERPT_WIDTH - 1] = '\u2026';
    caret -= from;
    width = Math.max(1, Math.min(width, EXCERPT_WIDTH - caret));
  }
  const number = String(problem.position.line).padStart(5);
  const margin = ' '.repeat(number.length);
  return `${number} | ${shown.join('').trimEnd()}\n${margin} | ${' '.repeat(caret)}${'^'.repeat(width)}`;
}

function lineOf(text: string, line: number): string | undefined {
  let start = 0;
  for (let current = 1; current < line; current++) {
    const end = text.indexOf('\n', start);
    if (end < 0) return undefined;
    start = end + 1;
  }
  const end = text.indexOf('\n', start);
  return text.slice(start, end < 0 ? undefined : end).replace(/\r$/, '');
}

/** One column per character: no tabs, no control or direction characters a terminal would act on, no secrets. */
function printable(line: string): string {
  return line
    .replaceAll(SECRET, (_, key: string, colon: string, value: string) => key + colon + '*'.repeat([...value].length))
    .replaceAll(ENCODED, (value) => '*'.repeat(value.length))
    .replaceAll('\t', ' ')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, '\u00b7');
}

/** Base64 too long to be anything but a key or a certificate: letters of both cases and digits. */
const ENCODED =
  /(?<![A-Za-z0-9+/=])(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{40,}={0,2}/g;

/** A value as messages quote it: on one line, at most 60 characters, without characters a terminal would act on. */
export function quoted(value: string): string {
  const characters = [...value];
  const cut = characters.length > 60 ? `${characters.slice(0, 57).join('')}...` : value;
  return JSON.stringify(cut).replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
