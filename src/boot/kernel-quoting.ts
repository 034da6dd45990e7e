/**
 * How the kernel itself cuts its command line into words: blanks separate, except between double quotes, and nothing escapes a quote.
 * Talos' data model knows no quotes and regroups words by key, so a quoted argument can be torn apart on the way; this file tells.
 * Source: Linux lib/cmdline.c, next_arg().
 */
import { invalid } from '../errors.ts';
import { splitWords } from '../machineconfig/command-line.ts';

/** Characters. The kernel takes 2047 bytes, so more than this is no honest wish, and regrouping it by key would take long. */
const LONGEST_ARGUMENTS = 32768;

export interface KernelWord {
  /** As it stands in the line, quotes included. */
  readonly text: string;
  /** False when a quote is open at the end of the line. */
  readonly closed: boolean;
}

/** The words of a line whose only blanks are spaces. */
export function kernelWords(line: string): KernelWord[] {
  const words: KernelWord[] = [];
  let start = 0;
  let inQuotes = false;
  for (let at = 0; at <= line.length; at++) {
    if (line[at] === '"') inQuotes = !inQuotes;
    const ends = at === line.length || (line[at] === ' ' && !inQuotes);
    if (!ends) continue;
    if (at > start) words.push({ text: line.slice(start, at), closed: !inQuotes });
    start = at + 1;
  }
  return words;
}

/**
 * Throws `invalid-input` for an argument the kernel cannot be given: a control character (NUL ends the line), a double quote that is never
 * closed and so swallows all that follows, or far too many of them.
 */
export function checkKernelQuoting(args: readonly string[]): void {
  const length = args.reduce((sum, one) => sum + one.length + 1, 0);
  if (length > LONGEST_ARGUMENTS) {
    throw invalid(`kernel arguments: ${length} characters, want at most ${LONGEST_ARGUMENTS}`);
  }
  for (const word of args.flatMap(splitWords)) {
    const control = /\p{Cc}/u.exec(word);
    if (control === null) continue;
    const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    throw invalid(`kernel argument ${shown(word)}: control character U+${code}, want printable text`);
  }
  const open = kernelWords(oneLine(args)).find(({ closed }) => !closed);
  if (open !== undefined) {
    throw invalid(`kernel argument ${shown(open.text)}: a double quote is not closed, want them in pairs`, {
      hint: 'the kernel has no way to escape a double quote',
    });
  }
}

/**
 * Throws `invalid-input` unless every word of `line` with a quote in it is a word of `sources`: otherwise grouping by key has
 * put other words between its parts, or taken some away.
 */
export function checkQuotesKept(line: string, sources: readonly (readonly string[])[]): void {
  const given = new Set(sources.flatMap((args) => kernelWords(oneLine(args)).map(({ text }) => text)));
  const broken = kernelWords(line).find(({ text }) => text.includes('"') && !given.has(text));
  if (broken === undefined) return;
  throw invalid(
    `kernel argument ${shown(broken.text)}: quoted text was torn apart or mixed, want quotes without blanks`,
    {
      hint: 'arguments are grouped by key, so one with blanks in quotes must be given once and cannot replace or remove another',
    },
  );
}

/** Whether an argument has more than one blank in a row between quotes, of which one remains. */
export function losesBlanks(args: readonly string[]): boolean {
  const line = args.join(' ');
  const quoted = line.split('"').filter((_, index) => index % 2 === 1);
  return quoted.some((text) => /\s{2}|[^\S ]/.test(text));
}

function oneLine(args: readonly string[]): string {
  return args.flatMap(splitWords).join(' ');
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
