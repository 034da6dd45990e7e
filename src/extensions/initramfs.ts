/** The archives an initramfs has around its base (spec profiles-and-inputs 7.6): processor microcode before it, all else behind it. */
import { type Bytes, concat, ofText } from '../bytes/bytes.ts';
import { layoutCpio } from '../formats/cpio/layout-cpio.ts';
import { DEFAULT_DIRECTORY, type Entry, type Tree, treeOf } from '../tree/tree.ts';
import type { Microcode } from './cpu-microcode.ts';
import { type ExtensionLayer, extensionsYaml } from './extensions-yaml.ts';

/** An extension's file system, ready to be mounted. */
export interface SquashedLayer extends ExtensionLayer {
  readonly content: Bytes;
}

export interface InitramfsParts {
  /** As it is. */
  readonly base: Bytes;
  /** In the order in which they are laid over each other, the lowest first. */
  readonly layers: readonly SquashedLayer[];
  /** Of each extension, in the same order. */
  readonly microcode: readonly Microcode[];
  /** Below the root of the initramfs. */
  readonly firmware: Tree;
}

/** Names of extensions' file systems are numbers in the order of the list, but taken in the order of texts: `0`, `1`, `10`, `11`, `2`. */
export function layerOrder(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index).sort((a, b) => (String(a) < String(b) ? -1 : 1));
}

/** What goes in front, not compressed; `undefined` where there is no microcode. `time` in seconds since 1970 is everything's. */
export function microcodeArchive(all: readonly Microcode[], time: number): Bytes | undefined {
  const vendors = [
    ['AuthenticAMD', all.flatMap(({ amd }) => amd)],
    ['GenuineIntel', all.flatMap(({ intel }) => intel)],
  ] as const;
  const entries = vendors
    .filter(([, files]) => files.length > 0)
    .map(([vendor, files]): Entry => {
      const content = concat(files.map((file) => file.content));
      return { kind: 'file', path: `kernel/x86/microcode/${vendor}.bin`, ...file(time), content };
    });
  return entries.length === 0 ? undefined : layoutCpio(dated(treeOf(entries), time));
}

/** What goes behind the base, to be compressed. Throws `invalid-input` for what an archive cannot hold, a file of 4 GiB for example. */
export function layersArchive({ layers, firmware }: Omit<InitramfsParts, 'base' | 'microcode'>, time: number): Bytes {
  const files = layers.map(({ image, content }): Entry => ({ kind: 'file', path: image, ...file(time), content }));
  const list: Entry = {
    kind: 'file',
    path: 'extensions.yaml',
    ...file(time),
    content: ofText(extensionsYaml(layers)),
  };
  return layoutCpio(dated(treeOf([...firmware.entries, ...files, list]), time));
}

function file(time: number): Pick<Entry, 'mode' | 'uid' | 'gid' | 'mtime'> {
  return { ...DEFAULT_DIRECTORY, mode: 0o644, mtime: time };
}

/** Upstream leaves the time of the build. */
function dated(tree: Tree, time: number): Tree {
  return treeOf(tree.entries.map((entry) => ({ ...entry, uid: 0, gid: 0, mtime: time })));
}
