/** From what a user gives to a profile that can be built (specification profiles-and-inputs 1.6, steps 1 and 2). */
import { invalid } from '../errors.ts';
import { nearName, quoted } from '../yaml/diagnostic.ts';
import { BUILT_IN_PROFILES } from './built-in.ts';
import { completeProfile } from './complete.ts';
import { applyDefaults, DEFAULT_TALOS_VERSION } from './defaults.ts';
import { mergeProfiles } from './merge.ts';
import type { Architecture, GivenProfile, Output, OutputFormat, OutputKind, Profile } from './profile.ts';
import { type Traits, traitsOf } from './traits.ts';
import { checkBuildable, checkProfile, profileWarnings } from './validate.ts';

/** Where base profiles come from. */
export interface ResolveOptions {
  /** The profiles an overlay brings, by name: they come before built-in ones of the same name. */
  readonly overlayProfiles?: ReadonlyMap<string, GivenProfile>;
  readonly builtIns?: ReadonlyMap<string, GivenProfile>;
}

/**
 * `given` over the base profile it names, which need not exist when it names none. A base's own base is not looked at.
 * Throws `invalid-input` for an unknown base profile and for what `mergeProfiles` refuses.
 */
export function resolveProfile(given: GivenProfile, options: ResolveOptions = {}): Profile {
  const profile = completeProfile(given);
  if (profile.baseProfileName === '') return profile;
  const base = findBase(profile.baseProfileName, options);
  return { ...mergeProfiles(base, profile), baseProfileName: '' };
}

function findBase(name: string, options: ResolveOptions): Profile {
  const { overlayProfiles = new Map<string, GivenProfile>(), builtIns = BUILT_IN_PROFILES } = options;
  const found = overlayProfiles.get(name) ?? builtIns.get(name);
  if (found !== undefined) return completeProfile(found);
  const names = [...overlayProfiles.keys(), ...builtIns.keys()];
  const near = nearName(name, names);
  throw invalid(`base profile ${quoted(name)}: want one of ${names.join(', ')}`, {
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}

/** What of the building host and the caller goes into defaults. */
export interface FinaliseOptions {
  /** Talos version where the profile has none. */
  readonly defaultVersion?: string;
  /** Which of `ENROLMENT_FILES` exist on the building host, by path. */
  readonly existingSecureBootFiles?: ReadonlySet<string>;
}

/** A profile with all defaults that passed every check. Finalising it again changes nothing. */
export interface FinalProfile extends Profile {
  readonly arch: Architecture;
  readonly output: Output & { readonly kind: OutputKind; readonly outFormat: Exclude<OutputFormat, 'unknown'> };
  /** What its Talos version can do. Not part of the document. */
  readonly traits: Traits;
  /** What can be built but may surprise: one sentence each. */
  readonly warnings: readonly string[];
}

/** Throws `invalid-input` or `unsupported` for profiles that cannot be built. */
export function finaliseProfile(profile: Profile | FinalProfile, options: FinaliseOptions = {}): FinalProfile {
  // A second time would add the boot partition to the disk size once more, which is what upstream does.
  if ('traits' in profile) return profile;
  const { defaultVersion = DEFAULT_TALOS_VERSION, existingSecureBootFiles = new Set<string>() } = options;
  const traits = traitsOf(profile.version || defaultVersion);
  const complete = applyDefaults(profile, { traits, defaultVersion, existingSecureBootFiles });
  checkProfile(complete, traits);
  checkBuildable(profile, complete, traits);
  return { ...complete, traits, warnings: profileWarnings(profile, complete, traits) } as FinalProfile;
}
