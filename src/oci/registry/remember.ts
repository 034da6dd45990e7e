/** Work done once for all who ask for it. */
import { ImagerError } from '../../errors.ts';

/**
 * The value made before, or made now; a failed one is made again next time, and one that somebody else's abort took away
 * at once.
 */
export async function remember<K, T>(
  known: Map<K, Promise<T>>,
  key: K,
  signal: AbortSignal | undefined,
  make: () => Promise<T>,
): Promise<T> {
  const old = known.get(key);
  if (old !== undefined) {
    try {
      return await old;
    } catch (error) {
      const isTheirs = error instanceof ImagerError && error.code === 'canceled' && signal?.aborted !== true;
      if (!isTheirs) throw error;
      return remember(known, key, signal, make);
    }
  }
  const made = make().catch((error: unknown) => {
    known.delete(key);
    throw error;
  });
  known.set(key, made);
  return made;
}
