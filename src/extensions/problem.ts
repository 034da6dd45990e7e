/** What is wrong with extensions: all of it at once, each with the extension, the file and the rule it is against. */
import { ImagerError } from '../errors.ts';
import type { Position } from '../yaml/diagnostic.ts';

/** Names as documentation and messages have them. */
export type ExtensionRule =
  /** `manifest.yaml` and `rootfs/`, nothing else. */
  | 'layout'
  | 'manifest'
  /** The Talos version is one the manifest is for. */
  | 'version'
  /** Kinds and places of files. */
  | 'contents'
  | 'setuid'
  | 'links'
  /** As much as images and kernels can take. */
  | 'size'
  | 'service'
  | 'microcode'
  | 'firmware'
  | 'modules'
  /** Between extensions. */
  | 'conflict';

export interface ExtensionProblem {
  /** Errors keep a node from working or are refused by upstream, too; warnings upstream lets through without a word. */
  readonly severity: 'error' | 'warning';
  readonly rule: ExtensionRule;
  /** As the user named it. */
  readonly extension: string;
  /** Below the root of the node with a leading `/`, or `manifest.yaml`. */
  readonly file?: string;
  readonly position?: Position;
  readonly message: string;
}

/** `EXTENSION: FILE:LINE:COLUMN: MESSAGE (rule NAME)`. */
export function problemText({ extension, file, position, message, rule }: ExtensionProblem): string {
  const at = position === undefined ? '' : `:${position.line}:${position.column}`;
  const where = file === undefined ? '' : `${file}${at}: `;
  return `${extension}: ${where}${message} (rule ${rule})`;
}

/** Of one rule and one extension; more of the same teach nothing. */
const SHOWN = 5;

/** One line each; of many of a kind the first few and their number. */
export function problemLines(problems: readonly ExtensionProblem[]): string[] {
  const counts = new Map<string, { shown: number; hidden: number; readonly of: ExtensionProblem }>();
  const lines: string[] = [];
  for (const problem of problems) {
    const key = JSON.stringify([problem.extension, problem.rule, problem.severity]);
    const count = counts.get(key) ?? { shown: 0, hidden: 0, of: problem };
    counts.set(key, count);
    if (count.shown < SHOWN) {
      count.shown++;
      lines.push(problemText(problem));
    } else count.hidden++;
  }
  for (const { hidden, of } of counts.values()) {
    if (hidden > 0) lines.push(`${of.extension}: ${hidden} more like the last (rule ${of.rule})`);
  }
  return lines;
}

/** Throws `dependency`, as upstream has it, with all errors; the lines of the warnings otherwise. */
export function refuseErrors(problems: readonly ExtensionProblem[]): string[] {
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new ImagerError('dependency', problemLines(errors).join('\n'));
  return problemLines(problems);
}
