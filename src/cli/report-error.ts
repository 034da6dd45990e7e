/** What a user sees of an error: what is wrong and what to do, never a stack trace unless it is our bug. */
import { exitCodeOf, ImagerError } from '../errors.ts';
import type { Terminal } from './io.ts';

/** Prints the error and gives the exit code. */
export function reportError(error: unknown, terminal: Pick<Terminal, 'write'>, style: 'text' | 'json'): number {
  const exitCode = exitCodeOf(error);
  if (error instanceof ImagerError) {
    if (style === 'json') {
      terminal.write(
        `${JSON.stringify({ type: 'error', code: error.code, message: error.message, hint: error.hint, exitCode })}\n`,
      );
    } else {
      terminal.write(`imager: ${error.message}\n`);
      if (error.hint !== undefined) terminal.write(`  hint: ${error.hint}\n`);
    }
    return exitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.write(`imager: this is a bug in imager, please report it with the command and these lines:\n${stack}\n`);
  return exitCode;
}
