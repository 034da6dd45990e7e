/** `BuildReport`: what was built of what, as data: all that the written forms of a report are made from. */
import type { JsonValue } from './json.ts';

/** A key of the digests as in-toto names them. */
export type ReportedAlgorithm = 'sha256' | 'sha512';

/** Lower-case hexadecimal. */
export type ReportedDigests = Readonly<Partial<Record<ReportedAlgorithm, string>>>;

/** Who vouches for an image, or that nobody need. */
export interface ReportedVerification {
  /** Of what the name led to: of an index, where there is one. */
  readonly digest: string;
  readonly status: 'verified' | 'not verified';
  /** The rule that decided. */
  readonly rule: string;
  readonly mode?: 'key' | 'keyless';
  readonly subject?: string;
  readonly issuer?: string;
  readonly logIndex?: number;
  /** RFC 3339: when it was signed for sure. */
  readonly signedAt?: string;
  readonly trustedRoot?: string;
}

/** One thing that went in. */
export interface ReportedInput {
  readonly role: string;
  /** As given: a reference, `oci:DIR`, a path. */
  readonly from: string;
  /** Of the manifest for the architecture, or of the content: `sha256:<hex>`. */
  readonly digest: string;
  /** Of images in registries. */
  readonly image?: ReportedImage;
}

/** Where an image was had by its name. */
export interface ReportedImage {
  /** `ghcr.io/siderolabs/imager`, Docker Hub as `docker.io`. */
  readonly repository: string;
  readonly tag?: string;
  readonly verification?: ReportedVerification;
}

/** One thing that came out: a file, or an image in a layout or a registry. */
export interface ReportedOutput {
  /** File name, or reference. */
  readonly name: string;
  /** Of the file on this machine; absent where it was streamed, or is none. */
  readonly path?: string;
  readonly mediaType: string;
  /** Bytes; of an image its manifest. */
  readonly size: number;
  readonly digests: ReportedDigests;
}

/** One plan that was carried out. */
export interface ReportedBuild {
  readonly kind: string;
  readonly architecture: string;
  readonly platform: string;
  readonly talosVersion: string;
  readonly planDigest: string;
  /** Seconds since 1970, of everything in the output. */
  readonly epoch: number;
  /** Without secrets. */
  readonly cmdline: string;
  /** The profile and what else decided, without secrets. */
  readonly parameters: { readonly [name: string]: JsonValue };
  readonly inputs: readonly ReportedInput[];
  readonly warnings: readonly string[];
}

/** Everything a report says. */
export interface BuildReport {
  readonly tool: { readonly name: string; readonly version: string };
  /** A URI: who runs builds, as provenance has it. */
  readonly builder: string;
  /** Several for several architectures, or for files of several kinds. */
  readonly builds: readonly ReportedBuild[];
  readonly outputs: readonly ReportedOutput[];
}

/** Raised when a field is renamed or means something else. */
const REPORT_VERSION = 1;

/** The report in its own form: as JSON with a line break at its end. All of it but where outputs lie on this machine, which is no part of what was built. */
export function formatBuildReport({ tool, builder, builds, outputs }: BuildReport): string {
  return `${JSON.stringify({ reportVersion: REPORT_VERSION, tool, builder, builds, outputs: outputs.map(withoutPath) }, null, 2)}\n`;
}

function withoutPath({ path: _, ...output }: ReportedOutput): Omit<ReportedOutput, 'path'> {
  return output;
}

/** `2019-06-01T21:34:52Z`: RFC 3339 as all forms take it, without fractions. Of the latest build, which they share as a rule. */
export function reportTime({ builds }: BuildReport): string {
  return formatTime(Math.max(0, ...builds.map(({ epoch }) => epoch)));
}

/** `seconds` since 1970. */
export function formatTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Each input once, whichever of the builds took it. */
export function allInputs({ builds }: BuildReport): ReportedInput[] {
  const inputs = new Map<string, ReportedInput>();
  for (const input of builds.flatMap((build) => build.inputs)) {
    const key = JSON.stringify([input.role, input.from, input.digest]);
    if (!inputs.has(key)) inputs.set(key, input);
  }
  return [...inputs.values()];
}
