/** The profiles an overlay brings: base profiles by the names of their files. Source: spec profiles-and-inputs 8.4. */
import { readText } from '../bytes/read.ts';
import { ImagerError, withContext } from '../errors.ts';
import { parseProfile } from '../profiles/parse.ts';
import type { GivenProfile } from '../profiles/profile.ts';
import { type OverlayImage, profileFiles } from './layout.ts';

/** A profile is a page; what is larger is something else. */
const PROFILE_LIMIT = 1 << 20;

export interface OverlayProfiles {
  readonly profiles: ReadonlyMap<string, GivenProfile>;
  /** One line each. */
  readonly warnings: readonly string[];
}

/**
 * All of them by name. They are read leniently: fields nobody knows are ignored. Throws `invalid-input` with file, line and column where the one that is `wanted` is
 * broken; another that is broken is left out, with a warning.
 */
export async function overlayProfiles(overlay: OverlayImage, wanted: string): Promise<OverlayProfiles> {
  const profiles = new Map<string, GivenProfile>();
  const warnings: string[] = [];
  for (const [name, { path, content }] of profileFiles(overlay)) {
    try {
      const text = await readText(content, path, PROFILE_LIMIT);
      profiles.set(name, parseProfile(text, { file: path, unknownFields: 'ignore' }).profile);
    } catch (error) {
      const told = withContext(`overlay image ${overlay.image}`, error);
      if (name === wanted || !(told instanceof ImagerError) || told.code === 'io') throw told;
      warnings.push(told.message.split('\n')[0]!);
    }
  }
  return { profiles, warnings };
}
