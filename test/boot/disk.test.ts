/** Disk images made by the command line, started by every firmware they are for: the guest tells what it was given and finds META on its disk. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decodeMetaPartition } from '../../src/meta/partition.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { startImager } from '../support/imager-process.ts';
import { bootInQemu, type DiskImageFormat, type Firmware, skipWithoutQemu } from '../support/qemu.ts';

const NETWORK = fileURLToPath(new URL('../../examples/network.yaml', import.meta.url));
const MIB = 2 ** 20;

interface DiskCase {
  readonly name: string;
  readonly profile: GivenProfile;
  readonly firmwares: readonly Firmware[];
  /** In MiB, as the kernel sees them. */
  readonly partitions: string;
  /** Whether META says that there are two boot loaders. */
  readonly tagged?: boolean;
}

/** The GRUB of the demonstration image is 2.12, which reads the BOOT of versions up to 1.12. */
const CASES: readonly DiskCase[] = [
  {
    name: 'dual-boot, amd64',
    profile: { baseProfileName: 'metal', arch: 'amd64', version: 'v1.12.0' },
    firmwares: ['seabios', 'ovmf'],
    partitions: 'EFI 1+2101, BIOS 2102+1, BOOT 2103+2000, META 4103+1',
    tagged: true,
  },
  {
    name: 'dual-boot, amd64, qcow2 with shared clusters',
    profile: {
      baseProfileName: 'metal',
      arch: 'amd64',
      version: 'v1.12.0',
      output: { imageOptions: { diskFormat: 'qcow2' } },
    },
    firmwares: ['seabios'],
    partitions: 'EFI 1+2101, BIOS 2102+1, BOOT 2103+2000, META 4103+1',
    tagged: true,
  },
  {
    name: 'dual-boot, amd64, VMDK of an OVA',
    profile: {
      baseProfileName: 'vmware',
      arch: 'amd64',
      version: 'v1.12.0',
      output: { imageOptions: { diskFormat: 'ova' } },
    },
    firmwares: ['seabios'],
    partitions: 'EFI 1+2101, BIOS 2102+1, BOOT 2103+2000, META 4103+1',
    tagged: true,
  },
  {
    name: 'systemd-boot, amd64, qcow2',
    profile: {
      baseProfileName: 'metal',
      arch: 'amd64',
      version: 'v1.13.0',
      output: { imageOptions: { bootloader: 'sd-boot', diskFormat: 'qcow2' } },
    },
    firmwares: ['ovmf'],
    partitions: 'EFI 1+2101, META 2102+1',
  },
  {
    name: 'GRUB, amd64',
    profile: { baseProfileName: 'metal', arch: 'amd64', version: 'v1.9.5' },
    firmwares: ['seabios', 'ovmf'],
    partitions: 'EFI 1+100, BIOS 101+1, BOOT 102+1000, META 1102+1',
  },
  {
    name: 'systemd-boot, amd64, sectors of 4096 bytes',
    profile: {
      baseProfileName: 'metal',
      arch: 'amd64',
      version: 'v1.13.0',
      output: { imageOptions: { diskSectorSize: 4096, bootloader: 'sd-boot' } },
    },
    firmwares: ['ovmf'],
    partitions: 'EFI 1+2101, META 2102+1',
  },
  {
    name: 'systemd-boot, arm64',
    profile: { baseProfileName: 'metal', arch: 'arm64', version: 'v1.13.0' },
    firmwares: ['aavmf'],
    partitions: 'EFI 1+2101, META 2102+1',
  },
];

const skip = skipWithoutDemoAssets() || skipWithoutQemu('seabios', 'ovmf', 'aavmf');

let directory = '';
let common: string[] = [];
let document = '';

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-disk-'));
  common = ['--imager-image', `oci:${await demoLayout()}:v1.13.0`, '--store', join(directory, 'store')];
  document = await readFile(NETWORK, 'utf8');
});

after(async () => {
  if (directory !== '') await rm(directory, { recursive: true });
});

for (const { name, profile, firmwares, partitions, tagged = false } of CASES) {
  describe(name, { skip }, () => {
    let built: Promise<Built> | undefined;
    for (const firmware of firmwares) {
      test(firmware, async (t) => {
        built ??= buildDisk(name, profile);
        const { image, format, cmdline } = await built;
        const sectorSize = profile.output?.imageOptions?.diskSectorSize ?? 512;
        const { report, seconds } = await bootInQemu({ firmware, medium: { kind: 'nvme', image, format, sectorSize } });
        t.diagnostic(`${seconds.toFixed(1)} s`);
        assert.equal(report.cmdline.replace(/^BOOT_IMAGE=\S+ /, ''), cmdline);
        assert.equal(report.firmware, firmware === 'seabios' ? 'other' : 'uefi');
        const places = Object.entries(report.partitions).map(([label, { offset, size }]) => ({ label, offset, size }));
        const found = places.sort((a, b) => a.offset - b.offset);
        assert.equal(
          found.map(({ label, offset, size }) => `${label} ${offset / MIB}+${size / MIB}`).join(', '),
          partitions,
        );
        const meta = decodeMetaPartition(report.diskMeta!);
        assert.equal(meta.copy, 'first');
        const values = meta.values.map(({ key, value }) => ({ key, value: new TextDecoder().decode(value) }));
        const tag = tagged ? [{ key: 17, value: 'dual-boot' }] : [];
        assert.deepEqual(values, [{ key: 10, value: document }, ...tag]);
        assert.deepEqual(report.damaged, []);
        assert.equal(report.files.sound, report.files.total);
      });
    }
  });
}

interface Built {
  readonly image: string;
  readonly format: DiskImageFormat;
  readonly cmdline: string;
}

async function buildDisk(name: string, given: GivenProfile): Promise<Built> {
  const profile: GivenProfile = {
    ...given,
    customization: { metaContents: [{ key: 10, value: document }] },
    output: { ...given.output, outFormat: 'raw' },
  };
  const file = join(directory, 'profile.json');
  await writeFile(file, JSON.stringify(profile));
  const output = join(directory, name.replaceAll(/[^a-z0-9]+/gi, '-'));
  const { finished } = startImager(['-', ...common, '--output', output, '--quiet', '--json'], {
    before: `exec <"${file}"`,
  });
  const { code, stdout, stderr } = await finished;
  assert.equal(code, 0, stderr);
  const { path, cmdline } = JSON.parse(stdout.toString('utf8')) as { path: string; cmdline: string };
  return { ...(await diskOf(path)), cmdline };
}

/** What QEMU is given: of an OVA the disk in it. */
async function diskOf(path: string): Promise<Pick<Built, 'image' | 'format'>> {
  if (path.endsWith('.qcow2')) return { image: path, format: 'qcow2' };
  if (!path.endsWith('.ova')) return { image: path, format: 'raw' };
  const directory = dirname(path);
  await promisify(execFile)('tar', ['-xf', path, '-C', directory]);
  const name = (await readdir(directory)).find((file) => file.endsWith('.vmdk'))!;
  return { image: join(directory, name), format: 'vmdk' };
}
