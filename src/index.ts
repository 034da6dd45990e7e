/**
 * The library: from a profile to the bytes of a boot asset, in the stages of the command line.
 *
 *     resolve ─▶ plan ─▶ build ─▶ write, or serve a range
 *
 * Nothing here prints, exits or reads the environment, except `nodePlatform`, which is this machine as the rest sees it.
 * All that can go wrong by input, network or disk is thrown as an `ImagerError`.
 *
 * @example
 * import * as bootwright from 'bootwright';
 *
 * const platform = bootwright.nodePlatform();
 * const workplace = { platform, store: bootwright.defaultStoreDirectory(platform), transport: {} };
 * const profile = bootwright.finaliseProfile(bootwright.resolveProfile({ baseProfileName: 'iso', arch: 'amd64' }));
 * const request = { profile, epoch: bootwright.DEFAULT_EPOCH };
 * const plan = await bootwright.planBuild(workplace, request, { resolve: true });
 * const artifact = await bootwright.build(workplace, request, plan);
 * await bootwright.writeArtifact(platform, artifact, '_out');
 * await platform.close();
 *
 * @module
 */

// Resolve: what somebody asks for becomes a profile with every default, checked.

export { BUILT_IN_PROFILE_NAMES } from './profiles/built-in.ts';
export { DEFAULT_TALOS_VERSION } from './profiles/defaults.ts';
export { type DumpOptions, dumpProfile } from './profiles/dump.ts';
export { type ParsedProfile, type ParseProfileOptions, parseProfile } from './profiles/parse.ts';
export type { Architecture, Bootloader, GivenProfile, OutputKind, Profile } from './profiles/profile.ts';
export {
  type FinaliseOptions,
  type FinalProfile,
  finaliseProfile,
  type ResolveOptions,
  resolveProfile,
} from './profiles/resolve.ts';
export type { Traits } from './profiles/traits.ts';

// What goes into a profile: META values, the network document of META 0xa, kernel arguments.

export type { ArgumentWarning } from './machineconfig/argument-warning.ts';
export {
  type CheckedConfig,
  type CheckOptions,
  type ConfigMode,
  checkMachineConfig,
} from './machineconfig/documents/check.ts';
export { encodeMachineConfig } from './machineconfig/documents/encode.ts';
export { type JsonSchema, machineConfigSchema } from './machineconfig/documents/json-schema.ts';
export type { ConfigDocument } from './machineconfig/documents/load.ts';
export { type PatchOptions, patchMachineConfig } from './machineconfig/documents/patch.ts';
export { checkKernelArguments } from './machineconfig/kernel-arguments.ts';
export {
  checkNetworkDocument,
  type NetworkDocument,
  type NetworkDocumentOptions,
  type NetworkDocumentResult,
  parseNetworkDocument,
} from './machineconfig/network-document.ts';
export { META_KEYS } from './meta/key.ts';
export { formatMetaValue, type MetaValue, parseMetaValue } from './meta/value.ts';

// Plan: everything decided, as JSON, named by a digest.

export type { AssetRole, AssetWishes, FileRole, InputRole } from './pipeline/asset-places.ts';
export { type AssetSource, formatAssetSource, parseAssetSource } from './pipeline/asset-source.ts';
export { DEFAULT_EPOCH, parseEpoch } from './pipeline/epoch.ts';
export type { PlannedImageCache } from './pipeline/image-cache-plan.ts';
export { fetchOverlayProfiles } from './pipeline/overlay-image.ts';
export type { PlannedOverlay } from './pipeline/overlay-plan.ts';
export {
  type MetaOrigin,
  type Plan,
  type PlannedInput,
  type PlannedOutput,
  type PlanOptions,
  type PlanRequest,
  planBuild,
} from './pipeline/plan.ts';
export { planDigest } from './pipeline/plan-digest.ts';

// Build: where, from which registries, with what kept in between.

export { type Mirrors, parseMirrors, type RegistryMirror } from './oci/registry/mirrors.ts';
export { openStore, type Store } from './oci/store/store.ts';
export type { Artifact } from './pipeline/artifact.ts';
export { build } from './pipeline/build.ts';
export {
  buildInstaller,
  type InstallerArtifact,
  type InstallerLayoutOptions,
  writeInstallerLayout,
} from './pipeline/installer-artifact.ts';
export type { OnProgress, ProgressEvent } from './pipeline/progress.ts';
export { buildPxe, type PxeFile, type PxeOptions, type PxePart, type PxePlan, planPxe } from './pipeline/pxe.ts';
export {
  type FoundRoot,
  type RootFinder,
  type RootWishes,
  rootFinder,
  type TufRepository,
} from './pipeline/root-finder.ts';
export { defaultStoreDirectory, type Transport, type Workplace } from './pipeline/workplace.ts';

// Image caches: what builds take as `input.imageCache`.

export type { CachedImage } from './imagecache/collect.ts';
export {
  type CacheTarget,
  type CreatedImageCache,
  createImageCache,
  type ImageCacheRequest,
} from './pipeline/image-cache-create.ts';

// Write, or serve.

export { type ArtifactAnswer, type ArtifactRequest, answerRequest, toResponse } from './pipeline/http-answer.ts';
export { writeArtifact } from './pipeline/write-artifact.ts';

// Push: an installer into a registry.

export type { ComposedBlob, ComposedImage } from './oci/composed-image.ts';
export type { PushedBlob, PushReport } from './oci/registry/push.ts';
export { formatPushTarget, type PushTarget, parsePushTarget } from './oci/registry/push-target.ts';
export { pushInstaller } from './pipeline/installer-push.ts';

// Report: what was built of what, as provenance, SBOM and checksums.

export { describeBuild } from './pipeline/describe-build.ts';
export { type OutputDigests, watchDigests } from './pipeline/output-digests.ts';
export { collectSboms } from './pipeline/shipped-sboms.ts';
export { type WriteReportsOptions, writeReports } from './pipeline/write-reports.ts';
export type { SigningKey } from './platform/types.ts';
export { formatBlobBundle, formatEnvelope } from './report/blob-bundle.ts';
export type {
  BuildReport,
  ReportedAlgorithm,
  ReportedBuild,
  ReportedDigests,
  ReportedImage,
  ReportedInput,
  ReportedOutput,
  ReportedVerification,
} from './report/build-report.ts';
export {
  formatReport,
  parseWantedReport,
  type ReportContent,
  type ReportForm,
  type WantedReport,
} from './report/forms.ts';
export type { ShippedSbom } from './report/spdx-merge.ts';

// The content of an artefact, for whoever does something else with it.

export { type Bytes, type Extent, slice as sliceBytes } from './bytes/bytes.ts';
export { type ChunkOptions, chunks, digest as digestBytes, read as readBytes } from './bytes/read.ts';
export type { Digest } from './bytes/units.ts';
export { type StreamSink, type WriteOptions, writeToFile, writeToStream } from './bytes/write.ts';

// The machine, and what goes wrong.

export { type ErrorCode, exitCodeOf, ImagerError } from './errors.ts';
export { nodePlatform } from './platform/node.ts';
export type { Chunks, Files, Hash, Platform, Source } from './platform/types.ts';
