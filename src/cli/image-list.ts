/** Which images a command line means. */
import { distinctImages, type ImageList, imagesOfProfile, imagesOfRelease } from '../pipeline/image-list.ts';
import { BUILT_IN_PROFILE_NAMES } from '../profiles/built-in.ts';
import { PROFILE_LIMIT, readBuildRequest } from './build-request.ts';
import { camelCase, FLAGS, type FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import type { ImageListFlags } from './mirror-flags.ts';

/** Flags of a build that say how images are reached and who may have signed them. */
const REACH: readonly string[] = [
  ...['imager-image', 'mirror', 'hosts-dir', 'insecure', 'offline', 'store', 'policy', 'trusted-root', 'tuf-url'],
  ...['tuf-root', 'verify-key', 'verify-identity', 'verify-identity-regexp', 'verify-issuer', 'verify-issuer-regexp'],
  'allow-unsigned',
];

/** Those that are named, those of the profiles, those of the releases; each once. Throws `invalid-input`, `unsupported`, `io`. */
export async function readImageList(flags: ImageListFlags, io: Io): Promise<ImageList> {
  const { image = [], profile = [], talosVersion = [], kubernetesVersion } = flags;
  const lists: ImageList[] = [{ images: image, warnings: [] }];
  for (const name of profile) {
    for (const version of talosVersion.length === 0 ? [undefined] : talosVersion) {
      lists.push(await listOfProfile(name, version, flags, io));
    }
  }
  for (const version of talosVersion) lists.push(imagesOfRelease(version, kubernetesVersion));
  return {
    images: distinctImages(lists.flatMap(({ images }) => images)),
    warnings: [...new Set(lists.flatMap(({ warnings }) => warnings))],
  };
}

async function listOfProfile(
  name: string,
  version: string | undefined,
  flags: ImageListFlags,
  io: Io,
): Promise<ImageList> {
  const { text, lists, switches } = reachOf(flags);
  if (version !== undefined) text.set('talos-version', version);
  const isDocument = !BUILT_IN_PROFILE_NAMES.includes(name);
  if (flags.arch !== undefined && !isDocument) text.set('arch', flags.arch);
  const values: FlagValues = { text, lists, switches };
  const around = isDocument && name !== '-' ? { ...ioOf(io), ...(await documentAsInput(name, io)) } : io;
  const { request, warnings } = await readBuildRequest(isDocument ? '-' : name, values, around, 'for unknown profiles');
  return { images: imagesOfProfile(request), warnings };
}

function reachOf(flags: ImageListFlags): {
  readonly text: Map<string, string>;
  readonly lists: Map<string, readonly string[]>;
  readonly switches: Set<string>;
} {
  const given = {
    text: new Map<string, string>(),
    lists: new Map<string, readonly string[]>(),
    switches: new Set<string>(),
  };
  const values: Readonly<Record<string, unknown>> = { ...flags };
  for (const { name, kind } of FLAGS) {
    const value = REACH.includes(name) ? values[camelCase(name)] : undefined;
    if (value === undefined) continue;
    if (kind === 'text') given.text.set(name, String(value));
    else if (kind === 'list') given.lists.set(name, value as readonly string[]);
    else if (value === true) given.switches.add(name);
  }
  return given;
}

/** Without opening standard input, which is a getter. */
function ioOf({ platform, stdout, stderr, signal, now }: Io): Omit<Io, 'stdin' | 'stdinIsTTY'> {
  return { platform, stdout, stderr, signal, now };
}

async function documentAsInput(path: string, { platform }: Io): Promise<Pick<Io, 'stdin' | 'stdinIsTTY'>> {
  const data = await platform.files.read(path, PROFILE_LIMIT);
  const stdin = (async function* () {
    yield data;
  })();
  return { stdin, stdinIsTTY: false };
}
