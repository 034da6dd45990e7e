/** The root file system inside a base initramfs: where its kernel modules are (spec profiles-and-inputs 7.4 steps 1 and 2). */
import { type Bytes, slice } from '../bytes/bytes.ts';
import { type ChunkOptions, chunks, read } from '../bytes/read.ts';
import type { StreamSink } from '../bytes/write.ts';
import { invalid } from '../errors.ts';
import { copyMember } from '../formats/cpio/copy-member.ts';
import { decodeCpio } from '../formats/cpio/decode-cpio.ts';
import { decodeSquashfs } from '../formats/squashfs/decode.ts';
import { XZ_MAGIC } from '../formats/xz/decode-stream.ts';
import { unxz } from '../formats/xz/unxz.ts';
import { isZstd, unzstd } from '../formats/zstd/frame-walker.ts';
import type { Chunks, Compression } from '../platform/types.ts';
import { children, nameOf, subtree, type Tree } from '../tree/tree.ts';

const ROOTFS = 'rootfs.sqsh';

const GZIP_MAGIC = [0x1f, 0x8b] as const;

/**
 * Copies `rootfs.sqsh` out of `base`, as plain bytes. What lies before the compressed archive, microcode for example, is passed over. Throws
 * `invalid-input` when there is none, or `base` is no initramfs.
 */
export async function copyRootfs(
  base: Bytes,
  compression: Compression,
  sink: StreamSink,
  { signal }: Pick<ChunkOptions, 'signal'> = {},
): Promise<void> {
  const archive = await compressedArchive(base, compression, signal);
  if (!(await copyMember(archive, ROOTFS, sink))) throw invalid(`base initramfs: no ${ROOTFS} in it`);
}

async function compressedArchive(
  base: Bytes,
  compression: Compression,
  signal: AbortSignal | undefined,
): Promise<Chunks> {
  const { end } = await decodeCpio(base, signal === undefined ? {} : { signal });
  const rest = slice(base, end);
  const start = await read(rest, 0, Math.min(XZ_MAGIC.length, rest.size));
  const begins = (magic: readonly number[]): boolean => magic.every((byte, index) => start[index] === byte);
  const packed = chunks(rest, signal === undefined ? {} : { signal });
  if (isZstd(start)) return unzstd(compression, packed, signal);
  if (begins(GZIP_MAGIC)) return compression.gunzip(packed, signal);
  if (!begins(XZ_MAGIC)) throw invalid('base initramfs: want an archive compressed with zstd, xz or gzip');
  return unxz(packed, compression.lzma2, signal);
}

export interface BaseModules {
  readonly kernelVersion: string;
  /** What lies below the directory of that version. */
  readonly tree: Tree;
}

/** `rootfs` is the image, `modulesPath` without a leading `/`. Throws `invalid-input` unless there are modules of exactly one kernel. */
export async function readBaseModules(
  rootfs: Bytes,
  modulesPath: string,
  compression: Compression,
  options: Pick<ChunkOptions, 'signal'> = {},
): Promise<BaseModules> {
  const { tree } = await decodeSquashfs(rootfs, compression, options);
  const found = tree.byPath.get(modulesPath)?.kind === 'directory' ? children(tree, modulesPath) : [];
  const [kernel] = found;
  if (kernel?.kind !== 'directory' || found.length > 1) {
    const names = found.map(({ path }) => nameOf(path)).join(', ') || 'nothing';
    throw invalid(`base initramfs: ${names} in /${modulesPath}, want one directory, of one kernel`);
  }
  return { kernelVersion: nameOf(kernel.path), tree: subtree(tree, kernel.path) };
}
