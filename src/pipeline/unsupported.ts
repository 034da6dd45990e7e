/** What a plan can describe and this release cannot build yet: said at plan time, in one place, and never half done. */
import type { Profile } from '../profiles/profile.ts';

/** One sentence per reason; none means that the profile can be built. */
export function unsupportedReasons(profile: Profile): string[] {
  const { output } = profile;
  const reasons: (string | false)[] = [
    profile.secureboot === true && output.kind !== 'cmdline' && 'SecureBoot signing',
  ];
  return reasons.filter((reason) => reason !== false).map((reason) => `${reason}: not supported by this release`);
}
