/** Digests of what came from outside: computed here, compared here. */
import { joinMemory, toHex } from '../bytes/field.ts';
import { type Digest, parseDigest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { Hash, Platform as Machine } from '../platform/types.ts';
import type { BlobSource, Descriptor } from './image-source.ts';

export type Hasher = Pick<Machine, 'hash'>;

export function digestOf(hasher: Hasher, data: Uint8Array): Digest {
  const hash = hasher.hash('sha256');
  hash.update(data);
  return finishDigest(hash);
}

export function finishDigest(hash: Hash): Digest {
  return parseDigest(`sha256:${toHex(hash.digest())}`);
}

/** Throws `verification` naming both. */
export function checkDigest(found: Digest, want: Digest, what: string): void {
  if (found === want) return;
  throw new ImagerError('verification', `${what}: its content has digest ${found}, want ${want}`, {
    hint: 'the registry or the file is damaged, or somebody changed it',
  });
}

/** A blob that is longer or shorter than its descriptor says: longer is stopped at once. */
export function sizeError(what: string, found: number, want: number): ImagerError {
  const said = found > want ? `more than ${want} bytes` : `ends after ${found} bytes`;
  return new ImagerError('verification', `${what}: ${said}, want ${want}`);
}

/**
 * A small blob in memory, size and digest checked; from a source that has several places, the first that has it right. Throws `verification`, and
 * `dependency` from the source.
 */
export async function readBlob(
  hasher: Hasher,
  source: BlobSource,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  const what = `${source.label}: blob ${digest}`;
  if (size > limit) throw new ImagerError('invalid-input', `${what}: ${size} bytes, want at most ${limit}`);
  return fromAnyPlace(source, digest, () => readOnce(hasher, source, descriptor, what, signal));
}

/**
 * What `attempt` makes of a blob; where that was wrong, once more from each other place the source has. Behind a wrong one also what cannot be had counts:
 * then all must come from one place.
 */
export async function fromAnyPlace<T>(source: BlobSource, digest: Digest, attempt: () => Promise<T>): Promise<T> {
  for (let rejected = false; ; rejected = true) {
    try {
      return await attempt();
    } catch (error) {
      const code = error instanceof ImagerError ? error.code : undefined;
      const isUseless = code === 'verification' || (rejected && code === 'dependency');
      if (!isUseless || source.reject?.(digest) !== true) throw error;
    }
  }
}

async function readOnce(
  hasher: Hasher,
  source: BlobSource,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  const parts: Uint8Array[] = [];
  let length = 0;
  const { chunks } = await source.blob(descriptor, 0, signal);
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > size) throw sizeError(what, length, size);
    parts.push(new Uint8Array(chunk));
  }
  if (length !== size) throw sizeError(what, length, size);
  const data = joinMemory(parts);
  checkDigest(digestOf(hasher, data), digest, what);
  return data;
}
