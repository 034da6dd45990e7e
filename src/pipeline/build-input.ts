import type { PulledImage } from '../oci/store/store.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import type { Tree } from '../tree/tree.ts';
import type { Assets } from './acquire.ts';
import type { FetchedOverlay } from './overlay-image.ts';
import type { PlannedOverlay } from './overlay-plan.ts';
import type { SecureBoot } from './secureboot.ts';
import type { Workplace } from './workplace.ts';

/** Everything the builder of an output kind may use. */
export interface BuildInput {
  readonly workplace: Workplace;
  readonly profile: FinalProfile;
  /** Seconds since 1970. */
  readonly epoch: number;
  readonly cmdline: string;
  readonly assets: Assets;
  /** Absent when nothing is signed. */
  readonly secureBoot?: SecureBoot;
  /** What an installer is built on. */
  readonly baseInstaller?: PulledImage;
  /** What runs for disk images, and what it answered when it was asked. */
  readonly overlay?: { readonly fetched: FetchedOverlay; readonly planned: PlannedOverlay };
  /** The overlay image that goes into an installer. */
  readonly overlayInstaller?: FetchedOverlay;
  /** Images a node need not pull. */
  readonly imageCache?: Tree;
}
