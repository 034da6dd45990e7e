/**
 * Programs of a Debian release, run from a directory of their own with their own libraries: so the judge is the same one everywhere, and may
 * be newer than what the system has.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { type Architecture, downloadPackages } from '../../scripts/demo/debian-packages.ts';
import { skipWithout } from './tools.ts';

const run = promisify(execFile);

const ARCHITECTURES: Readonly<Record<string, Architecture>> = { x64: 'amd64', arm64: 'arm64' };

/** A `skip` option: whether programs of Debian packages can be had and run here. */
export function skipWithoutDebianPrograms(): string | false {
  if (process.platform !== 'linux' || ARCHITECTURES[process.arch] === undefined) {
    return `needs Linux on amd64 or arm64, not ${process.platform} on ${process.arch}`;
  }
  return skipWithout('apt-get', 'dpkg-deb');
}

export interface Programs {
  /** Of the package `name`, relative to the root of its files. */
  path(name: string): string;
  /** Exit code and all that was said. */
  run(program: string, ...args: readonly string[]): { readonly code: number | null; readonly text: string };
}

/** Variables for programs, by the root of their files. */
export type Environment = (root: string) => Readonly<Record<string, string>>;

/** Unpacks packages, with all they need listed too, once per machine. The first call downloads them. */
export async function debianPrograms(
  packages: readonly string[],
  environment: Environment = () => ({}),
): Promise<Programs> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  const architecture = ARCHITECTURES[process.arch]!;
  const wanted = packages.map((name) => ({ name, architecture }));
  const files = await downloadPackages(wanted, { directory: join(cache, 'programs') });
  const versions = files.map((file) => basename(file)).join('\n');
  const root = join(cache, `programs-${createHash('sha256').update(versions).digest('hex').slice(0, 16)}`);
  if (!existsSync(root)) {
    const partial = `${root}.${process.pid}`;
    await mkdir(partial, { recursive: true });
    for (const file of files) await run('dpkg-deb', ['-x', file, partial]);
    await rename(partial, root).catch(() => rm(partial, { recursive: true }));
  }
  const loader = loaderIn(root);
  const libraries = readdirSync(join(root, 'usr/lib')).filter((name) => name.endsWith('-linux-gnu'));
  const libraryPath = libraries.map((name) => join(root, 'usr/lib', name)).join(':');
  return {
    path: (name) => join(root, name),
    run(program, ...args) {
      const path = ['usr/sbin', 'usr/bin'].map((folder) => join(root, folder, program)).find((one) => existsSync(one));
      if (path === undefined) throw new Error(`${program}: in none of ${packages.join(', ')}`);
      const env = { LC_ALL: 'C.UTF-8', TZ: 'UTC', PATH: process.env.PATH ?? '', ...environment(root) };
      const options = { encoding: 'utf8', env, maxBuffer: 1 << 28 } as const;
      const { status, stdout, stderr, error } = spawnSync(
        loader,
        ['--library-path', libraryPath, path, ...args],
        options,
      );
      if (error !== undefined) throw error;
      return { code: status, text: stdout + stderr };
    },
  };
}

function loaderIn(root: string): string {
  for (const folder of ['usr/lib64', 'usr/lib']) {
    const found = existsSync(join(root, folder))
      ? readdirSync(join(root, folder)).find((name) => /^ld-linux-.*\.so\.\d$/.test(name))
      : undefined;
    if (found !== undefined) return join(root, folder, found);
  }
  throw new Error(`${root}: no dynamic loader`);
}
