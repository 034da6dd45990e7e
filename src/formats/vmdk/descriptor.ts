/** The descriptor of a VMDK: text in the sectors behind the header (spec boot-and-images 7.3). */
import { toHex } from '../../bytes/field.ts';

/** Sectors from the second one on. */
export const DESCRIPTOR_OFFSET = 1;
export const DESCRIPTOR_SECTORS = 20;

const HEADS = 255;
const SECTORS_PER_TRACK = 63;
const MAXIMUM_CYLINDERS = 65535;

/**
 * `capacity` in sectors, `contentId` 16 bytes. The last four are the CID, whose first bit is cleared: `ffffffff` there means no parent and `fffffffe`
 * nothing written yet.
 */
export function encodeDescriptor(capacity: number, contentId: Uint8Array): Uint8Array {
  const id = Uint8Array.from(contentId.subarray(0, 16));
  id[12]! &= 0x7f;
  const cylinders = Math.min(MAXIMUM_CYLINDERS, Math.ceil(capacity / (HEADS * SECTORS_PER_TRACK)));
  const lines = [
    '# Disk DescriptorFile',
    'version=1',
    'encoding="UTF-8"',
    `CID=${toHex(id.subarray(12))}`,
    'parentCID=ffffffff',
    'createType="streamOptimized"',
    '',
    '# Extent description',
    `RW ${capacity} SPARSE "disk"`,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    `ddb.longContentID = "${toHex(id)}"`,
    'ddb.virtualHWVersion = "4"',
    `ddb.geometry.cylinders = "${cylinders}"`,
    `ddb.geometry.heads = "${HEADS}"`,
    `ddb.geometry.sectors = "${SECTORS_PER_TRACK}"`,
    'ddb.adapterType = "lsilogic"',
    'ddb.toolsInstallType = "4"',
    'ddb.toolsVersion = "2147483647"',
    '',
  ];
  return new TextEncoder().encode(lines.join('\n'));
}
