/** The name of what a plan builds. */
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../bytes/field.ts';
import { type Digest, parseDigest } from '../bytes/units.ts';
import { loadedTags } from '../installer/tags.ts';
import type { Plan } from './plan.ts';

/** Raised when the same plan gives other bytes: part of every plan digest. */
const LAYOUT_REVISION = 1;

/**
 * Names the output of a resolved plan, before a byte of it exists: the same for the same decisions over inputs of the same content, wherever those lie;
 * cache key, ETag and log id. A plan read back from JSON has the same digest. Throws `RangeError` for a plan that was not resolved.
 *
 * @example
 * const plan = await planBuild(workplace, request, { resolve: true });
 * const etag = planDigest(plan); // sha256:...
 */
export function planDigest({ profile, epoch, cmdline, compression, packers, inputs, overlay }: Plan): Digest {
  // Where inputs lie is no part of the name: their digests are.
  const { input, ...decided } = profile;
  const identity = {
    revision: LAYOUT_REVISION,
    inputs: inputs.map(({ role, digest }) => {
      if (digest === null) throw new RangeError(`plan is not resolved: ${role} has no digest`);
      return [role, digest];
    }),
    // Options in a profile as JSON are without their types.
    profile: { ...decided, overlay: profile.overlay === null ? null : { name: profile.overlay.name, ...overlay } },
    epoch,
    cmdline,
    ...(compression === undefined ? {} : { compression }),
    ...(packers === undefined ? {} : { packers }),
    // Except that an installer is loaded under the name of its base.
    ...(profile.output.kind === 'installer' ? { loadedAs: loadedTags(input.baseInstaller.imageRef) } : {}),
  };
  return parseDigest(`sha256:${toHex(sha256(new TextEncoder().encode(canonicalJson(identity))))}`);
}

/** JSON with the keys of every object in order, so that equal values are equal texts however they were put together. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
