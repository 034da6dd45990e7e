/** A directory for network boot: the files of one profile that a machine needs, an iPXE script that boots them, and their checksums. */
import { type Bytes, ofText } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { chunks } from '../bytes/read.ts';
import type { OutputKind } from '../profiles/profile.ts';
import { type FinalProfile, finaliseProfile } from '../profiles/resolve.ts';
import { CHECKSUM_FILES, pxeKinds } from '../pxe/directory.ts';
import { formatIpxeScript, IPXE_SCRIPT_NAME, type IpxeBoot } from '../pxe/ipxe-script.ts';
import { formatChecksums } from '../report/checksums.ts';
import type { Artifact } from './artifact.ts';
import { build } from './build.ts';
import { type Plan, type PlannedInput, type PlanRequest, planBuild } from './plan.ts';
import type { Workplace } from './workplace.ts';

/** One file of the directory that is built. */
export interface PxePart {
  readonly request: PlanRequest;
  readonly plan: Plan;
}

/** All that is decided before a layer is fetched. */
export interface PxePlan {
  readonly parts: readonly PxePart[];
  /** What the booted kernel is told, after what iPXE itself puts before it. */
  readonly cmdline: string;
  /** Text of the iPXE script. */
  readonly script: string;
  readonly inputs: readonly PlannedInput[];
  readonly warnings: readonly string[];
}

/** How the script finds the files. */
export interface PxeOptions {
  /** Ends with a slash; files are beside the script unless given. */
  readonly baseUrl?: string;
}

/** A file of the directory. */
export interface PxeFile extends Artifact {
  /** Of its content, lower-case hexadecimal. */
  readonly sha256: string;
  readonly sha512: string;
}

/** Of the files that `buildPxe` gives, in their order. */
export function pxeNames({ parts }: PxePlan): string[] {
  return [...parts.map(({ plan }) => plan.outputs[0]!.path), IPXE_SCRIPT_NAME, ...Object.keys(CHECKSUM_FILES)];
}

/**
 * Plans the directory for the profile of `request`, whatever its output kind: kernel, initramfs, command line and UKI from the same inputs; with SecureBoot
 * the command line and the UKI. Throws what `planBuild` throws, and `invalid-input` for a kernel argument that iPXE cannot be given.
 */
export async function planPxe(workplace: Workplace, request: PlanRequest, options: PxeOptions = {}): Promise<PxePlan> {
  const { secureboot, traits } = request.profile;
  const parts: PxePart[] = [];
  for (const kind of pxeKinds({ secureBoot: secureboot === true, supportsUki: traits.supportsUki })) {
    const ofKind = { ...request, profile: profileOfKind(request.profile, kind) };
    const known = parts.flatMap(({ plan }) => plan.inputs);
    parts.push({ request: ofKind, plan: await planPinned(workplace, ofKind, known) });
  }
  const { cmdline } = partOf(parts, 'cmdline').plan;
  const inputs = parts.flatMap(({ plan }) => plan.inputs);
  return {
    parts,
    cmdline,
    script: formatIpxeScript({ boot: bootOf(parts), cmdline, ...options }),
    inputs: inputs.filter((input, index) => inputs.findIndex((other) => isSameInput(other, input)) === index),
    warnings: [...new Set(parts.flatMap(({ plan }) => plan.warnings))],
  };
}

/** Kernel and initramfs have no place for arguments and META values: those are in the command line. */
function profileOfKind({ traits: _, warnings: __, ...profile }: FinalProfile, kind: OutputKind): FinalProfile {
  const { customization } = profile;
  const isPlain = kind === 'kernel' || kind === 'initramfs';
  return finaliseProfile({
    ...profile,
    overlay: isPlain ? null : profile.overlay,
    customization: isPlain ? { ...customization, extraKernelArgs: [], metaContents: [] } : customization,
    output: { kind, imageOptions: null, isoOptions: null, outFormat: 'raw' },
  });
}

