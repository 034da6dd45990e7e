/** System extensions as trees: fetched where they are not here, opened, and checked together. */
import { ofSource } from '../bytes/bytes.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError, withContext } from '../errors.ts';
import { checkExtensions, type NamedExtension } from '../extensions/check.ts';
import { type Extension, openExtension } from '../extensions/layout.ts';
import { type ExtensionProblem, refuseErrors } from '../extensions/problem.ts';
import { indexTarBytes } from '../formats/tar/tar-index.ts';
import { flatten } from '../oci/layer/flatten.ts';
import { DEFAULT_TALOS_VERSION } from '../profiles/defaults.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import type { Tree } from '../tree/tree.ts';
import { type ExtensionSource, extensionSources, nameOfExtension } from './extension-source.ts';
import { pullImage } from './imager-image.ts';
import { checkPinned, digestOfContent } from './input-digest.ts';
import type { Workplace } from './workplace.ts';

export interface FetchedExtension extends NamedExtension {
  /** Of the image's manifest for the architecture, or of the tarball. */
  readonly digest: Digest;
}

export interface FetchedExtensions {
  readonly extensions: readonly FetchedExtension[];
  /** One line each. */
  readonly warnings: readonly string[];
}

/**
 * Those of the profile, in its order. `pinned` are the digests a plan decided on. Throws `dependency` with everything that is wrong with any of them,
 * each with its file and the rule it breaks; what pulling throws.
 */
export async function fetchExtensions(
  workplace: Workplace,
  profile: FinalProfile,
  pinned: readonly (Digest | undefined)[] = [],
): Promise<FetchedExtensions> {
  const sources = extensionSources(profile);
  const fetched: FetchedExtension[] = [];
  const problems: ExtensionProblem[] = [];
  for (const [index, source] of sources.entries()) {
    const name = nameOfExtension(source);
    const { tree, digest } = await fetchTree(workplace, source, profile.arch, pinned[index], 'system extension');
    const opened = await openOrTell(tree, name);
    if ('problem' in opened) problems.push(opened.problem);
    else fetched.push({ name, digest, extension: opened });
  }
  if (fetched.length > 0) problems.push(...(await checkExtensions(fetched, checkOptionsOf(profile))));
  return { extensions: fetched, warnings: refuseErrors(problems) };
}

/** What extensions are held to. A version that is none stands for the newest we know. */
export function checkOptionsOf({ version, traits }: FinalProfile): Parameters<typeof checkExtensions>[1] {
  return {
    version: parseTalosVersion(version) ?? parseTalosVersion(DEFAULT_TALOS_VERSION)!,
    modulesPath: traits.modulesPath.slice(1),
    firmwarePath: traits.firmwarePath.slice(1),
  };
}

async function openOrTell(tree: Tree, name: string): Promise<Extension | { readonly problem: ExtensionProblem }> {
  try {
    return await openExtension(tree, name);
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code !== 'invalid-input') throw error;
    const message = error.message.replaceAll(`${name}: `, '');
    const rule = message.startsWith('manifest.yaml:') ? 'manifest' : 'layout';
    return { problem: { severity: 'error', rule, extension: name, message } };
  }
}

export interface FetchedTree {
  readonly tree: Tree;
  /** Of the image's manifest for the architecture, or of the tarball. */
  readonly digest: Digest;
}

/** What a container asset holds, fetched where it is not here; `what` is how messages begin. Throws what pulling throws. */
export async function fetchTree(
  workplace: Workplace,
  source: ExtensionSource,
  architecture: string,
  pinned: Digest | undefined,
  what: string,
): Promise<FetchedTree> {
  if (source.kind === 'tarball') return openTarball(workplace, source.file, pinned, what);
  const { transport } = workplace;
  const around = {
    ...workplace,
    transport: { ...transport, insecure: transport.insecure === true || source.insecure },
  };
  try {
    const { tree, manifestDigest } = await pullImage(around, source.image, architecture, pinned);
    return { tree, digest: manifestDigest };
  } catch (error) {
    throw asDependency(what, error);
  }
}

/** Whatever such an asset cannot be had from is no mistake in the profile: upstream has one exit code for all of it. */
function asDependency(context: string, error: unknown): unknown {
  const told = withContext(context, error);
  if (!(told instanceof ImagerError) || (told.code !== 'invalid-input' && told.code !== 'io')) return told;
  const details = told.hint === undefined ? { cause: error } : { cause: error, hint: told.hint };
  return new ImagerError('dependency', told.message, details);
}

/** As upstream has it: plain, the root of the file system, no whiteouts. */
async function openTarball(
  workplace: Workplace,
  file: string,
  pinned: Digest | undefined,
  what: string,
): Promise<FetchedTree> {
  try {
    const source = await workplace.platform.files.source(file);
    const content = ofSource(source);
    const digest = await digestOfContent(workplace, content);
    checkPinned('content', digest, pinned);
    return { tree: flatten([{ label: 'tarball', entries: await indexTarBytes(content), source }]), digest };
  } catch (error) {
    throw asDependency(`${what} ${file}`, error);
  }
}
