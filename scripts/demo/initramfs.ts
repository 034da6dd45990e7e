/** The initramfs of the demonstration system: busybox, the first process, ballast, and a list of what is in it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { layoutCpio } from '../../src/formats/cpio/layout-cpio.ts';
import { type Entry, treeOf } from '../../src/tree/tree.ts';

/** Commands that `init` calls. */
const APPLETS =
  'sh mount cat uname printf tee insmod xzcat tail hexdump tr sed head base64 gzip gunzip mv rm sha256sum grep find sort poweroff sleep'.split(
    ' ',
  );

/** Bytes that do not compress, so that the archive has the size, and damage the chance, of a real one. */
const BALLAST_SIZE = 8 << 20;

export interface InitramfsParts {
  /** Static. */
  readonly busybox: Uint8Array;
  /** `efivarfs.ko.xz` of the kernel. */
  readonly efivarfs: Uint8Array;
}

/** The compressed archive; the same parts give the same bytes. */
export async function buildInitramfs(parts: InitramfsParts): Promise<Uint8Array> {
  const files: Record<string, Uint8Array> = {
    'bin/busybox': parts.busybox,
    'demo/ballast': ballast(),
    init: await readFile(new URL('init', import.meta.url)),
    'lib/modules/efivarfs.ko.xz': parts.efivarfs,
  };
  const sums = Object.entries(files)
    .map(([path, data]) => `${createHash('sha256').update(data).digest('hex')}  ./${path}\n`)
    .join('');
  const common = { uid: 0, gid: 0, mtime: 0 };
  const directories = ['bin', 'demo', 'dev', 'lib', 'lib/modules', 'proc', 'sys', 'tmp'];
  const tree = treeOf([
    ...directories.map((path): Entry => ({ kind: 'directory', path, mode: 0o755, ...common })),
    ...APPLETS.map(
      (name): Entry => ({ kind: 'symlink', path: `bin/${name}`, target: 'busybox', mode: 0o777, ...common }),
    ),
    // Before devtmpfs is mounted the kernel opens this one for the first process.
    { kind: 'character', path: 'dev/console', mode: 0o600, major: 5, minor: 1, ...common },
    ...Object.entries({ ...files, 'demo/SHA256SUMS': Buffer.from(sums) }).map(
      ([path, data]): Entry => ({
        kind: 'file',
        path,
        mode: path.endsWith('.xz') || path.endsWith('SUMS') ? 0o644 : 0o755,
        content: ofMemory(data),
        ...common,
      }),
    ),
  ]);
  return zstdCompressSync(await read(layoutCpio(tree)), { params: { [constants.ZSTD_c_compressionLevel]: 9 } });
}

function ballast(): Uint8Array {
  const block = Buffer.alloc(8);
  const pieces: Buffer[] = [];
  for (let index = 0; index < BALLAST_SIZE / 64; index++) {
    block.writeBigUInt64BE(BigInt(index));
    pieces.push(createHash('sha512').update('ballast').update(block).digest());
  }
  return Buffer.concat(pieces);
}
