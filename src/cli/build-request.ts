/** What a command line asks for: its flags, the files they name and standard input, read into one request. */
import { ImagerError } from '../errors.ts';
import type { OverlayProfiles } from '../overlays/profiles.ts';
import { parseAssetSource } from '../pipeline/asset-source.ts';
import type { CatalogOptions } from '../pipeline/catalog.ts';
import { parseCompression } from '../pipeline/compression.ts';
import { parseEpoch } from '../pipeline/epoch.ts';
import type { MetaOrigin, PlanRequest } from '../pipeline/plan.ts';
import { defaultStoreDirectory, type Workplace } from '../pipeline/workplace.ts';
import { BUILT_IN_PROFILES } from '../profiles/built-in.ts';
import { completeProfile } from '../profiles/complete.ts';
import { DEFAULT_TALOS_VERSION, ENROLMENT_FILES } from '../profiles/defaults.ts';
import { parseProfile } from '../profiles/parse.ts';
import type { GivenProfile } from '../profiles/profile.ts';
import { type FinalProfile, finaliseProfile, resolveProfile } from '../profiles/resolve.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import { FLAGS, type FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { type NamedImages, parseMetaFlags, profileFromFlags, readMetaValues, SMALLEST } from './profile-from-flags.ts';
import { readText } from './text-input.ts';
import { transportOf } from './transport-flags.ts';
import { trustOf } from './trust-flags.ts';

/** A profile document is a page or two; embedded machine configuration may be inside. */
export const PROFILE_LIMIT: number = 8 << 20;

export interface BuildRequest {
  readonly request: PlanRequest;
  /** What a plan cannot know: flags and documents that say something other than what somebody may think. */
  readonly warnings: readonly string[];
  /** `host[:port]` of catalogs that were asked, or would be again. */
  readonly hosts: readonly string[];
}

/** When the image of an overlay is fetched for the profiles in it: they come before built-in ones of the same name. */
export type OverlayContact = 'always' | 'for unknown profiles' | 'never';

interface Given {
  readonly profile: GivenProfile;
  readonly meta: readonly MetaOrigin[];
  readonly warnings: readonly string[];
  readonly hosts: readonly string[];
}

/** `profileName` is a base profile or `-`. Throws `usage`, `invalid-input`, `unsupported`, and `io` for files that flags name. */
export async function readBuildRequest(
  profileName: string,
  flags: FlagValues,
  io: Io,
  contacts: OverlayContact = 'always',
): Promise<BuildRequest> {
  const assets = flags.text.get('imager-image');
  const grubDirectory = flags.text.get('grub-dir');
  const epoch = parseEpoch(io.platform.environment.SOURCE_DATE_EPOCH);
  const options = {
    epoch,
    ...(assets === undefined ? {} : { assets: parseAssetSource(assets) }),
    ...(grubDirectory === undefined ? {} : { grubDirectory }),
    skipNetworkCheck: flags.switches.has('no-validate'),
  };
  const compression = profileName === '-' ? undefined : flags.text.get('compression');
  const { level } = compression === undefined ? {} : parseCompression(compression);
  const given =
    profileName === '-' ? await givenOnStdin(flags, io) : await givenByFlags(profileName, flags, io, contacts);
  const overlay = await overlayProfilesOf(given.profile, contacts, flags, io);
  const finalised = await finalise(given, overlay.profiles, flags, io);
  const isSmallest = profileName !== '-' && flags.text.get('image-disk-size') === SMALLEST;
  const profile = isSmallest ? (await import('../pipeline/disk-plan.ts')).withSmallestDisk(finalised) : finalised;
  return {
    request: {
      ...options,
      ...(level === undefined ? {} : { compressionLevel: level }),
      profile,
      metaOrigins: given.meta,
    },
    warnings: [
      ...given.warnings,
      ...overlay.warnings,
      ...versionWarnings(profile),
      ...(profileName === '-' ? [] : sizeWarnings(profile, flags)),
    ],
    hosts: given.hosts,
  };
}

async function givenByFlags(name: string, flags: FlagValues, io: Io, contacts: OverlayContact): Promise<Given> {
  const { platform } = io;
  const { files } = platform;
  const stdin = (): Io['stdin'] => io.stdin;
  const meta = await readMetaValues(parseMetaFlags(flags), { files, stdin });
  const { hosts, ...named } = await namedImages(flags, io, contacts);
  const inputs = { files: platform.files, hostArchitecture: platform.architecture, named };
  return { profile: await profileFromFlags(name, flags, meta, inputs), meta, warnings: [], hosts };
}

