/** ISOs that start with systemd-boot alone, the ones for SecureBoot among them. Source: spec boot-and-images 5.2, 5.5. */
import { espTree, layoutIsoEsp } from '../boot/esp.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import { BOOT_PLATFORM, efiSectors } from '../formats/iso9660/el-torito.ts';
import { layoutIso9660, PARTITION_OFFSET } from '../formats/iso9660/layout.ts';
import { sharedWithFat } from './fat-sharing.ts';
import { isoTree } from './iso-tree.ts';
import { isoLabel } from './label.ts';
import { type IsoOptions, PREPARER_ID, type SystemdBoot } from './parts.ts';
import { PADDING_SIZE, SECTOR_SIZE, withMbr } from './system-area.ts';

/** An MBR without boot code has one partition that shows the volume and one that is the EFI system partition behind it. */
export function layoutUefiIso(systemd: SystemdBoot, options: IsoOptions): Bytes {
  const { version, architecture, epoch: time, traits, enrollment = 'off' } = options;
  const parts = { ...systemd, uki: systemd.uki.bytes };
  const espOptions = { medium: 'iso', architecture, version, enrollment, mtime: time } as const;
  const esp = layoutIsoEsp(parts, espOptions, 0);
  const tree = isoTree([espTree(parts, espOptions)], options.imageCache, { time, normalized: false });
  const layout = layoutIso9660(tree, {
    ...isoLabel(version, traits),
    preparerId: PREPARER_ID,
    time,
    shared: sharedWithFat(tree, esp, { in: 'appended' }),
    appended: { bytes: esp.bytes, alignment: MIB },
    tail: PADDING_SIZE,
    partitionView: true,
    boot: {
      catalogPath: 'boot.catalog',
      images: [{ platform: BOOT_PLATFORM.efi, sectors: efiSectors(esp.bytes.size), image: { in: 'appended' } }],
    },
  });
  const { offset, size } = layout.appended!;
  const start = (PARTITION_OFFSET * BLOCK_SIZE) / SECTOR_SIZE;
  return withMbr(layout.bytes, [
    { bootable: false, type: 0x83, start, count: offset / SECTOR_SIZE - start },
    { bootable: false, type: 0xef, start: offset / SECTOR_SIZE, count: size / SECTOR_SIZE },
  ]);
}
