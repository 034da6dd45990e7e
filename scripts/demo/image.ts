/**
 * An image in the form of an imager image: kernel, initramfs, systemd-boot and its stub of both architectures below `/usr/install`, GRUB
 * modules and font. What a build reads is all there; what boots is a demonstration that reports and powers off, not Talos.
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { read } from '../../src/bytes/read.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { testImage, testIndex, writeLayout } from '../../test/support/image.ts';
import {
  type Architecture,
  type DownloadOptions,
  downloadPackages,
  filesOf,
  type WantedPackage,
} from './debian-packages.ts';
import { buildInitramfs } from './initramfs.ts';

const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];

/** `cloud` kernels drive what virtual machines have, and are a third of the download. */
const PACKAGES: readonly WantedPackage[] = [
  { name: 'linux-image-cloud-amd64', architecture: 'amd64', meta: true },
  { name: 'linux-image-cloud-arm64', architecture: 'arm64', meta: true },
  { name: 'busybox-static', architecture: 'amd64' },
  { name: 'busybox-static', architecture: 'arm64' },
  { name: 'systemd-boot-efi', architecture: 'amd64' },
  { name: 'systemd-boot-efi', architecture: 'arm64' },
  { name: 'grub-pc-bin', architecture: 'amd64' },
  { name: 'grub-efi-amd64-bin', architecture: 'amd64' },
  { name: 'grub-efi-arm64-bin', architecture: 'arm64' },
  { name: 'grub-common', architecture: 'amd64' },
];

export interface DemoOptions extends Omit<DownloadOptions, 'directory'> {
  /** Where packages are kept from one run to the next. */
  readonly cache: string;
  /** Reference name of the image in its layout. */
  readonly tag: string;
}

/** Writes an OCI image layout to `directory`, which must not exist: an index of both platforms under the tag. */
export async function buildDemoImage(directory: string, options: DemoOptions): Promise<void> {
  const { cache, tag, log = () => undefined } = options;
  const scratch = join(cache, `.scratch-${process.pid}`);
  const partial = `${directory}.partial-${process.pid}`;
  await mkdir(scratch, { recursive: true });
  try {
    const files = await collectFiles(scratch, options);
    log(`packing ${files.entries.length} files and directories`);
    // Both images of the index hold both architectures, as upstream's do, so they share their layers.
    const layers = await Promise.all([layerOf(files, 'usr/install'), layerOf(files, 'usr/lib/grub', 'usr/share/grub')]);
    const images = ARCHITECTURES.map((architecture) => testImage(layers, { os: 'linux', architecture }));
    // Beside its place, so that it appears there at once and whole.
    await writeLayout(partial, { [tag]: testIndex(images) });
    await rename(partial, directory);
  } finally {
    await rm(partial, { recursive: true, force: true });
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Paths of the packages the image is made from, downloaded when they are not in the cache. */
export function demoPackages(options: Omit<DemoOptions, 'tag'>): Promise<string[]> {
  return downloadPackages(PACKAGES, { ...options, directory: options.cache });
}

async function collectFiles(scratch: string, options: DemoOptions): Promise<Tree> {
  const { log = () => undefined } = options;
  const paths = await demoPackages(options);
  const debOf = (name: string, architecture: Architecture): string =>
    paths[PACKAGES.findIndex((one) => one.name.startsWith(name) && one.architecture === architecture)]!;
  const found: Record<string, Uint8Array> = {};
  for (const architecture of ARCHITECTURES) {
    log(`taking kernel and loader of ${architecture}`);
    const install = `usr/install/${architecture}`;
    const kernel = await filesOf(debOf('linux-image', architecture), /^boot\/vmlinuz-|\/efivarfs\.ko\.xz$/, scratch);
    const busybox = await filesOf(debOf('busybox-static', architecture), /^(usr\/)?bin\/busybox$/, scratch);
    const loader = await filesOf(debOf('systemd-boot-efi', architecture), /^usr\/lib\/systemd\/boot\/efi\//, scratch);
    const initramfs = { busybox: only(busybox, /busybox$/), efivarfs: only(kernel, /efivarfs/) };
    found[`${install}/vmlinuz`] = only(kernel, /vmlinuz/);
    found[`${install}/initramfs.xz`] = await buildInitramfs(initramfs);
    found[`${install}/systemd-boot.efi`] = only(loader, /systemd-boot[a-z0-9]+\.efi$/);
    found[`${install}/systemd-stub.efi`] = only(loader, /linux[a-z0-9]+\.efi\.stub$/);
  }
  for (const [name, architecture] of [
    ['grub-pc-bin', 'amd64'],
    ['grub-efi-amd64-bin', 'amd64'],
    ['grub-efi-arm64-bin', 'arm64'],
  ] as const) {
    // As in the real image: what a build of GRUB installs, without Debian's own ready-made cores.
    const modules = /^usr\/lib\/grub\/[a-z0-9_]+-(pc|efi)\/[^/]+\.(mod|lst|img|o|sh|exec|image)$/;
    Object.assign(found, Object.fromEntries(await filesOf(debOf(name, architecture), modules, scratch)));
  }
  const fonts = await filesOf(debOf('grub-common', 'amd64'), /^usr\/share\/grub\/unicode\.pf2$/, scratch);
  return treeOfLiterals({ ...found, ...Object.fromEntries(fonts) });
}

function only(files: ReadonlyMap<string, Uint8Array>, pattern: RegExp): Uint8Array {
  const matching = [...files].filter(([path]) => pattern.test(path));
  const [path] = matching;
  if (path === undefined || matching.length > 1) {
    throw new Error(`want one file like ${pattern}, found ${matching.map(([name]) => name).join(', ') || 'none'}`);
  }
  return path[1];
}

async function layerOf(files: Tree, ...tops: readonly string[]): Promise<{ data: Uint8Array; mediaType: string }> {
  const kept = files.entries.filter(({ path }) => tops.some((top) => path === top || path.startsWith(`${top}/`)));
  const archive = await read(layoutTar(treeOf(kept)));
  return { data: gzipSync(archive, { level: 6 }), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
}
