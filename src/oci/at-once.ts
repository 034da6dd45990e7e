/** Many transfers, several at once. */
import { stopIfAborted } from '../errors.ts';

export interface AtOnceOptions {
  /** How many at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
  /** What messages call the whole. */
  readonly what: string;
}

/**
 * Calls `work` with each item, in order. The first failure stops the others by the signal they are given; when all have ended it is thrown, or `canceled` where
 * it was `signal` that stopped them.
 */
export async function atOnce<Item>(
  items: Iterable<Item>,
  { concurrency, signal, what }: AtOnceOptions,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any(signal === undefined ? [failed.signal] : [failed.signal, signal]);
  const waiting = [...items];
  let failure: { readonly error: unknown } | undefined;
  const turn = async (): Promise<void> => {
    while (waiting.length > 0 && !either.aborted) {
      try {
        await work(waiting.shift()!, either);
      } catch (error) {
        failure ??= { error };
        failed.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, waiting.length) }, turn));
  stopIfAborted(signal, what);
  if (failure !== undefined) throw failure.error;
}
