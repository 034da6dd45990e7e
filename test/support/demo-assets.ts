/** The demonstration image (`scripts/demo-assets`), built once and kept in the cache, and its files apart from it. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { buildDemoImage, demoPackages } from '../../scripts/demo/image.ts';
import { skipWithout } from './tools.ts';

/** Reference name of the image in its layout. */
export const DEMO_TAG = 'v1.13.0';

const SOURCES = ['init', 'initramfs.ts', 'image.ts'];

/** A `skip` option for tests that need the image. */
export function skipWithoutDemoAssets(): string | false {
  return skipWithout('apt-get', 'dpkg-deb', 'tar');
}

/** Path of the OCI image layout. The first call on a machine downloads about 75 MB of Debian packages. */
export async function demoLayout(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  // What the image is made by and from is part of its name: a change there makes another.
  const hash = createHash('sha256');
  for (const name of SOURCES) hash.update(await readFile(new URL(`../../scripts/demo/${name}`, import.meta.url)));
  for (const path of await demoPackages({ cache })) hash.update(basename(path));
  const layout = join(cache, `layout-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(layout)) return layout;
  try {
    await buildDemoImage(layout, { cache, tag: DEMO_TAG });
  } catch (error) {
    // Another test process may have been faster: its result is as good.
    if (!existsSync(layout)) throw error;
  }
  return layout;
}

export interface DemoFiles {
  readonly vmlinuz: string;
  readonly initramfs: string;
}

/** Kernel and initramfs of an architecture as files of their own, for starting them without a loader. */
export async function demoFiles(architecture: 'amd64' | 'arm64'): Promise<DemoFiles> {
  const layout = await demoLayout();
  const directory = `${layout}-files-${architecture}`;
  if (!existsSync(directory)) {
    const partial = `${directory}.${process.pid}`;
    await mkdir(partial, { recursive: true });
    for (const [path, data] of await layerFiles(layout)) {
      const [, name] = new RegExp(`^usr/install/${architecture}/([^/]+)$`).exec(path) ?? [];
      if (name !== undefined) await writeFile(join(partial, name), data);
    }
    await rename(partial, directory).catch(() => rm(partial, { recursive: true }));
  }
  return { vmlinuz: join(directory, 'vmlinuz'), initramfs: join(directory, 'initramfs.xz') };
}

/** Its GRUB modules as a directory like `/usr/lib/grub`, with those of the architecture that cannot be installed here too. */
export async function demoGrubDirectory(): Promise<string> {
  const layout = await demoLayout();
  const directory = `${layout}-grub`;
  if (!existsSync(directory)) {
    const partial = `${directory}.${process.pid}`;
    for (const [path, data] of await layerFiles(layout)) {
      const [, name] = /^usr\/lib\/grub\/(.+[^/])$/.exec(path) ?? [];
      if (name === undefined) continue;
      await mkdir(dirname(join(partial, name)), { recursive: true });
      await writeFile(join(partial, name), data);
    }
    await rename(partial, directory).catch(() => rm(partial, { recursive: true }));
  }
  return directory;
}

/** Files of the layers of the image's first platform. The reader is as simple as the archives: our own, of short names and plain files. */
async function layerFiles(layout: string): Promise<Map<string, Uint8Array>> {
  interface Document {
    readonly manifests?: readonly { readonly digest: string }[];
    readonly layers?: readonly { readonly digest: string }[];
  }
  const blob = (digest: string): Promise<Buffer> =>
    readFile(join(layout, 'blobs/sha256', digest.replace('sha256:', '')));
  let document = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as Document;
  while (document.layers === undefined)
    document = JSON.parse(String(await blob(document.manifests![0]!.digest))) as Document;
  const files = new Map<string, Uint8Array>();
  for (const { digest } of document.layers) {
    const archive = gunzipSync(await blob(digest));
    for (let at = 0; archive[at] !== 0; ) {
      const name = archive.toString('latin1', at, at + 100).replace(/\0.*$/, '');
      const size = Number.parseInt(archive.toString('latin1', at + 124, at + 136), 8);
      files.set(name, archive.subarray(at + 512, at + 512 + size));
      at += 512 + Math.ceil(size / 512) * 512;
    }
  }
  return files;
}
