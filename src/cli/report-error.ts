/** What a user sees of an error: what is wrong and what to do, never a stack trace unless it is our bug. */
import { exitCodeOf, ImagerError } from '../errors.ts';
import type { Terminal } from './io.ts';

/** Prints the error and gives the exit code. */
export function reportError(error: unknown, terminal: Pick<Terminal, 'write'>, style: 'text' | 'json'): number {
  const exitCode = exitCodeOf(error);
  const { code, message, hint } = described(error);
  if (style === 'json') {
    terminal.write(`${JSON.stringify({ type: 'error', code, message, hint, exitCode })}\n`);
  } else {
    terminal.write(`imager: ${message}\n${hint === undefined ? '' : `  hint: ${hint}\n`}`);
  }
  return exitCode;
}

function described(error: unknown): { readonly code: string; readonly message: string; readonly hint?: string } {
  if (error instanceof ImagerError) {
    const { code, message, hint } = error;
    return hint === undefined ? { code, message } : { code, message, hint };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'bug', message: `a bug in imager, please report it with the command and these lines:\n${stack}` };
}
