/** Which images a command line means. */
import { distinctImages, type ImageList, imagesOfProfile, imagesOfRelease } from '../pipeline/image-list.ts';
import { BUILT_IN_PROFILE_NAMES } from '../profiles/built-in.ts';
import { readBuildRequest } from './build-request.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import type { ImageListFlags } from './mirror-flags.ts';

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
  { arch, imagerImage }: ImageListFlags,
  io: Io,
): Promise<ImageList> {
  const text = new Map<string, string>();
  if (version !== undefined) text.set('talos-version', version);
  if (imagerImage !== undefined) text.set('imager-image', imagerImage);
  const isDocument = !BUILT_IN_PROFILE_NAMES.includes(name);
  if (arch !== undefined && !isDocument) text.set('arch', arch);
  const values: FlagValues = { text, lists: new Map(), switches: new Set() };
  const around = isDocument && name !== '-' ? { ...ioOf(io), ...(await documentAsInput(name, io)) } : io;
  const { request, warnings } = await readBuildRequest(isDocument ? '-' : name, values, around);
  return { images: imagesOfProfile(request), warnings };
}

/** Without opening standard input, which is a getter. */
function ioOf({ platform, stdout, stderr, signal, now }: Io): Omit<Io, 'stdin' | 'stdinIsTTY'> {
  return { platform, stdout, stderr, signal, now };
}

/** A profile document is a page or two; embedded machine configuration may be inside. */
const PROFILE_LIMIT = 8 << 20;

async function documentAsInput(path: string, { platform }: Io): Promise<Pick<Io, 'stdin' | 'stdinIsTTY'>> {
  const data = await platform.files.read(path, PROFILE_LIMIT);
  const stdin = (async function* () {
    yield data;
  })();
  return { stdin, stdinIsTTY: false };
}
