/** What a plan can describe and this release cannot build: said at plan time, in one place, and never half done. */
import type { Profile } from '../profiles/profile.ts';
import { unsupportedSigning } from './secureboot.ts';

/** One sentence per reason; none means that the profile can be built. */
export function unsupportedReasons(profile: Profile): string[] {
  return unsupportedSigning(profile).map((reason) => `${reason}: not supported by this release`);
}
