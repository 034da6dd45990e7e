/** Digests of an output, taken while it is written. */
import { toHex } from '../bytes/field.ts';
import type { Platform } from '../platform/types.ts';
import type { ReportedAlgorithm, ReportedDigests } from '../report/build-report.ts';

/** Digests on their way. */
export interface OutputDigests {
  /** Given to writers as the option of this name: all bytes in order. */
  readonly observe: (chunk: Uint8Array) => void;
  /** Of all that was observed; asked once. */
  readonly digests: () => ReportedDigests;
}

/**
 * @example
 * const watch = watchDigests(platform, ['sha256']);
 * await writeArtifact(platform, artifact, '_out', { observe: watch.observe });
 * const { sha256 } = watch.digests();
 */
export function watchDigests(
  { hash }: Pick<Platform, 'hash'>,
  algorithms: readonly ReportedAlgorithm[],
): OutputDigests {
  const hashes = algorithms.map((algorithm) => [algorithm, hash(algorithm)] as const);
  return {
    observe: (chunk) => {
      for (const [, one] of hashes) one.update(chunk);
    },
    digests: () => Object.fromEntries(hashes.map(([algorithm, one]) => [algorithm, toHex(one.digest())])),
  };
}
