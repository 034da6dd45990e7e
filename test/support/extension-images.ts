/** System extensions small enough for unit tests, and an initramfs that has kernel modules. */
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { layoutCpio } from '../../src/formats/cpio/layout-cpio.ts';
import { squashTree } from '../../src/formats/squashfs/write.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import type { Platform } from '../../src/platform/types.ts';
import { type Entry, type Literal, type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { OCI_LAYER, type TestImage, testImage } from './image.ts';
import { kernelModule } from './kernel-module.ts';

export const KERNEL = '6.18.45-talos';
export const MODULES: string = `usr/lib/modules/${KERNEL}`;

export interface ManifestFields {
  readonly name?: string;
  readonly constraint?: string;
}

export function manifestText({ name = 'test', constraint = '>= v1.0.0' }: ManifestFields = {}): string {
  return [
    'version: v1alpha1',
    'metadata:',
    `  name: ${name}`,
    '  version: 1.0.0',
    '  author: Somebody',
    '  description: For tests.',
    '  compatibility:',
    '    talos:',
    `      version: ${JSON.stringify(constraint)}`,
    '',
  ].join('\n');
}

/** The root of an extension's image: `files` by path below its root file system, and entries as they are. */
export function extensionTree(
  files: Readonly<Record<string, Literal>>,
  fields: ManifestFields = {},
  more: readonly Entry[] = [],
): Tree {
  const all = Object.entries({ ...files }).map(([path, literal]) => [`rootfs/${path}`, literal] as const);
  const tree = treeOfLiterals({ 'manifest.yaml': manifestText(fields), rootfs: null, ...Object.fromEntries(all) });
  return treeOf([...tree.entries, ...more.map((entry) => ({ ...entry, path: `rootfs/${entry.path}` }))]);
}

export async function extensionImage(tree: Tree, architecture = 'arm64'): Promise<TestImage> {
  return testImage([{ data: await read(layoutTar(tree)), mediaType: OCI_LAYER }], { os: 'linux', architecture });
}

/** A module that exports a symbol, and what the kernel's build says of it; `more` lies beside them in the root file system. */
export async function baseInitramfs(
  { compression, hash }: Pick<Platform, 'compression' | 'hash'>,
  kernel: string = KERNEL,
  more: Readonly<Record<string, Literal>> = {},
): Promise<Uint8Array> {
  const directory = `usr/lib/modules/${kernel}`;
  const rootfs = treeOfLiterals({
    [`${directory}/kernel/base.ko`]: kernelModule({ exports: ['base_symbol'], info: ['license=GPL'] }),
    [`${directory}/modules.order`]: 'kernel/base.ko\n',
    [`${directory}/modules.builtin`]: 'kernel/fs/built_in.ko\n',
    [`${directory}/modules.builtin.modinfo`]: new TextEncoder().encode('built_in.license=GPL\0'),
    [`${directory}/modules.dep`]: 'stale',
    ...more,
  });
  const options = { compressor: { name: 'zstd', level: 3 }, epoch: 1 } as const;
  const image = await squashTree(rootfs, options, { compression, hash });
  const archive = layoutCpio(treeOfLiterals({ init: '#!/bin/sh\n', 'rootfs.sqsh': image }));
  return compression.zstdFrame(await read(archive), 3);
}

/** What an initramfs may begin with. */
export async function withMicrocode(base: Uint8Array): Promise<Uint8Array> {
  const early = await read(layoutCpio(treeOfLiterals({ 'kernel/x86/microcode/GenuineIntel.bin': 'old' })));
  return read(ofMemory(Buffer.concat([early, base])));
}
