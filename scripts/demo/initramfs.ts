/** The initramfs of the demonstration system: busybox, the first process, ballast, and a list of what is in it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { constants, zstdCompressSync } from 'node:zlib';

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
  const entries: Entry[] = [
    ...['bin', 'demo', 'dev', 'lib', 'lib/modules', 'proc', 'sys', 'tmp'].map((path) => ({ path, mode: 0o040755 })),
    ...APPLETS.map((name) => ({ path: `bin/${name}`, mode: 0o120777, data: Buffer.from('busybox') })),
    // Before devtmpfs is mounted the kernel opens this one for the first process.
    { path: 'dev/console', mode: 0o020600, device: [5, 1] },
    ...Object.entries(files).map(([path, data]) => ({ path, mode: path.endsWith('.xz') ? 0o100644 : 0o100755, data })),
    { path: 'demo/SHA256SUMS', mode: 0o100644, data: Buffer.from(sums) },
  ];
  const archive = newcArchive(entries.sort((a, b) => (a.path < b.path ? -1 : 1)));
  return zstdCompressSync(archive, { params: { [constants.ZSTD_c_compressionLevel]: 9 } });
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

interface Entry {
  readonly path: string;
  /** With the type bits of `stat`. */
  readonly mode: number;
  readonly data?: Uint8Array;
  readonly device?: readonly [major: number, minor: number];
}

/** A cpio archive in the `newc` format, all owned by root, at the epoch. */
function newcArchive(entries: readonly Entry[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  let inode = 0;
  for (const { path, mode, data = new Uint8Array(), device = [0, 0] } of [
    ...entries,
    { path: 'TRAILER!!!', mode: 0 } as Entry,
  ]) {
    inode++;
    const name = Buffer.from(`${path}\0`);
    const links = (mode & 0o170000) === 0o040000 ? 2 : 1;
    const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, ...device, name.length, 0];
    const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
    pieces.push(padded(Buffer.concat([header, name])), padded(data));
  }
  return Buffer.concat(pieces);
}

function padded(data: Uint8Array): Uint8Array {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}
