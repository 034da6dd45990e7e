/** What of an overlay is decided before anything is built: its images, and what its program answers. */
import { ImagerError } from '../errors.ts';
import { askOptions } from '../overlays/installer.ts';
import { installerProgram } from '../overlays/layout.ts';
import { encodeOptions, type OverlayAnswer } from '../overlays/protocol.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { describeSandbox, findSandbox } from '../sandbox/sandbox.ts';
import { diskDimensions } from './disk-plan.ts';
import { type ExtensionSource, nameOfExtension } from './extension-source.ts';
import { hostsOfImage } from './imager-image.ts';
import {
  type FetchedOverlay,
  fetchOverlay,
  fetchOverlayInstaller,
  overlayInstaller,
  overlayInstallerSource,
  overlaySource,
  requireRunnable,
} from './overlay-image.ts';
import type { PlannedInput, PlanOptions } from './plan.ts';
import { withScratch } from './scratch.ts';
import type { Workplace } from './workplace.ts';

/** What the overlay's program answered when it was asked. */
export interface PlannedOverlay {
  /** They replace by key what the platform has. */
  readonly kernelArgs: readonly string[];
  /** Sectors by which the entries of a disk's partition table are moved back. */
  readonly offset: number;
  /** As its program is told them, in YAML. */
  readonly options: string;
}

export interface OverlayPlan {
  readonly inputs: readonly PlannedInput[];
  /** `host[:port]` of what may be contacted for them. */
  readonly hosts: readonly string[];
  readonly warnings: readonly string[];
  /** Absent without an overlay, and in a plan that was not resolved. */
  readonly overlay?: PlannedOverlay;
}

/**
 * When resolving the image is fetched and its program asked: the kernel command line hangs on the answer. Throws `invalid-input` for a bad reference; when resolving also what
 * fetching and `askOptions` throw, `verification` for a program that may not run, `install` for an offset beyond the disk.
 */
export async function planOverlay(
  workplace: Workplace,
  profile: FinalProfile,
  { resolve }: PlanOptions,
): Promise<OverlayPlan> {
  if (profile.overlay === null) return { inputs: [], hosts: [], warnings: [] };
  const sources: [PlannedInput['role'], ExtensionSource][] = [['overlay', overlaySource(profile.overlay)]];
  if (profile.output.kind === 'installer') sources.push(['overlay-installer', overlayInstallerSource(profile)]);
  const inputs = sources.map(([role, source]): Omit<PlannedInput, 'digest'> => {
    return source.kind === 'tarball' ? { role, path: source.file } : { role, reference: nameOfExtension(source) };
  });
  const hosts = sources.flatMap(([, one]) => (one.kind === 'image' ? hostsOfImage(workplace, one.image) : []));
  if (!resolve) {
    const warning =
      'kernel arguments of the overlay are not in the command line: its program tells them, and it was not asked';
    return { inputs: inputs.map((input) => ({ ...input, digest: null })), hosts, warnings: [warning] };
  }
  const fetched = [await fetchOverlay(workplace, profile.overlay)];
  if (sources.length > 1) fetched.push(await fetchOverlayInstaller(workplace, profile));
  for (const image of fetched) installerProgram(image, profile.overlay.name);
  const asked = await ask(workplace, profile, fetched[0]!);
  return {
    inputs: inputs.map((input, index) => ({ ...input, digest: fetched[index]!.digest })),
    hosts,
    ...asked,
  };
}

async function ask(
  workplace: Workplace,
  profile: FinalProfile,
  fetched: FetchedOverlay,
): Promise<Required<Pick<OverlayPlan, 'overlay' | 'warnings'>>> {
  requireRunnable(workplace, fetched);
  const { platform, signal } = workplace;
  const sandbox = await findSandbox(platform, signal);
  const installer = overlayInstaller(fetched, profile);
  const { answer, warnings } = await withScratch(workplace, 'overlay', (scratch) =>
    askOptions(installer, {
      platform,
      sandbox,
      scratch,
      timeout: workplace.overlayTimeout,
      signal,
    }),
  );
  const note = `overlay ${fetched.image}: its program runs with no sandbox: ${describeSandbox(sandbox)}`;
  return {
    overlay: {
      kernelArgs: answer.kernelArgs,
      offset: offsetOf(answer, profile, fetched.image),
      options: encodeOptions(installer.options, installer.era),
    },
    warnings: sandbox.kind === 'plain' ? [note, ...warnings] : warnings,
  };
}

/** 0 for what is no disk. */
function offsetOf({ offset }: OverlayAnswer, profile: FinalProfile, image: string): number {
  if (profile.output.kind !== 'image') return 0;
  const { size, sectorSize } = diskDimensions(profile);
  if (offset * BigInt(sectorSize) < BigInt(size)) return Number(offset);
  throw new ImagerError(
    'install',
    `overlay ${image}: partition offset of ${offset} sectors (${offset * BigInt(sectorSize)} bytes): want less than the disk of ${size} bytes`,
    { hint: 'partitionOptions.offset counts sectors, not bytes' },
  );
}
