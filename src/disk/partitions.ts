/** Partitions of a disk image: which, how large, where. Source: spec boot-and-images 6.1, 6.2, 6.3. */
import { MIB } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import {
  allocatePartitions,
  type DiskOptions,
  diskGeometry,
  PARTITION_ALIGNMENT,
  type WantedPartition,
} from '../formats/gpt/allocate.ts';
import { type Guid, guidOfLabel, PARTITION_TYPE } from '../formats/gpt/guid.ts';
import type { GptGeometry } from '../formats/gpt/layout.ts';
import { ATTRIBUTE, type Partition } from '../formats/gpt/partition.ts';
import type { Traits } from '../profiles/traits.ts';
import type { DiskBootloader } from './bootloader.ts';

export type PartitionName = 'EFI' | 'BIOS' | 'BOOT' | 'META' | 'STATE' | 'EPHEMERAL' | 'IMAGECACHE';

/** Disk size, sector size and what lies before the partitions. */
export interface DiskDimensions extends DiskOptions {
  /** Bytes. A partial sector at the end stays unused. */
  readonly size: number;
  /** Bytes, a whole number of MiB; no such partition unless given. */
  readonly imageCacheSize?: number;
}

export type PartitionTraits = Pick<Traits, 'partitionSizes' | 'skipsDataPartitions'>;

export interface PartitionTable {
  readonly geometry: GptGeometry;
  /** By name, in the order of their entries. */
  readonly partitions: ReadonlyMap<PartitionName, Partition>;
}

interface Size {
  readonly name: PartitionName;
  /** Bytes; 0: all that is left. */
  readonly size: number;
}

/** What the last partition gets at least: less than one alignment unit would be none. */
const LEAST_REST: number = MIB;

/** In order. BOOT is the third wherever there is GRUB, which looks for it there. */
function partitionSizes(
  bootloader: DiskBootloader,
  { partitionSizes: sizes, skipsDataPartitions }: PartitionTraits,
  imageCacheSize: number | undefined,
): Size[] {
  const list: Size[] = [{ name: 'EFI', size: bootloader === 'grub' ? sizes.grubEfi : sizes.ukiEfi }];
  if (bootloader !== 'sd-boot') list.push({ name: 'BIOS', size: sizes.bios }, { name: 'BOOT', size: sizes.boot });
  list.push({ name: 'META', size: sizes.meta });
  if (!skipsDataPartitions) list.push({ name: 'STATE', size: sizes.state }, { name: 'EPHEMERAL', size: 0 });
  if (imageCacheSize !== undefined) list.push({ name: 'IMAGECACHE', size: imageCacheSize });
  return list;
}

/** Throws `install` when the disk is too small, naming the least size. */
export function layoutPartitions(
  bootloader: DiskBootloader,
  traits: PartitionTraits,
  { size, imageCacheSize, ...options }: DiskDimensions,
): PartitionTable {
  const sizes = partitionSizes(bootloader, traits, imageCacheSize);
  checkDiskSize(size, sizes, options);
  const geometry = diskGeometry(size, options);
  const partitions = allocatePartitions(withoutRest(sizes, geometry).map(wantedPartition), geometry);
  return { geometry, partitions: new Map(sizes.map(({ name }, index) => [name, partitions[index]!])) };
}

/** Bytes of the smallest disk that has the partitions, without an image cache. */
export function smallestDiskSize(bootloader: DiskBootloader, traits: PartitionTraits, options: DiskOptions): number {
  return smallestDisk(partitionSizes(bootloader, traits, undefined), options);
}

/** What is left is for the one that takes it, not for it alone: others may come behind. Upstream gives it all and then has no room for them. */
function withoutRest(sizes: readonly Size[], { firstUsable, lastUsable, sectorSize }: GptGeometry): Size[] {
  const usable = Math.floor(((lastUsable + 1) * sectorSize) / PARTITION_ALIGNMENT) * PARTITION_ALIGNMENT;
  const rest = usable - firstUsable * sectorSize - sizes.reduce((sum, { size }) => sum + size, 0);
  return sizes.map(({ name, size }) => ({ name, size: size || rest }));
}

function wantedPartition({ name, size }: Size): WantedPartition {
  const attributes = name === 'BIOS' ? ATTRIBUTE.legacyBiosBootable : 0n;
  return { name, size, type: typeOf(name), guid: guidOfLabel(name), attributes };
}

function typeOf(name: PartitionName): Guid {
  switch (name) {
    case 'EFI':
      return PARTITION_TYPE.efiSystem;
    case 'BIOS':
      return PARTITION_TYPE.biosBoot;
    default:
      return PARTITION_TYPE.linuxData;
  }
}

function checkDiskSize(size: number, sizes: readonly Size[], options: DiskOptions): void {
  const least = smallestDisk(sizes, options);
  if (size >= least) return;
  const parts = sizes.map((one) => `${one.name} ${(one.size || LEAST_REST) / MIB} MiB`).join(', ');
  throw new ImagerError(
    'install',
    `disk of ${size} bytes: want at least ${least}, for ${parts} and two partition tables`,
    {
      hint: `make output.imageOptions.diskSize (--image-disk-size) ${least - size} bytes larger`,
    },
  );
}

/** Bytes. Upstream leaves one sector more than the tables need; so do we, that a size is right for both or for neither. */
function smallestDisk(sizes: readonly Size[], options: DiskOptions): number {
  // Where partitions begin and how long a table is does not depend on the size.
  const { firstUsable, entrySectors, sectorSize } = diskGeometry(Number.MAX_SAFE_INTEGER, options);
  const content = sizes.reduce((sum, { size }) => sum + (size || LEAST_REST), 0);
  return firstUsable * sectorSize + content + (1 + entrySectors + 1) * sectorSize;
}
