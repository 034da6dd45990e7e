/** Kernel modules of Debian, thousands of them, as a directory: made once a machine. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { type Architecture, downloadPackages } from '../../scripts/demo/debian-packages.ts';

const run = promisify(execFile);

export interface KernelModules {
  /** Has `lib/modules/<version>` below it. Shared: not to be written to. */
  readonly root: string;
  readonly version: string;
}

/** `name` is the package that always depends on the newest kernel of its kind, as `linux-image-amd64`. The first call downloads about 100 MB. */
export async function debianKernel(name: string, architecture: Architecture): Promise<KernelModules> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  const [file] = await downloadPackages([{ name, architecture, meta: true }], { directory: cache });
  const root = join(cache, `kernel-${basename(file!, '.deb')}`);
  if (!existsSync(root)) {
    const partial = `${root}.${process.pid}`;
    await mkdir(join(partial, 'lib'), { recursive: true });
    await run('dpkg-deb', ['-x', file!, join(partial, 'all')]);
    await rename(join(partial, 'all/usr/lib/modules'), join(partial, 'lib/modules'));
    await rm(join(partial, 'all'), { recursive: true });
    await rename(partial, root).catch(() => rm(partial, { recursive: true }));
  }
  return { root, version: readdirSync(join(root, 'lib/modules'))[0]! };
}
