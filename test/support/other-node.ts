/** Another release of Node, fetched once from the package registry and kept in the cache. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Path of the newest Node `major`. `undefined` on a laptop that cannot fetch it; where `CI` is set that throws.
 */
export async function otherNode(major: number): Promise<string | undefined> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const directory = join(cache, 'bootwright-test', `node-${major}`);
  // The package of this platform alone: the one called `node` finds it by a script, and scripts may be off.
  const name = `node-${process.platform}-${process.arch}`;
  const path = join(directory, 'node_modules', name, 'bin/node');
  if (existsSync(path)) return path;
  try {
    await mkdir(directory, { recursive: true });
    const options = ['--no-save', '--no-audit', '--no-fund', '--prefix', directory];
    await execute('npm', ['install', ...options, `${name}@${major}`], { cwd: directory, timeout: 300_000 });
    await execute(path, ['--version']);
    return path;
  } catch (error) {
    if ((process.env.CI ?? '') !== '') throw error;
    return undefined;
  }
}
