/** Disks that the container formats must give back: holes, zeros in memory, the same content twice, an end that no unit divides. */
import { type Bytes, concat, ofMemory, ofSource, place, slice, zeros } from '../../src/bytes/bytes.ts';
import { type CountingSource, memorySource, stream } from './bytes.ts';

export interface SampleDisk {
  readonly disk: Bytes;
  readonly source: CountingSource;
}

/** 12 MiB and 1536 bytes: `source` (300 000 bytes) at 1 MiB, at 4 MiB and, out of step with clusters, at 9 MiB + 512. */
export function sampleDisk(): SampleDisk {
  const source = memorySource(stream('disk', 300_000));
  const content = ofSource(source);
  const text = new Uint8Array(200_000).fill(0x41, 0, 150_000);
  const disk = place(12 * 1024 * 1024 + 1536, [
    { at: 0, bytes: ofMemory(stream('boot sector', 512)) },
    { at: 1 << 20, bytes: content },
    { at: 2 << 20, bytes: ofMemory(new Uint8Array(1 << 20)) },
    { at: 4 << 20, bytes: content },
    { at: 6 << 20, bytes: ofMemory(text) },
    { at: (7 << 20) + 100, bytes: concat([slice(content, 5, 70), zeros(3), slice(content, 100_000)]) },
    { at: (9 << 20) + 512, bytes: content },
    { at: 12 << 20, bytes: ofMemory(stream('end', 1536)) },
  ]);
  return { disk, source };
}
