/**
 * Processor microcode of extensions (spec profiles-and-inputs 7.3 step 1): Linux takes it from an uncompressed archive at the start of the
 * initramfs, before anything else runs, so that it leaves the extension (Documentation/arch/x86/microcode.rst).
 */
import type { Bytes } from '../bytes/bytes.ts';
import { children, fileAt, filter, nameOf, type Tree } from '../tree/tree.ts';

/** In the order of the files' names. */
export interface Microcode {
  readonly intel: readonly MicrocodeFile[];
  readonly amd: readonly MicrocodeFile[];
}

export interface MicrocodeFile {
  /** Below the root of the node. */
  readonly path: string;
  readonly content: Bytes;
}

export interface TakenMicrocode {
  readonly microcode: Microcode;
  /** Without those files; directories they leave empty stay. */
  readonly rest: Tree;
}

/** `firmwarePath` without a leading `/`. */
export function takeMicrocode(rootfs: Tree, firmwarePath: string): TakenMicrocode {
  const intel = filesIn(rootfs, `${firmwarePath}/intel-ucode`, () => true);
  const amd = filesIn(rootfs, `${firmwarePath}/amd-ucode`, (name) => /^microcode_amd.*\.bin$/s.test(name));
  const taken = new Set([...intel, ...amd].map(({ path }) => path));
  const rest = taken.size === 0 ? rootfs : filter(rootfs, ({ path }) => !taken.has(path));
  return { microcode: { intel, amd }, rest };
}

/** What a shell's `*` finds: no names that begin with a dot. Links count as what they lead to. */
function filesIn(tree: Tree, directory: string, matches: (name: string) => boolean): MicrocodeFile[] {
  return children(tree, directory).flatMap(({ path }) => {
    const name = nameOf(path);
    const content = name.startsWith('.') || !matches(name) ? undefined : fileAt(tree, path);
    return content === undefined ? [] : [{ path, content }];
  });
}
