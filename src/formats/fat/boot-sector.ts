/**
 * Boot sector with BIOS parameter block, and the FSInfo sector of FAT32. Little-endian.
 * Source: Microsoft FAT specification 1.03; values as mkfs.fat 4.2 and mtools write them (spec boot-and-images 5.7, 6.6).
 */
import { putAscii, structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { clusterCount, MINIMUM_FAT32_CLUSTERS, type Volume } from './volume.ts';

/** What names a volume. */
export interface VolumeIdentity {
  /** At most 8 characters. */
  readonly oem: string;
  /** 32 bits. */
  readonly serial: number;
  /** At most 11 characters. */
  readonly label: string;
}

export const FSINFO_SECTOR = 1;
export const BACKUP_BOOT_SECTOR = 6;
export const ROOT_CLUSTER = 2;

/** INT 18h (no boot device here, try the next one), then stop: nothing on these volumes is ever started by a BIOS. */
const BOOT_CODE = Uint8Array.of(0xcd, 0x18, 0xf4, 0xeb, 0xfd);

/** One sector. Boot code is ours; every other field is that of mkfs.fat (FAT32) or mformat (FAT12). */
export function encodeBootSector(volume: Volume, identity: VolumeIdentity): Uint8Array {
  const { data, view } = structure(volume.bytesPerSector);
  const wide = volume.type === 32;
  const codeAt = wide ? 0x5a : 0x3e;
  data.set([0xeb, codeAt - 2, 0x90]);
  putAscii(data, 0x03, 8, identity.oem, 0x20);
  view.setUint16(0x0b, volume.bytesPerSector, true);
  view.setUint8(0x0d, volume.sectorsPerCluster);
  view.setUint16(0x0e, volume.reservedSectors, true);
  view.setUint8(0x10, volume.fats);
  view.setUint16(0x11, volume.rootEntries, true);
  if (volume.totalSectors <= 0xffff) view.setUint16(0x13, volume.totalSectors, true);
  else view.setUint32(0x20, volume.totalSectors, true);
  view.setUint8(0x15, volume.media);
  view.setUint16(0x18, volume.sectorsPerTrack, true);
  view.setUint16(0x1a, volume.heads, true);
  if (wide) {
    view.setUint32(0x24, volume.fatSectors, true);
    view.setUint32(0x2c, ROOT_CLUSTER, true);
    view.setUint16(0x30, FSINFO_SECTOR, true);
    view.setUint16(0x32, BACKUP_BOOT_SECTOR, true);
  } else {
    view.setUint16(0x16, volume.fatSectors, true);
  }
  const extended = wide ? 0x40 : 0x24;
  view.setUint8(extended, wide ? 0x80 : 0x00);
  view.setUint8(extended + 0x02, 0x29);
  view.setUint32(extended + 0x03, identity.serial, true);
  putAscii(data, extended + 0x07, 11, identity.label, 0x20);
  putAscii(data, extended + 0x12, 8, `FAT${volume.type}`, 0x20);
  data.set(BOOT_CODE, codeAt);
  data.set([0x55, 0xaa], 0x1fe);
  return data;
}

export interface BootSector extends Volume, VolumeIdentity {
  /** First cluster of the root directory; 0 when it has a fixed place. */
  readonly rootCluster: number;
}

/**
 * The boot sector in the first 512 bytes of a volume. Throws `invalid-input` where a field contradicts another, so that what comes
 * back can be used for arithmetic.
 */
export function decodeBootSector(data: Uint8Array): BootSector {
  if (data.length < 512) throw invalid(`FAT boot sector: ${data.length} bytes, want 512`);
  const view = viewOf(data);
  if (view.getUint16(0x1fe, true) !== 0xaa55) throw invalid('FAT boot sector: no 55 AA at its end');
  const fatSectors16 = view.getUint16(0x16, true);
  const wide = fatSectors16 === 0;
  const extended = wide ? 0x40 : 0x24;
  const dimensions = {
    bytesPerSector: view.getUint16(0x0b, true),
    sectorsPerCluster: view.getUint8(0x0d),
    reservedSectors: view.getUint16(0x0e, true),
    fats: view.getUint8(0x10),
    fatSectors: wide ? view.getUint32(0x24, true) : fatSectors16,
    rootEntries: view.getUint16(0x11, true),
    totalSectors: view.getUint16(0x13, true) || view.getUint32(0x20, true),
    media: view.getUint8(0x15),
    sectorsPerTrack: view.getUint16(0x18, true),
    heads: view.getUint16(0x1a, true),
  };
  checkDimensions(dimensions, wide);
  const clusters = clusterCount({ ...dimensions, type: 32 });
  const type = wide ? 32 : clusters < 4085 ? 12 : 16;
  if (clusters < 1) throw invalid(`FAT boot sector: no cluster in ${dimensions.totalSectors} sectors`);
  if (type === 16 && clusters >= MINIMUM_FAT32_CLUSTERS)
    throw invalid(`FAT boot sector: ${clusters} clusters in a FAT16`);
  const room = Math.floor((dimensions.fatSectors * dimensions.bytesPerSector * 8) / type);
  if (room < clusters + 2) {
    throw invalid(`FAT boot sector: its table has room for ${room} entries, want ${clusters + 2}`);
  }
  const rootCluster = wide ? view.getUint32(0x2c, true) : 0;
  if (wide && (rootCluster < 2 || rootCluster > clusters + 1)) {
    throw invalid(`FAT boot sector: root directory in cluster ${rootCluster}, want 2..${clusters + 1}`);
  }
  return {
    type,
    ...dimensions,
    rootCluster,
    oem: trimmed(data.subarray(0x03, 0x0b)),
    serial: view.getUint32(extended + 0x03, true),
    label: trimmed(data.subarray(extended + 0x07, extended + 0x12)),
  };
}

function checkDimensions(dimensions: Omit<Volume, 'type'>, wide: boolean): void {
  const { bytesPerSector, sectorsPerCluster, reservedSectors, fats, fatSectors, rootEntries } = dimensions;
  if (![512, 1024, 2048, 4096].includes(bytesPerSector)) {
    throw invalid(`FAT boot sector: ${bytesPerSector} bytes per sector, want 512, 1024, 2048 or 4096`);
  }
  if (sectorsPerCluster === 0 || (sectorsPerCluster & (sectorsPerCluster - 1)) !== 0) {
    throw invalid(`FAT boot sector: ${sectorsPerCluster} sectors per cluster, want a power of two`);
  }
  if (reservedSectors === 0 || fats === 0 || fatSectors === 0) {
    throw invalid(
      `FAT boot sector: ${reservedSectors} reserved sectors, ${fats} tables of ${fatSectors}, want none to be 0`,
    );
  }
  if (wide !== (rootEntries === 0)) {
    throw invalid(`FAT boot sector: ${rootEntries} root entries and a ${wide ? '32' : '16'}-bit table length`);
  }
}

function trimmed(field: Uint8Array): string {
  return String.fromCharCode(...field).replace(/[ \0]+$/, '');
}

/** One sector. `lastUsed` is the cluster that was allocated last, 2 when only the root exists. */
export function encodeFsInfo(volume: Volume, freeClusters: number, lastUsed: number): Uint8Array {
  const { data, view } = structure(volume.bytesPerSector);
  view.setUint32(0x000, 0x41615252, true);
  view.setUint32(0x1e4, 0x61417272, true);
  view.setUint32(0x1e8, freeClusters, true);
  view.setUint32(0x1ec, lastUsed, true);
  data.set([0x55, 0xaa], 0x1fe);
  return data;
}
