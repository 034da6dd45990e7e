/**
 * The initramfs with system extensions in it (spec profiles-and-inputs 7). What is slow, file systems and index files, is made once per content and
 * kept in the store: another build of the same extensions only puts references together.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, concat } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError, withContext } from '../errors.ts';
import { type BaseModules, readBaseModules } from '../extensions/base-rootfs.ts';
import { checkKernel } from '../extensions/check.ts';
import { takeMicrocode } from '../extensions/cpu-microcode.ts';
import { embeddedConfigEntries, embeddedConfigMetadata } from '../extensions/embedded-config.ts';
import { mergeFirmware, takeFirmware } from '../extensions/firmware.ts';
import { layerOrder, layersArchive, microcodeArchive, type SquashedLayer } from '../extensions/initramfs.ts';
import { keptSquashfs } from '../extensions/kept-squashfs.ts';
import { combineModules, kernelsOf, MODULES_IMAGE, modulesMetadata } from '../extensions/kernel-modules.ts';
import { nodeTree } from '../extensions/node-tree.ts';
import { refuseErrors } from '../extensions/problem.ts';
import { type SquashfsOptions, squashfsMaker, squashfsOf, writeSquashfs } from '../formats/squashfs/write.ts';
import type { Store } from '../oci/store/store.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { subtree, type Tree, treeOf } from '../tree/tree.ts';
import { keptRootfs } from './base-rootfs.ts';
import { compressContent } from './compress-content.ts';
import { planCompression } from './compression.ts';
import { type FetchedExtension, fetchExtensions } from './extension-images.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

/** Revised when the same extension gives another file system. */
const REVISION = 1;

export interface ExtensionWishes {
  readonly profile: FinalProfile;
  /** Seconds since 1970, of everything that is added. */
  readonly epoch: number;
  /** Digests a plan decided on, in the order of the profile's extensions. */
  readonly pinned: readonly (Digest | undefined)[];
  /** Of the kernel that starts it, where that is known. */
  readonly kernelVersion?: string | undefined;
}

/**
 * `base` with what the profile adds to it, compressed as its Talos version reads it. Throws `dependency` for extensions that are broken or for another
 * kernel, what fetching, packing and the store throw, `canceled`.
 */
export async function extendInitramfs(workplace: Workplace, base: Bytes, wishes: ExtensionWishes): Promise<Bytes> {
  const { profile, epoch, pinned, kernelVersion } = wishes;
  const { extensions, warnings } = await fetchExtensions(workplace, profile, pinned);
  // A plan that saw them has said it.
  if (pinned.includes(undefined)) for (const one of warnings) workplace.onWarning?.(`system extension ${one}`);
  const all = [...extensions, ...embeddedConfig(profile)];
  const layout: Layout = {
    workplace,
    store: await openWorkplaceStore(workplace),
    epoch,
    modulesPath: profile.traits.modulesPath.slice(1),
    firmwarePath: profile.traits.firmwarePath.slice(1),
    squashfs: { epoch, compressor: compressorOf(profile) },
  };
  // First, because it can refuse: what was packed before would be for nothing.
  const modules = await modulesLayer(layout, base, extensions, kernelVersion);
  const parts: PackedExtension[] = [];
  for (const index of layerOrder(all.length)) parts.push(await packExtension(layout, all[index]!, `${index}.sqsh`));
  const layers = [...parts.map(({ layer }) => layer), ...modules];
  const firmware = mergeFirmware(parts.map((part) => part.firmware));
  const head = microcodeArchive(
    parts.map(({ microcode }) => microcode),
    epoch,
  );
  const archive = layersArchive({ layers, firmware }, epoch);
  const tail = await compressContent(workplace, { bytes: archive, name: '', epoch }, archiveCompression(profile));
  return concat([...(head === undefined ? [] : [head]), base, tail.bytes]);
}

/** Who packs extensions for `profile` on this machine: the same names give the same bytes. */
export function packersOf({ platform }: Workplace, profile: FinalProfile, epoch: number): string[] {
  const squashfs = squashfsMaker({ epoch, compressor: compressorOf(profile) }, platform);
  const { format, level } = archiveCompression(profile);
  return [squashfs, planCompression(platform.compression, format, level).encoder];
}

interface Layout {
  readonly workplace: Workplace;
  readonly store: Store;
  readonly epoch: number;
  readonly modulesPath: string;
  readonly firmwarePath: string;
  readonly squashfs: SquashfsOptions;
}

/** As hard as upstream tries. */
const ZSTD_LEVEL = 18;
const XZ_LEVEL = 9;

function compressorOf({ traits }: FinalProfile): SquashfsOptions['compressor'] {
  return traits.compression === 'zstd' ? { name: 'zstd', level: ZSTD_LEVEL } : { name: 'xz' };
}

function archiveCompression({ traits }: FinalProfile): Parameters<typeof compressContent>[2] {
  return traits.compression === 'zstd' ? { format: '.zst', level: ZSTD_LEVEL } : { format: '.xz', level: XZ_LEVEL };
}

