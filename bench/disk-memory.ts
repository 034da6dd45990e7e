/** Memory of disk images: none of it depends on the size of the disk. */
import { buildOf, type Disk, prepareDisks, RAW } from './disk-build.ts';
import { atMost, type Bench, notMeasured, type Row } from './figure.ts';
import { withoutSpace } from './imager.ts';
import { measure, repeat } from './measure.ts';

/** One of every way a disk is written. */
const DISKS = {
  raw: RAW,
  'raw.zst': { profile: 'metal', options: ['--compression', 'zst'] },
  'raw.xz': { profile: 'metal', options: ['--compression', 'xz'] },
  'raw.gz': { profile: 'metal', options: ['--compression', 'gz'] },
  'tar.gz': { profile: 'gcp', options: [] },
  qcow2: { profile: 'exoscale', options: ['--compression', 'raw'] },
  'vhd.zst': { profile: 'azure', options: ['--compression', 'zst'] },
  ova: { profile: 'vmware', options: [] },
} as const satisfies Record<string, Disk>;

/** With nothing derived in the store: what compresses is at work. */
export async function diskMemory(bench: Bench): Promise<Row[]> {
  const missing = withoutSpace(bench.directory, 2);
  if (missing !== false) return [notMeasured('peak memory of disks', missing)];
  const own = await prepareDisks(bench);
  measure(buildOf(own, RAW));
  const rows: Row[] = [];
  for (const [format, disk] of Object.entries<Disk>(DISKS)) {
    for (const size of ['default size', '8 GiB']) {
      const options = size === '8 GiB' ? ['--image-disk-size', '8GiB'] : [];
      const { memory } = repeat(buildOf(own, { ...disk, options: [...disk.options, ...options] }, true), 3);
      rows.push({
        what: `peak memory, ${format}, ${size}`,
        ours: `${memory.toFixed(0)} MiB`,
        peer: '',
        ...atMost(memory, 150, ' MiB', 0),
      });
    }
  }
  return rows;
}
