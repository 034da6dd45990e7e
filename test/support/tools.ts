/** External programs that judge us. Their absence skips a test on a laptop and fails it where `CI` is set. */
import { execFileSync } from 'node:child_process';
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

/** The standard output of a program, in English and UTC. Throws when it fails, with what it said. */
export function run(program: string, ...args: readonly string[]): string {
  const env = { PATH: DIRECTORIES.join(delimiter), TZ: 'UTC', LC_ALL: 'C.UTF-8' };
  return execFileSync(program, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Where programs are, those of administrators too. */
const DIRECTORIES: readonly string[] = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function isInPath(program: string): boolean {
  return DIRECTORIES.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
