/** The footer of a VHD image: 512 bytes, big-endian (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0; spec boot-and-images 7.2). */
import { fromHex, getU64, putAscii, putU64, structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { type Guid, guidOfBytes } from '../gpt/guid.ts';

export const FOOTER_SIZE = 512;

export interface VhdFooter {
  /** Bytes of the disk. */
  readonly size: number;
  /** Seconds since 2000-01-01 UTC. */
  readonly timestamp: number;
  readonly uuid: Guid;
}

const COOKIE = 'conectix';
/** Of the fields that follow; bit 1 is reserved and always set. */
const FEATURES = 2;
const VERSION = 0x0001_0000;
const TYPE_FIXED = 2;
/** 65535 cylinders, 16 heads, 255 sectors: the geometry says nothing, the size field counts. */
const NO_GEOMETRY = 0xffff_10ff;

const OFFSET = { size: 0x28, type: 0x3c, checksum: 0x40, uuid: 0x44 } as const;

/** Of a fixed disk, with the creator fields of qemu-img, whose readers by them know that the size field counts. */
export function encodeFooter({ size, timestamp, uuid }: VhdFooter): Uint8Array {
  const { data, view } = structure(FOOTER_SIZE);
  putAscii(data, 0, 8, COOKIE);
  view.setUint32(0x08, FEATURES);
  view.setUint32(0x0c, VERSION);
  // No header of a dynamic disk follows.
  data.fill(0xff, 0x10, 0x18);
  view.setUint32(0x18, timestamp);
  putAscii(data, 0x1c, 4, 'qem2');
  view.setUint32(0x20, 0x0005_0003);
  putAscii(data, 0x24, 4, 'Wi2k');
  putU64(view, OFFSET.size, size, false);
  putU64(view, 0x30, size, false);
  view.setUint32(0x38, NO_GEOMETRY);
  view.setUint32(OFFSET.type, TYPE_FIXED);
  data.set(fromHex(uuid.replaceAll('-', '')), OFFSET.uuid);
  view.setUint32(OFFSET.checksum, checksum(data));
  return data;
}

/** Throws `invalid-input` for damage, `unsupported` for disks that are not fixed. */
export function decodeFooter(data: Uint8Array): VhdFooter {
  if (data.length !== FOOTER_SIZE) throw invalid(`VHD: footer of ${data.length} bytes, want ${FOOTER_SIZE}`);
  const view = viewOf(data);
  if (new TextDecoder('latin1').decode(data.subarray(0, 8)) !== COOKIE) throw invalid('VHD: no footer at its end');
  const want = checksum(data);
  const found = view.getUint32(OFFSET.checksum);
  if (found !== want) throw invalid(`VHD: footer checksum 0x${found.toString(16)}, want 0x${want.toString(16)}`);
  const type = view.getUint32(OFFSET.type);
  if (type !== TYPE_FIXED) throw new ImagerError('unsupported', `VHD: disk type ${type}, want 2 (fixed)`);
  return {
    size: getU64(view, 0x30, false),
    timestamp: view.getUint32(0x18),
    uuid: guidOfBytes(data.subarray(OFFSET.uuid, OFFSET.uuid + 16)),
  };
}

/** Ones' complement of the sum of all bytes but those of the checksum itself. */
function checksum(footer: Uint8Array): number {
  let sum = 0;
  for (const [index, byte] of footer.entries()) {
    if (index < OFFSET.checksum || index >= OFFSET.checksum + 4) sum += byte;
  }
  return ~sum >>> 0;
}
