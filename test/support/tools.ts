/** External programs that judge us: their absence skips a test on a laptop and fails it where `CI` is set. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A `skip` option for `node:test`: `false` when every program is in `PATH`, else the reason. Throws when `CI` is set. */
export function skipWithout(...programs: readonly string[]): string | false {
  const missing = programs.filter((program) => !isInPath(program));
  if (missing.length === 0) return false;
  const reason = `needs ${missing.join(', ')}`;
  if ((process.env.CI ?? '') !== '') throw new Error(`${reason}: install it, tests are not skipped in CI`);
  return reason;
}

function isInPath(program: string): boolean {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
