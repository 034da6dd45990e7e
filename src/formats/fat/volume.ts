/** Dimensions of a FAT volume, and what follows from them. Sizes are in sectors unless a name says otherwise. */
import { alignUp } from '../../bytes/bytes.ts';
import { MIB } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';

export interface Volume {
  /** Bits of an allocation table entry; 32-bit entries use 28 of them. */
  readonly type: 12 | 16 | 32;
  /** Bytes: 512, 1024, 2048 or 4096. */
  readonly bytesPerSector: number;
  /** A power of two, 1..128. */
  readonly sectorsPerCluster: number;
  /** Sectors before the first allocation table. */
  readonly reservedSectors: number;
  /** Copies of the allocation table. */
  readonly fats: number;
  /** Sectors of one copy. */
  readonly fatSectors: number;
  /** 32-byte slots of the fixed root directory; 0 for FAT32, whose root is a cluster chain. */
  readonly rootEntries: number;
  readonly totalSectors: number;
  readonly media: number;
  readonly sectorsPerTrack: number;
  readonly heads: number;
}

/** Below this many clusters mtools and EDK2 take a volume for FAT16, whatever its boot sector says. */
export const MINIMUM_FAT32_CLUSTERS = 65525;

/** The 28-bit entry values from 0x0FFFFFF7 up are marks, and clusters count from 2. */
const MAXIMUM_FAT32_CLUSTERS = 0x0ffffff5;

export function clusterSize(volume: Volume): number {
  return volume.sectorsPerCluster * volume.bytesPerSector;
}

/** Bytes from the start of the volume. */
export function fatOffset(volume: Volume, copy: number): number {
  return (volume.reservedSectors + copy * volume.fatSectors) * volume.bytesPerSector;
}

/** Bytes from the start of the volume to the fixed root directory, or to cluster 2 when there is none. */
export function rootOffset(volume: Volume): number {
  return fatOffset(volume, volume.fats);
}

/** Bytes from the start of the volume to cluster 2. */
export function dataOffset(volume: Volume): number {
  return rootOffset(volume) + alignUp(volume.rootEntries * 32, volume.bytesPerSector);
}

/** Bytes from the start of the volume. Clusters count from 2. */
export function clusterOffset(volume: Volume, cluster: number): number {
  return dataOffset(volume) + (cluster - 2) * clusterSize(volume);
}

/** May be negative for dimensions that make no sense. */
export function clusterCount(volume: Volume): number {
  const data = volume.totalSectors * volume.bytesPerSector - dataOffset(volume);
  return Math.floor(data / clusterSize(volume));
}

export interface Fat32Dimensions {
  /** Bytes; 512 unless given. */
  readonly sectorSize?: number;
  /** Chosen as mkfs.fat does unless given. */
  readonly sectorsPerCluster?: number;
}

/**
 * Dimensions of a FAT32 volume in `size` bytes, as mkfs.fat 4.2 chooses them (spec boot-and-images 6.6).
 * Throws `invalid-input` when the size or the options are wrong, or leave fewer than 65525 clusters: mkfs.fat only warns then.
 */
export function fat32Volume(size: number, dimensions: Fat32Dimensions = {}): Volume {
  const sectorSize = checkSectorSize(dimensions.sectorSize ?? 512);
  const sectors = Math.floor(size / sectorSize);
  if (!Number.isSafeInteger(size) || sectors < 1 || sectors > 0xffffffff) {
    throw invalid(`FAT32 volume of ${size} bytes: want 1 to 4294967295 sectors of ${sectorSize} bytes`);
  }
  const given = dimensions.sectorsPerCluster;
  const perCluster = given === undefined ? usualSectorsPerCluster(sectors) : checkSectorsPerCluster(given);
  const volume = fat32VolumeOf(sectors, sectorSize, perCluster);
  const clusters = clusterCount(volume);
  if (clusters < MINIMUM_FAT32_CLUSTERS) {
    const least = smallestFat32({ ...dimensions, sectorsPerCluster: perCluster });
    throw invalid(
      `FAT32 volume of ${size} bytes: ${Math.max(clusters, 0)} clusters of ${perCluster * sectorSize} bytes, want at least ${MINIMUM_FAT32_CLUSTERS}`,
      { hint: `firmware takes fewer for FAT16; make it at least ${least} bytes` },
    );
  }
  if (clusters > MAXIMUM_FAT32_CLUSTERS) {
    throw invalid(`FAT32 volume of ${size} bytes: ${clusters} clusters, want at most ${MAXIMUM_FAT32_CLUSTERS}`);
  }
  return volume;
}

