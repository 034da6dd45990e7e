/** sgdisk, partx, dosfstools, mtools, xfsprogs and GRUB judge whole disk images, with the GRUB that is installed here. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { composeDiskCore } from '../../src/boot/grub-image.ts';
import { readGrubFile } from '../../src/boot/grub-modules.ts';
import { type Bytes, slice } from '../../src/bytes/bytes.ts';
import { digest, read } from '../../src/bytes/read.ts';
import type { DiskBootloader } from '../../src/disk/bootloader.ts';
import { buildDisk } from '../../src/disk/build.ts';
import type { DiskImageOptions, DiskParts, InstalledKernel, SystemdBoot } from '../../src/disk/parts.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { CMDLINE, EPOCH, initramfs, kernel, loader, testUki } from '../support/boot-parts.ts';
import { stream } from '../support/bytes.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { grubDirectories, grubTree, skipWithoutGrub } from '../support/grub.ts';
import { imageFiles } from '../support/image-files.ts';
import { run, skipWithout } from '../support/tools.ts';
import { complaintsOf, xfsPrograms } from '../support/xfs-programs.ts';

const skip = skipWithout('sgdisk', 'partx', 'fsck.fat', 'mcopy', 'mdir');
const skipGrub = skip || skipWithoutGrub('i386-pc') || skipWithoutGrub('x86_64-efi') || skipWithoutDebianPrograms();
const programs = skipGrub === false ? await xfsPrograms() : undefined!;
const { platform, directory, written } = imageFiles();

const INSTALLED: InstalledKernel = { kernel, initramfs, cmdline: CMDLINE };

function systemd(version: string): SystemdBoot {
  return { loader, uki: testUki(traitsOf(version)).bytes };
}

async function partsOf(bootloader: DiskBootloader, version: string): Promise<DiskParts> {
  if (bootloader === 'sd-boot') return { bootloader, systemd: systemd(version) };
  const files = grubTree(grubDirectories('i386-pc')[0]!);
  const bios = { bootImage: await readGrubFile(files, 'boot.img'), core: await composeDiskCore(files, 'i386-pc') };
  if (bootloader === 'dual-boot') return { bootloader, ...INSTALLED, bios, systemd: systemd(version) };
  const efiCore = await composeDiskCore(grubTree(grubDirectories('x86_64-efi')[0]!), 'x86_64-efi');
  return { bootloader, ...INSTALLED, bios, efiCore };
}

interface DiskCase {
  readonly bootloader: DiskBootloader;
  readonly version: string;
  readonly sectorSize: number;
  readonly size: number;
  /** As partx says it, in units of 512 bytes. */
  readonly table: readonly string[];
}

const MIB = 2 ** 20;
const SECTORS = 2048;
const EFI = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const BIOS = '21686148-6449-6e6f-744e-656564454649';
const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';

function row(index: number, start: number, size: number, name: string, type: string, flags = '0x0'): string {
  return [index, start * SECTORS, size * SECTORS, name, type, flags].join(' ');
}

const DUAL_BOOT = [
  row(1, 1, 2101, 'EFI', EFI),
  row(2, 2102, 1, 'BIOS', BIOS, '0x4'),
  row(3, 2103, 2000, 'BOOT', LINUX),
  row(4, 4103, 1, 'META', LINUX),
];
const SD_BOOT = [row(1, 1, 2101, 'EFI', EFI), row(2, 2102, 1, 'META', LINUX)];
const OLD_SD_BOOT = [row(1, 1, 1101, 'EFI', EFI), row(2, 1102, 1, 'META', LINUX)];
const GRUB = [
  row(1, 1, 100, 'EFI', EFI),
  row(2, 101, 1, 'BIOS', BIOS, '0x4'),
  row(3, 102, 1000, 'BOOT', LINUX),
  row(4, 1102, 1, 'META', LINUX),
];
const WITH_DATA = [...GRUB, row(5, 1103, 100, 'STATE', LINUX), row(6, 1203, 42, 'EPHEMERAL', LINUX)];

const CASES: readonly DiskCase[] = [
  { bootloader: 'sd-boot', version: 'v1.13.0', sectorSize: 512, size: 2246 * MIB, table: SD_BOOT },
  { bootloader: 'sd-boot', version: 'v1.13.0', sectorSize: 4096, size: 2246 * MIB, table: SD_BOOT },
  { bootloader: 'sd-boot', version: 'v1.10.0', sectorSize: 512, size: 1307574271, table: OLD_SD_BOOT },
  { bootloader: 'sd-boot', version: 'v1.10.0', sectorSize: 4096, size: 1246 * MIB, table: OLD_SD_BOOT },
  { bootloader: 'dual-boot', version: 'v1.12.0', sectorSize: 512, size: 4247 * MIB, table: DUAL_BOOT },
  { bootloader: 'dual-boot', version: 'v1.12.0', sectorSize: 4096, size: 4247 * MIB, table: DUAL_BOOT },
  { bootloader: 'grub', version: 'v1.9.0', sectorSize: 512, size: 1246 * MIB, table: GRUB },
  { bootloader: 'grub', version: 'v1.7.0', sectorSize: 512, size: 1246 * MIB, table: WITH_DATA },
];

