/** A blob from a source, whole or from some byte on, however often the connection breaks. */
import { ImagerError } from '../../errors.ts';
import type { Chunks } from '../../platform/types.ts';
import { sizeError } from '../digest-check.ts';
import type { BlobSource, Descriptor } from '../image-source.ts';

/** Breaks in a row without a byte in between before we give up; the source has tried again on its own before each. */
const MAX_FRUITLESS = 2;

/** Breaks altogether: a server that sends a little each time must end too. */
const MAX_BREAKS = 64;

/**
 * The bytes from `from` to the end of the blob, never more than its size. A broken or short answer is continued where it stopped.
 * Throws `dependency` when that does not help, `verification` when the source has more bytes than the descriptor says.
 */
export async function* receive(
  source: BlobSource,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  from: number,
  signal?: AbortSignal,
): Chunks {
  const { digest, size } = descriptor;
  const what = `${source.label}: blob ${digest}`;
  let position = from;
  let fruitless = 0;
  for (let breaks = 0; position < size; breaks++) {
    const before = position;
    try {
      for await (const chunk of answer(source, descriptor, position, what, signal)) {
        throwIfCanceled(signal);
        if (position + chunk.length > size) throw sizeError(what, position + chunk.length, size);
        position += chunk.length;
        yield chunk;
      }
      if (position === size) return;
      throw new ImagerError('dependency', `${what}: the answer ends after ${position} of ${size} bytes`);
    } catch (error) {
      throwIfCanceled(signal);
      fruitless = position > before ? 0 : fruitless + 1;
      const mayHelp = source.isPersistent !== true && fruitless <= MAX_FRUITLESS && breaks < MAX_BREAKS;
      if (!isBroken(error) || !mayHelp) throw error;
    }
  }
}

/** One answer of the source, without what it sends again from before `position`. */
async function* answer(
  source: BlobSource,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  position: number,
  what: string,
  signal?: AbortSignal,
): Chunks {
  const { from, chunks } = await source.blob(descriptor, position, signal);
  if (from > position) {
    throw new ImagerError('dependency', `${what}: the answer starts at ${from}, want ${position}`);
  }
  let skip = position - from;
  for await (const chunk of chunks) {
    const skipped = Math.min(skip, chunk.length);
    skip -= skipped;
    if (skipped < chunk.length) yield chunk.subarray(skipped);
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof ImagerError && error.code === 'dependency';
}

/** Throws `canceled` once the signal is aborted. */
export function throwIfCanceled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new ImagerError('canceled', 'stopped before all was fetched');
}