/** An extension as any other, behind those of the list. */
function embeddedConfig({ customization }: FinalProfile): FetchedExtension[] {
  if (customization.embeddedMachineConfiguration === '') return [];
  const config = new TextEncoder().encode(customization.embeddedMachineConfiguration);
  const rootfs = subtree(treeOf(embeddedConfigEntries(config)), 'rootfs');
  const metadata = embeddedConfigMetadata(config);
  const digest = `sha256:${metadata.version}` as Digest;
  return [{ name: metadata.name, digest, extension: { metadata, rootfs, warnings: [] } }];
}

interface PackedExtension {
  readonly layer: SquashedLayer;
  readonly microcode: ReturnType<typeof takeMicrocode>['microcode'];
  readonly firmware: ReturnType<typeof takeFirmware>['firmware'];
}

async function packExtension(
  { workplace, store, epoch, firmwarePath, squashfs }: Layout,
  { name, digest, extension }: FetchedExtension,
  image: string,
): Promise<PackedExtension> {
  const { microcode, rest: withFirmware } = takeMicrocode(nodeTree(extension.rootfs, epoch), firmwarePath);
  const { firmware, rest } = takeFirmware(withFirmware, firmwarePath);
  const identity = { source: digest, changes: { extension: REVISION, firmwarePath } };
  const { total, watch } = watchOf(workplace, name, rest);
  workplace.onProgress?.({ task: `packing ${name}`, done: 0, total, unit: 'bytes' });
  try {
    const content = await keptSquashfs(store, workplace.platform, identity, rest, squashfs, watch);
    return { layer: { image, metadata: extension.metadata, content }, microcode, firmware };
  } catch (error) {
    throw withContext(`system extension ${name}`, error);
  }
}

function watchOf(
  { signal, onProgress }: Workplace,
  name: string,
  { entries }: Tree,
): { readonly total: number; readonly watch: Parameters<typeof keptSquashfs>[5] } {
  const total = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.content.size : 0), 0);
  let done = 0;
  const onDone = (length: number): void => {
    done += length;
    onProgress?.({ task: `packing ${name}`, done, total, unit: 'bytes' });
  };
  return { total, watch: { ...(signal === undefined ? {} : { signal }), onDone } };
}

/** Each may be given as a file of its own. */
function otherKernel(kernelVersion: string, modules: BaseModules): ImagerError {
  return new ImagerError(
    'dependency',
    `kernel ${kernelVersion}: the modules of the initramfs and its extensions are for ${modules.kernelVersion}`,
    { hint: 'want kernel and initramfs of one build: --kernel goes with --initramfs' },
  );
}

/** One more extension with the index files for all modules; none when no extension has modules. */
async function modulesLayer(
  layout: Layout,
  base: Bytes,
  extensions: readonly FetchedExtension[],
  kernelVersion: string | undefined,
): Promise<SquashedLayer[]> {
  const { workplace, store, modulesPath, squashfs, epoch } = layout;
  const { platform, signal, onWarning } = workplace;
  const having = extensions.filter(({ extension }) => kernelsOf(extension.rootfs, modulesPath) !== undefined);
  if (having.length === 0) return [];
  const { source, modules } = await modulesOfBase(layout, base);
  refuseErrors(checkKernel(having, { modulesPath }, modules.kernelVersion, 'the initramfs'));
  if (kernelVersion !== undefined && kernelVersion !== modules.kernelVersion) throw otherKernel(kernelVersion, modules);
  const order = layerOrder(extensions.length).flatMap((index) =>
    having.includes(extensions[index]!) ? [extensions[index]!] : [],
  );
  const made = await store.derived(
    {
      source: digestOf([source, ...order.map(({ digest }) => digest)]),
      kind: 'modules.dep',
      parameters: { revision: REVISION, modulesPath, maker: squashfsMaker(squashfs, platform), options: squashfs },
    },
    async (sink) => {
      const trees = order.map(({ extension }) => extension.rootfs);
      const { rootfs, warnings } = await combineModules(modules, trees, modulesPath, platform.compression, signal);
      for (const warning of warnings) onWarning?.(`kernel modules: ${warning}`);
      await writeSquashfs(nodeTree(rootfs, epoch), squashfs, platform, sink, signal === undefined ? {} : { signal });
    },
    signal === undefined ? {} : { signal },
  );
  return [{ image: MODULES_IMAGE, metadata: modulesMetadata(modules.kernelVersion), content: squashfsOf(made) }];
}

function digestOf(parts: readonly string[]): string {
  return `sha256:${toHex(sha256(new TextEncoder().encode(JSON.stringify(parts))))}`;
}

interface ModulesOfBase {
  /** Names the base. */
  readonly source: string;
  readonly modules: BaseModules;
}

async function modulesOfBase({ workplace, store, modulesPath }: Layout, base: Bytes): Promise<ModulesOfBase> {
  try {
    const { source, image } = await keptRootfs(workplace, store, base);
    const { signal, platform } = workplace;
    const options = signal === undefined ? {} : { signal };
    return { source, modules: await readBaseModules(image, modulesPath, platform.compression, options) };
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code !== 'invalid-input') throw error;
    throw new ImagerError('dependency', `kernel modules: ${error.message}`, { cause: error });
  }
}
