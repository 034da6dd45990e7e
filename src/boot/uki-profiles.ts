/** Profiles of a UKI: menu entries that start the same kernel with another command line. Source: spec boot-and-images 1.1. */
import { invalid } from '../errors.ts';
import type { OutputKind } from '../profiles/profile.ts';
import { UKI_PROFILES } from '../profiles/uki-profiles.ts';

export interface UkiProfile {
  readonly id: string;
  readonly title?: string;
  /** The whole command line; absent means that of the main profile. */
  readonly cmdline?: string;
}

export const MAIN_PROFILE: UkiProfile = { id: 'main' };

/** What a UKI for this output kind offers beside the main profile: the same command line with more behind it. */
export function extraUkiProfiles(kind: OutputKind, cmdline: string): UkiProfile[] {
  return UKI_PROFILES[kind].map(({ id, title, extraArguments }) => ({
    id,
    title,
    cmdline: [cmdline, ...extraArguments].join(' '),
  }));
}

/** Content of a `.profile` section: no newline at the end. Throws `invalid-input` for line breaks in id or title. */
export function formatUkiProfile(profile: UkiProfile): string {
  for (const text of [profile.id, profile.title ?? '']) {
    if (/\p{Cc}/u.test(text))
      throw invalid(`UKI profile ${JSON.stringify(text)}: control characters, want one line of text`);
  }
  return profile.title === undefined ? `ID=${profile.id}` : `ID=${profile.id}\nTITLE=${profile.title}`;
}

/** Throws `invalid-input` when an id is missing, repeated or that of the main profile. */
export function checkExtraProfiles(profiles: readonly UkiProfile[]): void {
  const seen = new Set<string>([MAIN_PROFILE.id]);
  for (const { id } of profiles) {
    if (id === '' || seen.has(id))
      throw invalid(`UKI profile ${JSON.stringify(id)}: want an id of its own, other than main`);
    seen.add(id);
  }
}
