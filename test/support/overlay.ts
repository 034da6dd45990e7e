/** Overlay images for tests, and a machine on which their installers are functions: for what does not hang on a real program. */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { read } from '../../src/bytes/read.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import type { Platform, ProcessRequest } from '../../src/platform/types.ts';
import { parseOverlayOptions } from '../../src/profiles/parse.ts';
import { type Literal, type Tree, treeOfLiterals, withAttributes } from '../../src/tree/tree.ts';
import { emitYaml } from '../../src/yaml/emit.ts';
import type { YamlValue } from '../../src/yaml/value.ts';

/** With everything executable. */
export function overlayTree(files: Readonly<Record<string, Literal>>): Tree {
  return withAttributes(treeOfLiterals(files), ({ kind }) => ({ mode: kind === 'symlink' ? 0o777 : 0o755 }));
}

/** Writes the tarball of an overlay image and returns its path. */
export async function writeOverlay(directory: string, files: Readonly<Record<string, Literal>>): Promise<string> {
  const path = join(directory, 'overlay.tar');
  await writeFile(path, await read(layoutTar(overlayTree(files))));
  return path;
}

export interface InstallerCall {
  readonly command: string;
  readonly stdin: string;
  readonly environment: ProcessRequest['environment'];
}

/** The machine without bubblewrap, with `installer` in place of the programs it would start. */
export function withInstaller(
  platform: Platform,
  installer: (call: InstallerCall) => Promise<string>,
): { readonly platform: Platform; readonly calls: InstallerCall[] } {
  const calls: InstallerCall[] = [];
  const run: Platform['run'] = async ({ args, stdin, environment }) => {
    const call = { command: args[0]!, stdin: new TextDecoder().decode(stdin), environment };
    calls.push(call);
    const stdout = new TextEncoder().encode(await installer(call));
    return { exitCode: 0, stdout, stderr: new Uint8Array(0) };
  };
  return { platform: { ...platform, run, environment: { ...platform.environment, PATH: '/nonexistent' } }, calls };
}

/**
 * As the small installer of the recorded runs: `args` and `offset` are its answer; `write` puts `config.txt` into the EFI partition, `raw` a loader at byte 32768 of
 * the disk.
 */
export async function tinyInstaller({ command, stdin }: InstallerCall): Promise<string> {
  const fields = parseOverlayOptions(stdin, 'standard input') as Readonly<Record<string, YamlValue>>;
  if (command === 'get-options') {
    const { args, offset } = fields;
    return emitYaml({
      name: 'tiny',
      ...(args === undefined ? {} : { kernelArgs: args }),
      ...(offset === undefined ? {} : { partitionOptions: { offset } }),
    });
  }
  const { write, raw } = (fields.extraOptions ?? {}) as Readonly<Record<string, YamlValue>>;
  if (write === true) await put(join(String(fields.mountPrefix), 'boot/EFI/config.txt'), 'tiny\n');
  if (raw === true) await writeAt(String(fields.installDisk), 32768, 'TINY LOADER');
  return '';
}

/** A file, with its directories. */
export async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Into a file that is there. */
export async function writeAt(path: string, position: number, text: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(text, position);
  await file.close();
}
