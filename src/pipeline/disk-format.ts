/** A finished raw disk in the format its cloud or hypervisor takes. */
import { deflate } from 'pako';
import type { Bytes } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { chunks, digest } from '../bytes/read.ts';
import { type Digest, KIB, parseDigest } from '../bytes/units.ts';
import { guidOfLabel } from '../formats/gpt/guid.ts';
import { layoutOva } from '../formats/ova/layout.ts';
import { layoutQcow2 } from '../formats/qcow2/layout.ts';
import { parseQcow2Options } from '../formats/qcow2/options.ts';
import { AZURE_SIZE_UNIT, layoutVhd } from '../formats/vhd/layout.ts';
import { checkVhdOptions } from '../formats/vhd/options.ts';
import { COMPRESSED_GRAINS_KIND, compressGrains, readCompressedGrains } from '../formats/vmdk/compressed-grains.ts';
import { layoutVmdk } from '../formats/vmdk/layout.ts';
import type { DiskFormat, ImageOptions } from '../profiles/profile.ts';
import type { BuildInput } from './build-input.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

/** Throws what the format's options and limits refuse. */
export async function inDiskFormat(input: BuildInput, disk: Bytes): Promise<Bytes> {
  const { workplace, profile, epoch } = input;
  const { diskFormat, diskFormatOptions: options } = profile.output.imageOptions!;
  switch (diskFormat) {
    case 'raw':
      return disk;
    case 'qcow2':
      return layoutQcow2(disk, parseQcow2Options(options));
    case 'vhd': {
      checkVhdOptions(options);
      const uuid = guidOfLabel(`vhd ${await contentIdentity(workplace, disk)}`);
      return layoutVhd(disk, { epoch, uuid, ...(profile.platform === 'azure' ? { sizeUnit: AZURE_SIZE_UNIT } : {}) });
    }
    case 'ova':
      return ovaOf(workplace, disk, epoch);
    case 'unknown':
      throw new RangeError('a finalised profile has a disk format');
  }
}

/** Throws `invalid-input` or `unsupported` for options the format does not have: known before anything is fetched. */
export function checkDiskFormatOptions({ diskFormat, diskFormatOptions }: ImageOptions): void {
  const checks: Partial<Record<DiskFormat, (text: string) => unknown>> = {
    qcow2: parseQcow2Options,
    vhd: checkVhdOptions,
  };
  checks[diskFormat]?.(diskFormatOptions);
}

/** A grain that does not get smaller, in one piece. */
const GRAIN_ROOM: number = 66 * KIB;

/** As zlib's own level 9 gives it, on every release of Node: grains are part of images that must come out the same everywhere. */
function deflateGrain(grain: Uint8Array): Uint8Array {
  return deflate(grain, { level: 9, legacyHash: true, chunkSize: GRAIN_ROOM });
}

async function ovaOf(workplace: Workplace, disk: Bytes, epoch: number): Promise<Bytes> {
  const { signal, platform } = workplace;
  const options = signal === undefined ? {} : { signal };
  const store = await openWorkplaceStore(workplace);
  const key = { source: await contentIdentity(workplace, disk), kind: COMPRESSED_GRAINS_KIND, parameters: {} };
  const grains = await store.derived(key, (writer) => compressGrains(disk, deflateGrain, writer, options), options);
  const vmdk = layoutVmdk(disk.size, await readCompressedGrains(grains));
  const vmdkDigest = parseDigest(`sha256:${toHex(await digest(vmdk, platform.hash('sha256'), options))}`);
  return layoutOva(vmdk, { diskSize: disk.size, vmdkDigest, mtime: epoch });
}

/** Of the content and where it lies; zeros are told by their length alone, so that an empty disk costs nothing. */
async function contentIdentity({ platform, signal }: Workplace, bytes: Bytes): Promise<Digest> {
  const hash = platform.hash('sha256');
  const options = { isTransient: true, ...(signal === undefined ? {} : { signal }) };
  for (const extent of bytes.extents) {
    hash.update(new TextEncoder().encode(`${extent.kind === 'zeros' ? 'zeros' : 'data'} ${extent.length}\n`));
    if (extent.kind === 'zeros') continue;
    const content: Bytes = { size: extent.length, extents: [extent], starts: [0] };
    for await (const chunk of chunks(content, options)) hash.update(chunk);
  }
  return parseDigest(`sha256:${toHex(hash.digest())}`);
}
