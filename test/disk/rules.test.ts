/** The small rules disk images follow: which boot loader, which partitions, what META says, which menu. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DiskChoice, diskBootloader } from '../../src/disk/bootloader.ts';
import { grubDiskConfig } from '../../src/disk/grub-config.ts';
import { diskMetaValues } from '../../src/disk/meta-values.ts';
import { type DiskDimensions, layoutPartitions, type PartitionTable } from '../../src/disk/partitions.ts';
import { ImagerError } from '../../src/errors.ts';
import { traitsOf } from '../../src/profiles/traits.ts';

const MIB = 2 ** 20;

describe('boot loaders', () => {
  const amd64: DiskChoice = {
    bootloader: 'dual-boot',
    architecture: 'amd64',
    sectorSize: 512,
    traits: { supportsUki: true },
  };
  const arm64 = { architecture: 'arm64' } as const;
  const old = { traits: { supportsUki: false } };
  const allowed: readonly Partial<DiskChoice>[] = [
    {},
    { bootloader: 'sd-boot' },
    { bootloader: 'grub' },
    { sectorSize: 4096 },
    { bootloader: 'sd-boot', sectorSize: 4096 },
    { ...arm64, bootloader: 'sd-boot' },
    { ...arm64, bootloader: 'grub' },
    { ...old, bootloader: 'grub' },
  ];
  for (const change of allowed) {
    test(`${JSON.stringify(change)} starts`, () => {
      assert.equal(diskBootloader({ ...amd64, ...change }), change.bootloader ?? 'dual-boot');
    });
  }
  const refused: readonly (readonly [Partial<DiskChoice>, ImagerError['code'], RegExp])[] = [
    [{ bootloader: 'none' }, 'invalid-input', /bootloader none: want dual-boot, sd-boot or grub/],
    [arm64, 'unsupported', /dual-boot on arm64: want sd-boot or grub/],
    [old, 'unsupported', /dual-boot before Talos 1\.5/],
    [{ ...old, bootloader: 'sd-boot' }, 'unsupported', /sd-boot before Talos 1\.5/],
    [{ bootloader: 'grub', sectorSize: 4096 }, 'unsupported', /grub with sectors of 4096 bytes/],
  ];
  for (const [change, code, message] of refused) {
    test(`${JSON.stringify(change)} does not`, () => {
      assert.throws(() => diskBootloader({ ...amd64, ...change }), { code, message });
    });
  }
});

function table(version: string, bootloader: 'grub' | 'sd-boot' | 'dual-boot', more: DiskDimensions): PartitionTable {
  return layoutPartitions(bootloader, traitsOf(version), more);
}

describe('partitions', () => {
  const places = (version: string, bootloader: 'grub' | 'sd-boot' | 'dual-boot', sectorSize = 512): string => {
    const { partitions, geometry } = table(version, bootloader, { size: 6000 * MIB, sectorSize });
    return [...partitions]
      .map(([name, { firstLba, lastLba }]) => {
        const start = (firstLba * geometry.sectorSize) / MIB;
        return `${name} ${start}+${((lastLba + 1) * geometry.sectorSize) / MIB - start}`;
      })
      .join(', ');
  };

  test('their order, places and sizes in MiB', () => {
    assert.equal(places('v1.13.0', 'sd-boot'), 'EFI 1+2101, META 2102+1');
    assert.equal(places('v1.10.0', 'sd-boot'), 'EFI 1+1101, META 1102+1');
    assert.equal(places('v1.13.0', 'dual-boot'), 'EFI 1+2101, BIOS 2102+1, BOOT 2103+2000, META 4103+1');
    assert.equal(places('v1.13.0', 'dual-boot', 4096), 'EFI 1+2101, BIOS 2102+1, BOOT 2103+2000, META 4103+1');
    assert.equal(places('v1.9.0', 'grub'), 'EFI 1+100, BIOS 101+1, BOOT 102+1000, META 1102+1');
    assert.equal(
      places('v1.7.0', 'grub'),
      'EFI 1+100, BIOS 101+1, BOOT 102+1000, META 1102+1, STATE 1103+100, EPHEMERAL 1203+4796',
    );
  });

  test('what lies before the table moves it and them', () => {
    const { geometry, partitions } = table('v1.10.0', 'sd-boot', { size: 2 ** 31, entriesOffset: 2046 });
    assert.equal(geometry.entriesLba, 2048);
    assert.equal(geometry.firstUsable, 4096);
    assert.equal(partitions.get('EFI')?.firstLba, 4096);
  });
});

describe('the smallest disk', () => {
  // Those of 512-byte sectors are measured on upstream.
  const cases: readonly (readonly [string, 'grub' | 'sd-boot' | 'dual-boot', Partial<DiskDimensions>, number])[] = [
    ['v1.10.0', 'sd-boot', {}, 1156596736],
    ['v1.9.0', 'grub', {}, 1103 * MIB + 34 * 512],
    ['v1.7.0', 'grub', {}, 1204 * MIB + 34 * 512],
    ['v1.13.0', 'dual-boot', {}, 4104 * MIB + 34 * 512],
    ['v1.13.0', 'sd-boot', { sectorSize: 4096 }, 2103 * MIB + 6 * 4096],
    ['v1.13.0', 'sd-boot', { entriesOffset: 2015 }, 2104 * MIB + 34 * 512],
  ];
  for (const [version, bootloader, more, least] of cases) {
    test(`${version} ${bootloader} ${JSON.stringify(more)}: ${least} bytes`, () => {
      table(version, bootloader, { ...more, size: least });
      for (const size of [least - 1, least - 512, 1, 0]) {
        assert.throws(
          () => table(version, bootloader, { ...more, size }),
          (error) =>
            error instanceof ImagerError &&
            error.code === 'install' &&
            error.message.startsWith(`disk of ${size} bytes: want at least ${least}, for EFI `) &&
            error.hint === `make output.imageOptions.diskSize (--image-disk-size) ${least - size} bytes larger`,
        );
      }
    });
  }
});

describe('META', () => {
  const values = [{ key: 12, value: 'x' }];
  const own = { key: 17, value: 'mine' };
  const tag = { key: 17, value: 'dual-boot' };
  const known = { usesSdBootForUefi: true };

  test('dual-boot says so, last', () => {
    assert.deepEqual(diskMetaValues(values, 'dual-boot', known), [...values, tag]);
    assert.deepEqual(diskMetaValues([own], 'dual-boot', known), [own, tag]);
  });

  test('nobody else does, nor do versions that would not read it', () => {
    assert.deepEqual(diskMetaValues(values, 'sd-boot', known), values);
    assert.deepEqual(diskMetaValues([own], 'grub', known), [own]);
    assert.equal(diskMetaValues([], 'dual-boot', { usesSdBootForUefi: false }), undefined);
    assert.equal(diskMetaValues([], 'sd-boot', known), undefined);
  });
});

describe('the menu', () => {
  test('has one entry, or a second that wipes', () => {
    const menu = grubDiskConfig('v1.3.0', 'a={b}', { reset: false });
    assert.ok(
      menu.endsWith(
        '"A - Talos v1.3.0" {\n  set gfxmode=auto\n  set gfxpayload=text\n  linux /A/vmlinuz a=\\{b\\}\n  initrd /A/initramfs.xz\n}\n',
      ),
    );
    const both = grubDiskConfig('v1.3.0', 'a={b}', { reset: true });
    assert.ok(both.startsWith(menu));
    assert.match(both, /linux \/A\/vmlinuz a=\\\{b\\\} talos\.experimental\.wipe=system:EPHEMERAL,STATE\n/);
  });

  for (const version of ['v1"; reboot; "', 'v$x', 'v`x`', 'v\\', 'v1\n']) {
    test(`refuses the version ${JSON.stringify(version)}`, () => {
      assert.throws(() => grubDiskConfig(version, '', { reset: false }), {
        code: 'invalid-input',
        message: /can quote/,
      });
    });
  }
});
