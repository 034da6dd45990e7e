/** Our core images started by real firmware, up to the menu file that the prefix leads to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { composeDiskCore, composeElToritoImage } from '../../src/boot/grub-image.ts';
import { ofMemory, patch, place } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { lba } from '../../src/bytes/units.ts';
import { diskBootPatches, diskCorePatches } from '../../src/formats/grub/boot-patches.ts';
import { parseModuleDependencies, resolveModules } from '../../src/formats/grub/module-dependencies.ts';
import { grubDirectories, grubTree, skipWithoutGrub } from '../support/grub.ts';
import { bootSerial } from '../support/qemu.ts';

/** Tells over the serial port what GRUB knows of itself, then restarts, which ends the emulation. */
const MENU = [
  'serial --unit=0 --speed=115200',
  'terminal_output serial',
  'echo "reached platform=$grub_platform cpu=$grub_cpu root=$root prefix=$prefix"',
  'reboot',
  '',
].join('\n');

const MINUTE = 60_000;

describe('i386-pc', {
  skip: skipWithoutGrub('i386-pc', 'qemu-system-x86_64', 'xorriso', 'sgdisk', 'mkfs.vfat', 'mcopy'),
}, () => {
  for (const directory of grubDirectories('i386-pc')) {
    test(`the El Torito image starts from CD and from disk, ${directory}`, async (t) => {
      const iso = await bootableIso(scratch(t), directory);
      const fromCd = await boot(['-drive', `file=${iso},format=raw,if=ide,media=cdrom,readonly=on`]);
      assert.match(fromCd, /reached platform=pc cpu=i386 root=(cd0|hd96) prefix=\((cd0|hd96)\)\/boot\/grub\s/);
      const fromDisk = await boot(['-drive', `file=${iso},format=raw,if=ide,snapshot=on`]);
      assert.match(fromDisk, /reached platform=pc cpu=i386 root=hd0\S* prefix=\(hd0\S*\)\/boot\/grub/);
    });

    test(`the core of a disk starts from its BIOS partition, ${directory}`, async (t) => {
      const disk = await bootableDisk(scratch(t), directory);
      const text = await boot(['-drive', `file=${disk},format=raw,if=ide`]);
      assert.match(text, /reached platform=pc cpu=i386 root=hd0,gpt3 prefix=\(hd0,gpt3\)\/grub/);
    });
  }
});

function boot(drive: readonly string[]): Promise<string> {
  return bootSerial({ program: 'qemu-system-x86_64', args: drive, timeout: MINUTE });
}

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bootwright-boot-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** An ISO of GRUB's files, our El Torito image and the menu. xorriso writes the patches that `elToritoPatches` describes. */
async function bootableIso(directory: string, modules: string): Promise<string> {
  const root = join(directory, 'root');
  const platform = join(root, 'boot/grub/i386-pc');
  mkdirSync(platform, { recursive: true });
  execFileSync('sh', ['-c', 'cp "$1"/*.mod "$1"/*.lst "$2"', 'sh', modules, platform]);
  writeFileSync(join(root, 'boot/grub/grub.cfg'), MENU);
  writeFileSync(join(platform, 'eltorito.img'), await composeElToritoImage(grubTree(modules)));
  const iso = join(directory, 'x.iso');
  const boot = '-b boot/grub/i386-pc/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info';
  const options = ['-as', 'mkisofs', '-quiet', '-r', '-o', iso, ...boot.split(' ')];
  const mbr = ['--grub2-mbr', join(modules, 'boot_hybrid.img'), '--protective-msdos-label'];
  execFileSync('xorriso', [...options, ...mbr, root], { stdio: 'pipe' });
  return iso;
}

/** A disk with boot sector, core and, as third partition, a file system with the menu and the modules it needs. */
async function bootableDisk(directory: string, modules: string): Promise<string> {
  const disk = join(directory, 'disk.img');
  const [bios, files, sectors] = [lba(2048), 6144, 51200];
  const fat = join(directory, 'fat.img');
  const dependencies = parseModuleDependencies(readFileSync(join(modules, 'moddep.lst'), 'latin1'));
  fatImage(fat, 20, {
    'grub/grub.cfg': Buffer.from(MENU),
    ...Object.fromEntries(
      resolveModules(dependencies, ['serial', 'terminal']).map((name) => [
        `grub/i386-pc/${name}.mod`,
        readFileSync(join(modules, `${name}.mod`)),
      ]),
    ),
    'grub/i386-pc/command.lst': readFileSync(join(modules, 'command.lst')),
    'grub/i386-pc/moddep.lst': readFileSync(join(modules, 'moddep.lst')),
  });
  const core = await composeDiskCore(grubTree(modules));
  const sector = ofMemory(readFileSync(join(modules, 'boot.img')).subarray(0, 446));
  const image = place(sectors * 512, [
    { at: 0, bytes: patch(sector, diskBootPatches(bios)) },
    { at: bios * 512, bytes: patch(ofMemory(core), diskCorePatches(bios)) },
    { at: files * 512, bytes: ofMemory(readFileSync(fat)) },
  ]);
  writeFileSync(disk, await read(image));
  const partitions = [`-n1:4096:6143`, `-n2:${bios}:4095`, '-t2:ef02', `-n3:${files}:+20M`];
  execFileSync('sgdisk', ['-a1', ...partitions, disk], {
    stdio: 'pipe',
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  return disk;
}

/** A FAT file system of `size` MiB with these files. */
function fatImage(path: string, size: number, files: Readonly<Record<string, Uint8Array>>): void {
  const env = { ...process.env, MTOOLS_SKIP_CHECK: '1', PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  writeFileSync(path, new Uint8Array(size << 20));
  execFileSync('mkfs.vfat', [path], { stdio: 'pipe', env });
  const made = new Set<string>();
  for (const [name, data] of Object.entries(files)) {
    const parts = dirname(name).split('/');
    for (let depth = 1; depth <= parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/');
      if (!made.has(parent)) execFileSync('mmd', ['-i', path, `::/${parent}`], { stdio: 'pipe', env });
      made.add(parent);
    }
    execFileSync('mcopy', ['-i', path, '-', `::/${name}`], { input: data, stdio: ['pipe', 'pipe', 'pipe'], env });
  }
}
