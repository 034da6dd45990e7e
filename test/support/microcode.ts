/** A microcode container of AMD's that an emulated processor takes: it says the revision the processor already has. */

/** What QEMU says of an `Opteron_G3`: family 16, model 2, stepping 3, and its revision. */
const SIGNATURE = 0x00100f23;
const REVISION = 0x01000065;
const EQUIVALENT = 0x1022;

const MAGIC = 0x00414d44;
const EQUIVALENCE_TABLE = 0;
const PATCH = 1;
const PATCH_SIZE = 960;

/** `-cpu` of the machine for it. Hypervisors are told not to load any, so that it must not look like one. */
export const MICROCODE_CPU = 'Opteron_G3,-cx16,-hypervisor';

/** Layout: Linux, arch/x86/kernel/cpu/microcode/amd.c. Numbers little-endian. */
export function amdMicrocode(): Uint8Array {
  const table = Buffer.alloc(32);
  table.writeUInt32LE(SIGNATURE, 0);
  table.writeUInt16LE(EQUIVALENT, 12);
  const patch = Buffer.alloc(PATCH_SIZE, 0x90);
  patch.fill(0, 0, 64);
  patch.writeUInt32LE(REVISION, 4);
  patch.writeUInt16LE(EQUIVALENT, 24);
  return Buffer.concat([words(MAGIC, EQUIVALENCE_TABLE, table.length), table, words(PATCH, patch.length), patch]);
}

function words(...values: readonly number[]): Buffer {
  const data = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) data.writeUInt32LE(value, index * 4);
  return data;
}
