/** Our partition tables and FAT volumes before firmware: systemd-boot starts kernel and initramfs from them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loaderPath } from '../../src/boot/esp.ts';
import { loaderConf } from '../../src/boot/loader-conf.ts';
import { type Bytes, ofMemory, ofSource, place } from '../../src/bytes/bytes.ts';
import { MIB } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { layoutFat32 } from '../../src/formats/fat/layout.ts';
import { allocatePartitions, diskGeometry } from '../../src/formats/gpt/allocate.ts';
import { guidOfLabel, PARTITION_TYPE } from '../../src/formats/gpt/guid.ts';
import { layoutGpt } from '../../src/formats/gpt/layout.ts';
import { encodeProtectiveMbr } from '../../src/formats/mbr/mbr.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { demoFiles, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { bootInQemu, type Firmware, type Medium, skipWithoutQemu } from '../support/qemu.ts';

const DISK_SIZE = 300 * MIB;
const ESP_SIZE = 296 * MIB;

interface Case {
  readonly firmware: Firmware;
  readonly architecture: 'amd64' | 'arm64';
  readonly kind: Exclude<Medium['kind'], 'kernel' | 'cd' | 'network'>;
  readonly sectorSize?: number;
  readonly at?: 'end';
}

const CASES: readonly Case[] = [
  { firmware: 'ovmf', architecture: 'amd64', kind: 'disk' },
  { firmware: 'ovmf', architecture: 'amd64', kind: 'nvme', sectorSize: 4096 },
  { firmware: 'ovmf', architecture: 'amd64', kind: 'usb', at: 'end' },
  { firmware: 'ovmf-secureboot', architecture: 'amd64', kind: 'virtio' },
  { firmware: 'aavmf', architecture: 'arm64', kind: 'disk' },
];

const skip = skipWithoutDemoAssets() || skipWithoutQemu(...new Set(CASES.map(({ firmware }) => firmware)));

for (const { firmware, architecture, kind, sectorSize = 512, at = 'next' } of CASES) {
  test(`${firmware}, ${kind}, ${sectorSize}-byte sectors, large files ${at}`, { skip }, async (t) => {
    const platform = nodePlatform();
    t.after(() => platform.close());
    const console = architecture === 'amd64' ? 'ttyS0' : 'ttyAMA0';
    const options = `console=${console} talos.platform=metal`;
    const esp = await espOf(platform, architecture, options, sectorSize, at);
    const image = await diskOf(platform, t, esp, sectorSize);
    const { report, seconds } = await bootInQemu({ firmware, medium: { kind, image, sectorSize } });
    t.diagnostic(`${seconds} s`);
    assert.equal(report.firmware, 'uefi');
    assert.match(report.cmdline, new RegExp(`${options}$`));
    assert.deepEqual(report.files, { sound: 4, total: 4 });
    assert.match(report.variables.LoaderInfo!, /^systemd-boot /);
    if (firmware === 'ovmf-secureboot') assert.equal(report.variables.SetupMode, '1');
  });
}

/** A partition as systemd-boot wants it, with one entry of its oldest kind: files of their own and a line of options. */
async function espOf(
  platform: Platform,
  architecture: 'amd64' | 'arm64',
  options: string,
  sectorSize: number,
  at: 'next' | 'end',
): Promise<Bytes> {
  const { vmlinuz, initramfs } = await demoFiles(architecture);
  const file = async (path: string): Promise<Bytes> => ofSource(await platform.files.source(path));
  const tree = treeOfLiterals({
    [loaderPath('disk', architecture)]: await file(join(dirname(vmlinuz), 'systemd-boot.efi')),
    'loader/loader.conf': loaderConf('disk', 'off'),
    'loader/entries/demo.conf': `title Demo\nlinux /Demo-v1.13.0/vmlinuz\ninitrd /Demo-v1.13.0/initramfs.xz\noptions ${options}\n`,
    'Demo-v1.13.0/vmlinuz': await file(vmlinuz),
    'Demo-v1.13.0/initramfs.xz': await file(initramfs),
  });
  const largeFiles = { from: 65536, alignment: 65536, base: MIB, at };
  return layoutFat32(tree, ESP_SIZE, { sectorSize, largeFiles }).bytes;
}

async function diskOf(platform: Platform, t: TestContext, esp: Bytes, sectorSize: number): Promise<string> {
  const geometry = diskGeometry(DISK_SIZE, { sectorSize });
  const wanted = { type: PARTITION_TYPE.efiSystem, guid: guidOfLabel('EFI'), name: 'EFI', size: esp.size };
  const partitions = allocatePartitions([wanted], geometry);
  const disk = place(DISK_SIZE, [
    { at: 0, bytes: ofMemory(encodeProtectiveMbr(geometry.lastLba)) },
    ...layoutGpt(DISK_SIZE, guidOfLabel('disk'), partitions, geometry),
    { at: partitions[0]!.firstLba * sectorSize, bytes: esp },
  ]);
  const directory = mkdtempSync(join(tmpdir(), 'bootwright-esp-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'disk.raw');
  await writeToFile(platform.files, path, disk);
  return path;
}
