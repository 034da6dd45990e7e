/** The GRUB files of one platform, as the imager image has them below `/usr/lib/grub/<platform>`. */
import type { Bytes } from '../bytes/bytes.ts';
import { readText, toMemory } from '../bytes/read.ts';
import { MIB } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { parseModuleDependencies, resolveModules } from '../formats/grub/module-dependencies.ts';
import { fileAt, type Tree } from '../tree/tree.ts';

/** In GRUB's own spelling, which is also the directory's name. */
export type GrubPlatform = 'i386-pc' | EfiPlatform;
export type EfiPlatform = 'x86_64-efi' | 'arm64-efi';

/** The largest file of any platform is the arm64 kernel, about 0.2 MiB. */
const MAX_FILE: number = 4 * MIB;
const MAX_LIST: number = MIB;

/** A file that must be there, as memory. Throws `invalid-input` when it is missing or larger than any of GRUB's. */
export async function readGrubFile(files: Tree, name: string): Promise<Uint8Array> {
  return toMemory(grubFile(files, name), MAX_FILE, `GRUB file ${name}`);
}

function grubFile(files: Tree, name: string): Bytes {
  const content = fileAt(files, name);
  if (content !== undefined) return content;
  throw invalid(`GRUB file ${name}: not in the platform directory`, {
    hint: 'the imager image has all of them below /usr/lib/grub/<platform>',
  });
}

/** `wanted` and all they need, as files in the order they are to be loaded. Throws `invalid-input`. */
export async function readGrubModules(files: Tree, wanted: readonly string[]): Promise<Uint8Array[]> {
  const list = await readText(grubFile(files, 'moddep.lst'), 'GRUB file moddep.lst', MAX_LIST);
  const dependencies = parseModuleDependencies(list);
  return Promise.all(resolveModules(dependencies, wanted).map((name) => readGrubFile(files, `${name}.mod`)));
}

/** Commands that load every partition map GRUB knows: without them it finds no partition. Nothing when there is no list. */
export async function insertPartitionMaps(files: Tree): Promise<string> {
  const list = fileAt(files, 'partmap.lst');
  if (list === undefined) return '';
  const lines = (await readText(list, 'GRUB file partmap.lst', MAX_LIST)).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => `insmod ${line.replace(/(?<!\r)\r+$/, '')}\n`).join('');
}
