/** External programs that judge us: their absence skips a test on a laptop and fails it where `CI` is set. */
import { spawnSync } from 'node:child_process';
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