/** The least size in bytes, a whole number of sectors, that is a valid FAT32 with these dimensions. */
export function smallestFat32(dimensions: Fat32Dimensions = {}, clusters: number = MINIMUM_FAT32_CLUSTERS): number {
  const sectorSize = checkSectorSize(dimensions.sectorSize ?? 512);
  const perCluster = checkSectorsPerCluster(dimensions.sectorsPerCluster ?? 1);
  // The total is cut to whole tracks, so cluster counts go up in steps: search for the first sector count that has enough.
  let low = clusters * perCluster;
  let high = low * 2 + 1024;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (clusterCount(fat32VolumeOf(middle, sectorSize, perCluster)) >= clusters) high = middle;
    else low = middle + 1;
  }
  return low * sectorSize;
}

function fat32VolumeOf(sectors: number, bytesPerSector: number, sectorsPerCluster: number): Volume {
  const { sectorsPerTrack, heads } = diskGeometry(sectors);
  const totalSectors = sectors - (sectors % sectorsPerTrack);
  const reservedSectors = alignUp(32, sectorsPerCluster);
  // Each cluster costs its own bytes and two 4-byte entries; entries 0 and 1 are no clusters.
  const entries =
    2 +
    Math.floor(
      ((totalSectors - reservedSectors) * bytesPerSector + 2 * 8) / (sectorsPerCluster * bytesPerSector + 2 * 4),
    );
  const fatSectors = alignUp(Math.ceil((entries * 4) / bytesPerSector), sectorsPerCluster);
  return {
    type: 32,
    bytesPerSector,
    sectorsPerCluster,
    reservedSectors,
    fats: 2,
    fatSectors,
    rootEntries: 0,
    totalSectors,
    media: 0xf8,
    sectorsPerTrack,
    heads,
  };
}

/** The 2880 KiB floppy that a GRUB ISO carries as `efi.img` (spec boot-and-images 5.7). */
export const FLOPPY_2880: Volume = {
  type: 12,
  bytesPerSector: 512,
  sectorsPerCluster: 2,
  reservedSectors: 1,
  fats: 2,
  fatSectors: 9,
  rootEntries: 240,
  totalSectors: 5760,
  media: 0xf0,
  sectorsPerTrack: 36,
  heads: 2,
};

/** Sectors up to which a volume gets these heads and sectors per track: the table of SD cards, measured on mkfs.fat 4.2. */
const DISK_GEOMETRIES: readonly (readonly [sectors: number, heads: number, sectorsPerTrack: number])[] = [
  [4096, 2, 16],
  [32768, 2, 32],
  [65536, 4, 32],
  [262144, 8, 32],
  [524288, 16, 32],
  [1032192, 16, 63],
  [2064384, 32, 63],
  [4128768, 64, 63],
  [8257536, 128, 63],
  [Number.POSITIVE_INFINITY, 255, 63],
];

function diskGeometry(sectors: number): { readonly heads: number; readonly sectorsPerTrack: number } {
  const [, heads, sectorsPerTrack] = DISK_GEOMETRIES.find(([limit]) => sectors <= limit)!;
  return { heads, sectorsPerTrack };
}

/** Sectors up to which mkfs.fat takes this cluster size; it counts sectors, of whatever size, as if they were 512 bytes. */
const CLUSTER_SIZES: readonly (readonly [sectors: number, perCluster: number])[] = [
  [(260 * MIB) / 512, 1],
  [(8192 * MIB) / 512, 8],
  [(16384 * MIB) / 512, 16],
  [(32768 * MIB) / 512, 32],
  [Number.POSITIVE_INFINITY, 64],
];

function usualSectorsPerCluster(sectors: number): number {
  return CLUSTER_SIZES.find(([limit]) => sectors <= limit)![1];
}

function checkSectorSize(value: number): number {
  if (![512, 1024, 2048, 4096].includes(value)) {
    throw new ImagerError('unsupported', `FAT sector size ${value}: want 512, 1024, 2048 or 4096`);
  }
  return value;
}

function checkSectorsPerCluster(value: number): number {
  if (![1, 2, 4, 8, 16, 32, 64, 128].includes(value)) {
    throw invalid(`FAT sectors per cluster ${value}: want a power of two, 1..128`);
  }
  return value;
}
