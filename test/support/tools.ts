/** External programs that judge us. Their absence skips a test on a laptop and fails it where `CI` is set. */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A `skip` option for `node:test`: `false` when every program is in `PATH`, else the reason. Throws when `CI` is set. */
export function skipWithout(...programs: readonly string[]): string | false {
  const missing = programs.filter((program) => !isInPath(program));
  return missing.length === 0 ? false : skipped(`needs ${missing.join(', ')}`, 'install it');
}

/** As `skipWithout`, where `unshare` may make user and network namespaces: some systems keep that to root. */
export function skipWithoutNamespaces(): string | false {
  const missing = skipWithout('unshare');
  if (missing !== false) return missing;
  const { status, stderr } = spawnSync('unshare', ['--map-root-user', '--net', 'true'], { encoding: 'utf8' });
  return status === 0 ? false : skipped(`needs network namespaces: ${stderr.trim()}`, 'allow them');
}

function skipped(reason: string, remedy: string): string {
  if ((process.env.CI ?? '') !== '') throw new Error(`${reason}: ${remedy}, tests are not skipped in CI`);
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