/** Asks catalogs, if anything was given by name. Throws `usage` where nothing may be asked. */
async function namedImages(
  flags: FlagValues,
  io: Io,
  contacts: OverlayContact,
): Promise<NamedImages & Pick<Given, 'hosts'>> {
  const names = flags.lists.get('system-extension') ?? [];
  const overlayName = flags.text.get('overlay-name') ?? '';
  const isOverlayNamed = overlayName !== '' && (flags.text.get('overlay-image') ?? '') === '';
  if (names.length === 0 && !isOverlayNamed) return { extensions: [], hosts: [] };
  if (contacts === 'never') {
    const [flag, image, name] = isOverlayNamed
      ? ['--overlay-name', '--overlay-image', overlayName]
      : ['--system-extension', '--system-extension-image', names[0]];
    throw new ImagerError('usage', `flag ${flag} ${name}: a catalog has its image, and nothing may be asked`, {
      hint: `give the image with ${image}`,
    });
  }
  const { catalogHosts, resolveExtensionNames, resolveOverlayName } = await import('../pipeline/catalog.ts');
  const { parseWantedExtension } = await import('../extensions/catalog.ts');
  const wanted = names.map(parseWantedExtension);
  const workplace = await workplaceOf(flags, io);
  const version = flags.text.get('talos-version') ?? DEFAULT_TALOS_VERSION;
  const options = (flag: string): CatalogOptions => ({ version, catalogs: flags.lists.get(flag) ?? [] });
  const named = await resolveExtensionNames(workplace, wanted, options('extension-catalog'));
  const extensions = named.references;
  if (!isOverlayNamed) return { extensions, hosts: await catalogHosts(workplace, named.catalogs) };
  const overlay = await resolveOverlayName(workplace, overlayName, options('overlay-catalog'));
  const hosts = await catalogHosts(workplace, [...named.catalogs, ...overlay.catalogs]);
  return { extensions, overlay: overlay.reference, hosts };
}

async function givenOnStdin(flags: FlagValues, io: Io): Promise<Given> {
  // Upstream reads and then drops them.
  parseMetaFlags(flags);
  if (io.stdinIsTTY)
    throw new ImagerError('usage', 'profile -: standard input is a terminal, want a profile document', {
      hint: 'imager - < profile.yaml',
    });
  const text = await readText(io.stdin, PROFILE_LIMIT, 'standard input');
  const { profile, warnings } = parseProfile(text.replace(/^\uFEFF/, ''), { file: 'standard input' });
  return { profile, meta: [], warnings: [...ignoredFlags(flags, profile.version), ...warnings], hosts: [] };
}

function ignoredFlags({ text, lists, switches }: FlagValues, version: string): string[] {
  const isGiven = (name: string): boolean => text.has(name) || lists.has(name) || switches.has(name);
  const names = FLAGS.filter(({ name, mapsToProfile }) => mapsToProfile && isGiven(name)).map(({ name }) => name);
  if (version !== '' && text.has('talos-version') && text.get('talos-version') !== version) names.push('talos-version');
  if (names.length === 0) return [];
  const flags = names.map((name) => `--${name}`).join(', ');
  return [`standard input has the whole profile: ${flags} ${names.length === 1 ? 'has' : 'have'} no effect`];
}

async function overlayProfilesOf(
  given: GivenProfile,
  contacts: OverlayContact,
  flags: FlagValues,
  io: Io,
): Promise<OverlayProfiles> {
  const { overlay, baseProfileName, input } = completeProfile(given);
  const isKnown = contacts === 'for unknown profiles' && BUILT_IN_PROFILES.has(baseProfileName);
  if (overlay === null || baseProfileName === '' || contacts === 'never' || isKnown) {
    return { profiles: new Map(), warnings: [] };
  }
  const { fetchOverlayProfiles } = await import('../pipeline/overlay-image.ts');
  return fetchOverlayProfiles(await workplaceOf(flags, io, { profile: { input } }), overlay, baseProfileName);
}

async function finalise(
  given: Given,
  overlayProfiles: OverlayProfiles['profiles'],
  flags: FlagValues,
  { platform }: Io,
): Promise<FinalProfile> {
  const existingSecureBootFiles = new Set<string>();
  for (const path of Object.values(ENROLMENT_FILES)) {
    if ((await platform.files.info(path)) !== undefined) existingSecureBootFiles.add(path);
  }
  const defaultVersion = flags.text.get('talos-version') ?? DEFAULT_TALOS_VERSION;
  return finaliseProfile(resolveProfile(given.profile, { overlayProfiles }), {
    defaultVersion,
    existingSecureBootFiles,
  });
}

function sizeWarnings({ output }: FinalProfile, { text }: FlagValues): string[] {
  if (output.kind === 'image' || !text.has('image-disk-size')) return [];
  return [`flag --image-disk-size: has no effect on ${output.kind}, which is no disk`];
}

/** Custom builds may be tagged in any way, so these are no errors. */
function versionWarnings({ version }: FinalProfile): string[] {
  if (parseTalosVersion(version) === undefined)
    return [`Talos version ${version}: not like v1.13.0, so what that release needs is a guess`];
  if (!/^\s*v/.test(version)) return [`Talos version ${version}: releases are tagged with a v, v${version}`];
  return [];
}

/** What `workplaceOf` may be told besides the flags. */
export interface WorkplaceOptions {
  /** Names the rules for signatures where no flag does. */
  readonly profile?: { readonly input?: { readonly policy?: string } };
  readonly onWarning?: (text: string) => void;
}

/** Where and how the inputs of a build are reached, and whose they may be. Throws `invalid-input` for mirrors and policies, `io`. */
export async function workplaceOf(flags: FlagValues, io: Io, options: WorkplaceOptions = {}): Promise<Workplace> {
  const { platform, signal } = io;
  const hostsDir = flags.text.get('hosts-dir');
  return {
    platform,
    store: flags.text.get('store') ?? defaultStoreDirectory(platform),
    transport: await transportOf(
      {
        mirror: flags.lists.get('mirror') ?? [],
        ...(hostsDir === undefined ? {} : { hostsDir }),
        insecure: flags.switches.has('insecure'),
        offline: flags.switches.has('offline'),
      },
      platform,
    ),
    trust: await trustOf(flags, io, { policy: options.profile?.input?.policy, onWarning: options.onWarning }),
    overlayPrograms: flags.switches.has('allow-overlay-program') ? 'allowed' : 'verified',
    signal,
  };
}
