/** A disk as a fixed VHD image: its bytes and a footer (spec boot-and-images 7.2). */
import { type Bytes, concat, ofMemory } from '../../bytes/bytes.ts';
import { MIB } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import type { Guid } from '../gpt/guid.ts';
import { encodeFooter } from './footer.ts';

export interface VhdOptions {
  /** Seconds since 1970; before 2000 the footer says 2000. */
  readonly epoch: number;
  readonly uuid: Guid;
  /** The size must be a multiple of this many bytes. Default 512; Azure takes whole MiB only (`AZURE_SIZE_UNIT`). */
  readonly sizeUnit?: number;
}

export const AZURE_SIZE_UNIT: number = MIB;

/** 2000-01-01 UTC in seconds since 1970. */
const VHD_EPOCH = 946684800;
/** 2040 GiB, where QEMU and Hyper-V end. */
const MAXIMUM_SIZE = 0xff00_0000 * 512;

/**
 * The size is kept and never rounded up: the backup partition table stands in the last sector. Throws `invalid-input` for a disk that is no
 * multiple of `sizeUnit` or above 2040 GiB, and for a time that does not fit 32 bits.
 */
export function layoutVhd(disk: Bytes, options: VhdOptions): Bytes {
  const { epoch, uuid, sizeUnit = 512 } = options;
  if (disk.size % sizeUnit !== 0) throw invalid(`VHD: disk of ${disk.size} bytes, want a multiple of ${sizeUnit}`);
  if (disk.size > MAXIMUM_SIZE) throw invalid(`VHD: disk of ${disk.size} bytes, want at most ${MAXIMUM_SIZE}`);
  const timestamp = Math.max(0, epoch - VHD_EPOCH);
  if (!Number.isInteger(timestamp) || timestamp > 0xffff_ffff)
    throw invalid(`VHD: time ${epoch}, want whole seconds before 2136`);
  return concat([disk, ofMemory(encodeFooter({ size: disk.size, timestamp, uuid }))]);
}