async function diskOf({ bootloader, version, sectorSize, size }: DiskCase): Promise<Bytes> {
  const options: DiskImageOptions = {
    version,
    architecture: 'amd64',
    traits: traitsOf(version),
    epoch: EPOCH,
    meta: [{ key: 12, value: 'x' }],
    size,
    sectorSize,
  };
  return buildDisk(await partsOf(bootloader, version), options);
}

async function writtenPartition(disk: Bytes, name: string, sectorSize: number): Promise<string> {
  const gpt = await decodeGpt(disk, sectorSize);
  const partition = [...gpt.partitions.values()].find((one) => one.name === name)!;
  const { offset, size } = partitionRange(gpt, partition);
  return written(slice(disk, offset, offset + size));
}

describe('disk images', () => {
  for (const one of CASES) {
    const { bootloader, version, sectorSize, table } = one;
    test(`${bootloader} ${version}, sectors of ${sectorSize}`, {
      skip: bootloader === 'sd-boot' ? skip : skipGrub,
    }, async () => {
      const disk = await diskOf(one);
      const image = await written(disk);
      try {
        assert.ok(statSync(image).blocks * 512 < 64 * MIB, 'zeros are holes');
        const columns = 'NR,START,SECTORS,NAME,TYPE,FLAGS';
        const rows = run('partx', '-S', String(sectorSize), '-g', '-o', columns, '--show', image);
        assert.deepEqual(
          rows
            .trimEnd()
            .split('\n')
            .map((line) => line.trim().replace(/ +/g, ' ')),
          table,
        );
        // sgdisk takes a file for a disk with sectors of 512 bytes.
        if (sectorSize === 512) assert.match(run('sgdisk', '-v', image), /No problems found/);
        await assertEfi(await writtenPartition(disk, 'EFI', sectorSize), bootloader, version);
        if (bootloader === 'sd-boot') return;
        assert.deepEqual(complaintsOf(programs, await writtenPartition(disk, 'BOOT', sectorSize)), []);
        if (sectorSize === 512) assertGrubReads(image);
      } finally {
        rmSync(image);
      }
    });
  }
});

async function assertEfi(image: string, bootloader: DiskBootloader, version: string): Promise<void> {
  run('fsck.fat', '-n', image);
  const listed = run('mdir', '-/', '-b', '-i', image, '::')
    .split('\n')
    .filter((line) => line !== '');
  const own = ['::/EFI/Linux/', `::/EFI/Linux/Talos-${version}.efi`, '::/loader/', '::/loader/loader.conf'];
  const common = ['::/EFI/', '::/EFI/boot/', '::/EFI/boot/BOOTX64.efi'];
  assert.deepEqual(listed.sort(), [...common, ...(bootloader === 'grub' ? [] : own)].sort());
  if (bootloader === 'grub') return;
  run('mcopy', '-n', '-i', image, `::/EFI/Linux/Talos-${version}.efi`, '::/EFI/boot/BOOTX64.efi', directory);
  assert.ok(readFileSync(join(directory, `Talos-${version}.efi`)).equals(await read(systemd(version).uki)));
  assert.ok(readFileSync(join(directory, 'BOOTX64.efi')).equals(await read(loader)));
  for (const name of [`Talos-${version}.efi`, 'BOOTX64.efi']) rmSync(join(directory, name));
}

/** From the table on as the core image of a disk does: partition, file system, files. */
function assertGrubReads(image: string): void {
  const grub = (...args: readonly string[]): string => {
    const { code, text } = programs.run('grub-fstest', image, ...args);
    assert.equal(code, 0, text);
    return text;
  };
  const local = join(directory, 'content');
  for (const [path, content] of [
    ['A/vmlinuz', stream('kernel', 1_500_001)],
    ['A/initramfs.xz', stream('initramfs', 3_000_003)],
  ] as const) {
    writeFileSync(local, content);
    assert.equal(grub('cmp', `(loop0,gpt3)/${path}`, local), '', path);
  }
  assert.match(grub('cat', '(loop0,gpt3)/grub/grub.cfg'), /\n {2}linux \/A\/vmlinuz console=ttyS0 a=\\\{b\\\}\n/);
}

test('two builds give the same bytes', { skip: skipGrub }, async () => {
  const digestOf = async (one: DiskCase): Promise<string> =>
    Buffer.from(await digest(slice(await diskOf(one), 0, 200 * MIB), platform.hash('sha256'))).toString('hex');
  const grub = CASES.find(({ bootloader }) => bootloader === 'grub')!;
  assert.equal(await digestOf(grub), await digestOf(grub));
});
