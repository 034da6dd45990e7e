/** Our core images started by real firmware, up to the menu file that the prefix leads to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  composeDiskCore,
  composeElToritoImage,
  composeIsoEfiCore,
  isoIdentifier,
  isoMarker,
} from '../../src/boot/grub-image.ts';
import type { EfiPlatform } from '../../src/boot/grub-modules.ts';
import { ofMemory, type Placement, patch, place } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { lba } from '../../src/bytes/units.ts';
import { diskBootPatches, diskCorePatches } from '../../src/formats/grub/boot-patches.ts';
import { parseModuleDependencies, resolveModules } from '../../src/formats/grub/module-dependencies.ts';
import { grubDirectories, grubTree, skipWithoutGrub } from '../support/grub.ts';
import { bootSerial } from '../support/qemu.ts';

/**
 * Tells over the serial port what GRUB knows of itself, then restarts, which ends the emulation. UEFI's own console is the
 * serial port where the machine has no screen.
 */
const MENU = [
  'if [ "$grub_platform" = pc ]; then serial --unit=0 --speed=115200; terminal_output serial; fi',
  'echo "reached platform=$grub_platform cpu=$grub_cpu root=$root prefix=$prefix"',
  'reboot',
  '',
].join('\n');

const MINUTE = 60_000;
const TOOLS = ['xorriso', 'sgdisk', 'mkfs.vfat', 'mcopy', 'mmd'] as const;
const ENVIRONMENT = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const PROGRAMS = { 'x86_64-efi': 'BOOTX64.EFI', 'arm64-efi': 'BOOTAA64.EFI' } as const satisfies Record<
  EfiPlatform,
  string
>;

describe('i386-pc', {
  skip: skipWithoutGrub('i386-pc', 'qemu-system-x86_64', ...TOOLS),
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

/** Machines with UEFI; the firmware is where Debian and Ubuntu install it (`ovmf`, `qemu-efi-aarch64`). */
const EFI = [
  {
    platform: 'x86_64-efi',
    program: 'qemu-system-x86_64',
    machine: ['-machine', 'q35'],
    firmware: '/usr/share/ovmf/OVMF.fd',
  },
  {
    platform: 'arm64-efi',
    program: 'qemu-system-aarch64',
    machine: ['-machine', 'virt', '-cpu', 'cortex-a72'],
    firmware: '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd',
  },
] as const;

for (const { platform, program, machine, firmware } of EFI) {
  const skip = skipWithoutGrub(platform, program, ...TOOLS) || skipWithoutFile(firmware);
  describe(platform, { skip }, () => {
    const start = (disk: string): Promise<string> => {
      const drive = ['-drive', `file=${disk},format=raw,if=none,id=disk`, '-device', 'virtio-blk-pci,drive=disk'];
      return bootSerial({ program, args: [...machine, '-bios', firmware, ...drive], timeout: 3 * MINUTE });
    };

    for (const modules of grubDirectories(platform)) {
      test(`the core of an ISO starts from any file system, ${modules}`, async (t) => {
        const identifier = isoIdentifier(1559424892);
        const disk = fatImage(join(scratch(t), 'fat.img'), 20, {
          [`EFI/BOOT/${PROGRAMS[platform]}`]: await composeIsoEfiCore(grubTree(modules), platform, identifier),
          [isoMarker(identifier)]: new Uint8Array(0),
          ...menuFiles(modules, 'boot/grub'),
        });
        assert.match(await start(disk), /reached platform=efi cpu=\w+ root=hd0 prefix=\(hd0\)\/boot\/grub\s/);
      });

      test(`the core of a disk starts, ${modules}`, async (t) => {
        const disk = await bootableEfiDisk(scratch(t), modules, platform);
        assert.match(await start(disk), /reached platform=efi cpu=\w+ root=hd0,gpt3 prefix=\(hd0,gpt3\)\/grub\s/);
      });
    }
  });
}

function skipWithoutFile(path: string): string | false {
  if (existsSync(path)) return false;
  if ((process.env.CI ?? '') !== '') throw new Error(`needs ${path}: install it, tests are not skipped in CI`);
  return `needs ${path}`;
}

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

/** The menu and the modules that it needs, for a file system with GRUB's files in `directory`. */
function menuFiles(modules: string, directory: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = { [`${directory}/grub.cfg`]: Buffer.from(MENU) };
  const dependencies = parseModuleDependencies(readFileSync(join(modules, 'moddep.lst'), 'latin1'));
  const wanted = ['normal', 'echo', 'test', 'reboot', 'serial', 'terminal'];
  const names = resolveModules(dependencies, wanted).map((name) => `${name}.mod`);
  for (const name of [...names, 'command.lst', 'moddep.lst', 'terminal.lst', 'fs.lst', 'crypto.lst']) {
    files[`${directory}/${basename(modules)}/${name}`] = readFileSync(join(modules, name));
  }
  return files;
}

/** A disk with boot sector, core and, as third partition, a file system with the menu. */
async function bootableDisk(directory: string, modules: string): Promise<string> {
  const fat = fatImage(join(directory, 'fat.img'), 20, menuFiles(modules, 'grub'));
  const core = await composeDiskCore(grubTree(modules), 'i386-pc');
  const sector = ofMemory(readFileSync(join(modules, 'boot.img')).subarray(0, 446));
  const bios = lba(2048);
  return partitioned(join(directory, 'disk.img'), [
    { at: 0, bytes: patch(sector, diskBootPatches(bios)) },
    { at: bios * 512, bytes: patch(ofMemory(core), diskCorePatches(bios)) },
    { at: THIRD * 512, bytes: ofMemory(readFileSync(fat)) },
  ]);
}

/** A disk whose first partition has the EFI core and whose third has the menu. */
async function bootableEfiDisk(directory: string, modules: string, platform: EfiPlatform): Promise<string> {
  const core = await composeDiskCore(grubTree(modules), platform);
  const esp = fatImage(join(directory, 'esp.img'), 3, { [`EFI/BOOT/${PROGRAMS[platform]}`]: core });
  const fat = fatImage(join(directory, 'fat.img'), 20, menuFiles(modules, 'grub'));
  return partitioned(join(directory, 'disk.img'), [
    { at: FIRST * 512, bytes: ofMemory(readFileSync(esp)) },
    { at: THIRD * 512, bytes: ofMemory(readFileSync(fat)) },
  ]);
}

/** Sectors: partitions of 3 MiB, 1 MiB and 20 MiB, the one of 1 MiB before the others. */
const [FIRST, THIRD, SECTORS] = [4096, 10240, 53248];

async function partitioned(disk: string, content: readonly Placement[]): Promise<string> {
  writeFileSync(disk, await read(place(SECTORS * 512, content)));
  const first = [`-n1:${FIRST}:${THIRD - 1}`, '-t1:ef00'];
  const others = [`-n2:2048:${FIRST - 1}`, '-t2:ef02', `-n3:${THIRD}:+20M`];
  execFileSync('sgdisk', [...first, ...others, disk], { stdio: 'pipe', env: ENVIRONMENT });
  return disk;
}

/** A FAT file system of `size` MiB with these files. */
function fatImage(path: string, size: number, files: Readonly<Record<string, Uint8Array>>): string {
  const env = ENVIRONMENT;
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
  return path;
}