/** Digests of inputs that are known are taken over: a tag may move in between, and kernel and initramfs must be of one release. */
async function planPinned(workplace: Workplace, request: PlanRequest, known: readonly PlannedInput[]): Promise<Plan> {
  // The command line hangs on what the overlay's program answers.
  if (request.profile.overlay !== null) return planBuild(workplace, request, { resolve: true });
  const plan = await planBuild(workplace, request, { resolve: false });
  const pinned = plan.inputs.map((input) => known.find((other) => isSameInput(other, input)));
  if (!pinned.every((input) => input !== undefined)) return planBuild(workplace, request, { resolve: true });
  return { ...plan, inputs: pinned };
}

/** Extensions all have one role. */
function isSameInput(a: PlannedInput, b: PlannedInput): boolean {
  return a.role === b.role && a.reference === b.reference && a.path === b.path;
}

function partOf(parts: readonly PxePart[], kind: OutputKind): PxePart {
  return parts.find(({ request }) => request.profile.output.kind === kind)!;
}

function bootOf(parts: readonly PxePart[]): IpxeBoot {
  const nameOf = (kind: OutputKind): string => partOf(parts, kind).plan.outputs[0]!.path;
  const isSecureBoot = partOf(parts, 'cmdline').request.profile.secureboot === true;
  if (isSecureBoot) return { kind: 'uki', uki: nameOf('uki') };
  return { kind: 'linux', kernel: nameOf('kernel'), initramfs: nameOf('initramfs') };
}

/**
 * Builds the files, the script and the checksum files after what they name. All are read once for their checksums; nothing is written. Throws what `build`
 * throws, and `canceled`.
 *
 * @example
 * const plan = await planPxe(workplace, request);
 * for (const file of await buildPxe(workplace, plan)) await writeArtifact(platform, file, '/srv/pxe');
 */
export async function buildPxe(workplace: Workplace, { parts, script }: PxePlan): Promise<readonly PxeFile[]> {
  const artifacts: Artifact[] = [];
  for (const { request, plan } of parts) artifacts.push(await build(workplace, request, plan));
  artifacts.push(textFile(IPXE_SCRIPT_NAME, script));
  const summed: Summed[] = [];
  for (const artifact of artifacts) summed.push({ artifact, sums: await sumsOf(workplace, artifact) });
  for (const [name, algorithm] of Object.entries(CHECKSUM_FILES)) {
    const lines = summed
      .slice(0, artifacts.length)
      .map((one) => ({ name: one.artifact.name, checksum: one.sums[algorithm] }));
    const artifact = textFile(name, formatChecksums(lines));
    summed.push({ artifact, sums: await sumsOf(workplace, artifact) });
  }
  return summed.map(({ artifact, sums }) => ({ ...artifact, ...sums }));
}

function textFile(name: string, text: string): Artifact {
  return { name, mediaType: 'text/plain; charset=utf-8', bytes: ofText(text) };
}

type Sums = Readonly<Record<(typeof CHECKSUM_FILES)[keyof typeof CHECKSUM_FILES], string>>;

interface Summed {
  readonly artifact: Artifact;
  readonly sums: Sums;
}

async function sumsOf(
  workplace: Workplace,
  { name, bytes }: { readonly name: string; readonly bytes: Bytes },
): Promise<Sums> {
  const { platform, signal, onProgress } = workplace;
  const [sha256, sha512] = [platform.hash('sha256'), platform.hash('sha512')];
  let done = 0;
  for await (const chunk of chunks(bytes, signal === undefined ? {} : { signal })) {
    sha256.update(chunk);
    sha512.update(chunk);
    done += chunk.length;
    onProgress?.({ task: `checksums of ${name}`, done, total: bytes.size, unit: 'bytes' });
  }
  return { sha256: toHex(sha256.digest()), sha512: toHex(sha512.digest()) };
}
