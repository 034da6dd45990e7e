/** Volumes damaged at random: whatever a reader makes of them, it fails as it should or not at all. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Bytes, ofMemory, patch } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import { FUZZ_RUNS } from './vectors.ts';

/** Sectors of 512 bytes that have something in them, contents of other sources apart. */
export function metadataSectors(bytes: Bytes): number[] {
  const sectors = new Set<number>();
  for (const [index, extent] of bytes.extents.entries()) {
    if (extent.kind !== 'memory') continue;
    const start = bytes.starts[index]!;
    for (let at = start; at < start + extent.length; at += 512) sectors.add(Math.floor(at / 512) * 512);
  }
  return [...sectors];
}

/** Tries `read` with up to three bytes of these sectors changed: a quarter of `FUZZ_RUNS` times. */
export async function assertDamageIsRefused(
  bytes: Bytes,
  sectors: readonly number[],
  read: (damaged: Bytes) => Promise<unknown>,
): Promise<void> {
  const damage = fc.record({
    sector: fc.constantFrom(...sectors),
    at: fc.nat(511),
    value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
      let damaged = bytes;
      for (const { sector, at, value } of damages) {
        damaged = patch(damaged, [{ at: sector + at, bytes: ofMemory(Uint8Array.of(value)) }]);
      }
      try {
        await read(damaged);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 4), seed: 20261121 },
  );
}
