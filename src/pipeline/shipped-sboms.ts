/** SBOMs that inputs bring along: of Talos in the root file system of its initramfs, of each extension in its image. */
import { readText } from '../bytes/read.ts';
import { ImagerError, withContext } from '../errors.ts';
import { decodeSquashfs } from '../formats/squashfs/decode.ts';
import { parseSpdx, SPDX_LIMIT } from '../report/spdx-document.ts';
import type { ShippedSbom } from '../report/spdx-merge.ts';
import { children, nameOf, resolve, type Tree } from '../tree/tree.ts';
import { acquireAssets } from './acquire.ts';
import { placeAssets } from './asset-places.ts';
import { keptRootfs } from './base-rootfs.ts';
import { pinnedBy, pinnedExtensions } from './build.ts';
import { reportedOrigin } from './describe-build.ts';
import { fetchExtensions } from './extension-images.ts';
import { pullBaseInstaller } from './installer-base.ts';
import type { Plan, PlannedInput, PlanRequest } from './plan.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

/** Where Talos 1.11 and later has its own, and where extensions have theirs (machinery constants SPDXPath and ExtensionSPDXPath). */
const OWN_DIRECTORY = 'usr/share/spdx';
const ADDED_DIRECTORY = 'usr/local/share/spdx';

const SUFFIX = '.spdx.json';

/** In one directory: Talos has a handful, extensions have one. */
const MOST_FILES = 256;

/**
 * What the inputs of a resolved plan say they consist of; fetches them where they are not here. An initramfs without any is told as a warning. Throws `dependency` for a document
 * that is broken, what acquiring throws.
 */
export async function collectSboms(workplace: Workplace, request: PlanRequest, plan: Plan): Promise<ShippedSbom[]> {
  const place = placeAssets(request).places.find(({ role }) => role === 'initramfs');
  const role = place?.in === 'image' ? 'imager-image' : 'initramfs';
  const own = place === undefined ? [] : await sbomsOfTalos(workplace, request, plan, inputOf(plan, role));
  return [
    ...own,
    ...(await sbomsOfExtensions(workplace, request, plan)),
    ...(await sbomsOfBaseInstaller(workplace, request, plan)),
  ];
}

function inputOf({ inputs }: Plan, role: PlannedInput['role']): PlannedInput {
  return inputs.find((input) => input.role === role)!;
}

async function sbomsOfTalos(
  workplace: Workplace,
  request: PlanRequest,
  plan: Plan,
  input: PlannedInput,
): Promise<ShippedSbom[]> {
  const { profile } = request;
  const assets = await acquireAssets(workplace, request, pinnedBy(plan));
  const store = await openWorkplaceStore(workplace);
  const lacking = (why: string): void =>
    workplace.onWarning?.(`SBOM: ${why}: what Talos ${profile.version} consists of is not listed`);
  let tree: Tree;
  try {
    const { image } = await keptRootfs(workplace, store, assets.file('initramfs'));
    ({ tree } = await decodeSquashfs(image, workplace.platform.compression));
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code !== 'invalid-input') throw error;
    lacking(`initramfs: ${error.message}`);
    return [];
  }
  const found = await sbomsIn(tree, OWN_DIRECTORY, input);
  if (found.length === 0) lacking(`no ${SUFFIX} in /${OWN_DIRECTORY} of the initramfs`);
  return found;
}

async function sbomsOfExtensions(workplace: Workplace, { profile }: PlanRequest, plan: Plan): Promise<ShippedSbom[]> {
  const inputs = plan.inputs.filter(({ role }) => role === 'system-extension');
  if (inputs.length === 0) return [];
  const { extensions } = await fetchExtensions(workplace, profile, pinnedExtensions(plan.inputs));
  const found: ShippedSbom[] = [];
  for (const [index, { extension }] of extensions.entries()) {
    found.push(...(await sbomsIn(extension.rootfs, ADDED_DIRECTORY, inputs[index]!)));
  }
  return found;
}

async function sbomsOfBaseInstaller(
  workplace: Workplace,
  { profile }: PlanRequest,
  plan: Plan,
): Promise<ShippedSbom[]> {
  if (profile.output.kind !== 'installer') return [];
  const { tree } = await pullBaseInstaller(workplace, profile, pinnedBy(plan).get('base-installer'));
  return sbomsIn(tree, OWN_DIRECTORY, inputOf(plan, 'base-installer'));
}

async function sbomsIn(tree: Tree, directory: string, input: PlannedInput): Promise<ShippedSbom[]> {
  const place = resolve(tree, directory);
  if (place?.kind !== 'directory') return [];
  const files = children(tree, place.path).filter(({ kind, path }) => kind === 'file' && path.endsWith(SUFFIX));
  const { from } = reportedOrigin(input);
  if (files.length > MOST_FILES) {
    throw new ImagerError('dependency', `${from}: ${files.length} SBOMs in /${place.path}, want at most ${MOST_FILES}`);
  }
  const found: ShippedSbom[] = [];
  for (const entry of files) {
    if (entry.kind !== 'file') continue;
    const what = `${from}: ${entry.path}`;
    try {
      const document = parseSpdx(await readText(entry.content, what, SPDX_LIMIT), what);
      found.push({ input: reportedOrigin(input), file: nameOf(entry.path), document });
    } catch (error) {
      throw asDependency(error);
    }
  }
  return found;
}

/** What images contain is nobody's wrong input. */
function asDependency(error: unknown): unknown {
  if (!(error instanceof ImagerError) || error.code !== 'invalid-input') return withContext('SBOM', error);
  return new ImagerError('dependency', `SBOM of ${error.message}`, {
    cause: error,
    hint: 'an SBOM that lacks a part would be wrong; reports of other forms do not need it',
  });
}
