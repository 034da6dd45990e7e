/** What goes into test ISOs and disk images where real programs judge them: contents of no meaning, a UKI made of them. */
import { buildUki } from '../../src/boot/uki.ts';
import { type Bytes, ofSource } from '../../src/bytes/bytes.ts';
import type { Traits } from '../../src/profiles/traits.ts';
import { memorySource, stream } from './bytes.ts';
import { syntheticInput } from './uki-inputs.ts';

export const EPOCH = 1559424892;
export const CMDLINE = 'console=ttyS0 a={b}';
export const kernel: Bytes = ofSource(memorySource(stream('kernel', 1_500_001)));
export const initramfs: Bytes = ofSource(memorySource(stream('initramfs', 3_000_003)));
export const loader: Bytes = ofSource(memorySource(stream('loader', 150_001)));

/** Of `kernel` and `initramfs`, for amd64. */
export function testUki(traits: Traits): ReturnType<typeof buildUki> {
  const parts = {
    stub: syntheticInput('stub-a.efi'),
    architecture: 'amd64',
    osRelease: 'ID=talos\n',
    cmdline: CMDLINE,
    kernelVersion: '6.18.44',
    kernel,
    initramfs,
    traits,
  } as const;
  return buildUki(parts, { timestamp: EPOCH, sharingAlignment: 65536 });
}
