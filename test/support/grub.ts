/** GRUB as installed here: the module files, and grub-mkimage as their judge. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { GrubPlatform } from '../../src/boot/grub-modules.ts';
import { decodeDecompressorSizes } from '../../src/formats/grub/decompressor.ts';
import { decodeLzma } from '../../src/formats/lzma/decode.ts';
import { type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { skipWithout } from './tools.ts';

/** Each like `/usr/lib/grub`: more of them, for other releases of GRUB, can be named in `GRUB_DIRECTORIES`. */
const DIRECTORIES: readonly string[] = [
  '/usr/lib/grub',
  ...(process.env.GRUB_DIRECTORIES ?? '').split(delimiter).filter((path) => path !== ''),
];

/** The directories of one platform that are here. */
export function grubDirectories(platform: GrubPlatform): string[] {
  return DIRECTORIES.map((path) => join(path, platform)).filter((path) => existsSync(join(path, 'moddep.lst')));
}

/** A `skip` option: also for missing modules of `platform`, which fail where `CI` is set. */
export function skipWithoutGrub(platform: GrubPlatform, ...programs: readonly string[]): string | false {
  const missing = skipWithout(...programs);
  if (missing !== false || grubDirectories(platform).length > 0) return missing;
  const reason = `needs the GRUB modules of ${platform} in /usr/lib/grub or GRUB_DIRECTORIES`;
  if ((process.env.CI ?? '') !== '') throw new Error(`${reason}: install them, tests are not skipped in CI`);
  return reason;
}

/** The directory as a tree with its contents in memory. */
export function grubTree(directory: string): Tree {
  const names = readdirSync(directory).filter((name) => statSync(join(directory, name)).isFile());
  return treeOfLiterals(
    Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(join(directory, name)))])),
  );
}

export interface MakeImage {
  readonly directory: string;
  readonly format: string;
  readonly prefix: string;
  readonly modules: readonly string[];
  readonly config?: string;
  readonly memdisk?: Uint8Array;
  readonly compression?: string;
}

/** What grub-mkimage makes of it. */
export function grubMakeImage(request: MakeImage): Buffer {
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-grub-'));
  try {
    const output = join(scratch, 'image');
    const options = ['-d', request.directory, '-O', request.format, '-o', output];
    if (request.compression !== undefined) options.push('-C', request.compression);
    if (request.config !== undefined) {
      writeFileSync(join(scratch, 'config'), request.config);
      options.push('-c', join(scratch, 'config'));
    }
    if (request.memdisk !== undefined) {
      writeFileSync(join(scratch, 'memdisk'), request.memdisk);
      options.push('-m', join(scratch, 'memdisk'));
    }
    execFileSync('grub-mkimage', [...options, '-p', request.prefix, ...request.modules], { stdio: 'pipe' });
    return readFileSync(output);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

export interface BiosCore {
  /** `cdboot.img`, or nothing. */
  readonly cdBoot: Buffer;
  readonly diskBoot: Buffer;
  readonly decompressor: Buffer;
  /** The LZMA stream. */
  readonly packed: Buffer;
  readonly unpacked: Uint8Array;
}

/** A core image taken apart; `cd` says whether it begins with `cdboot.img`. */
export function splitBiosCore(image: Uint8Array, options: { readonly cd: boolean }): BiosCore {
  const whole = Buffer.from(image);
  const start = options.cd ? 2048 : 0;
  const core = whole.subarray(start + 512);
  const sizes = decodeDecompressorSizes(core);
  const at = core.length - sizes.compressed;
  return {
    cdBoot: whole.subarray(0, start),
    diskBoot: whole.subarray(start, start + 512),
    decompressor: core.subarray(0, at),
    packed: core.subarray(at),
    unpacked: decodeLzma(core.subarray(at), sizes.uncompressed),
  };
}

/** The decompressor without the field that holds the size of the compressed stream. */
export function withoutCompressedSize(decompressor: Uint8Array): Buffer {
  const copy = Buffer.from(decompressor);
  copy.writeUInt32LE(0, 8);
  return copy;
}
