/** What every step of a push works with. */
import type { RetryOptions } from './retry.ts';
import { nameOf, type Session } from './session.ts';

export interface PushContext {
  /** May pull from and push to the repository. */
  readonly session: Session;
  readonly retry: RetryOptions;
  /** Uploads may go on over plain HTTP though they began otherwise: the user marked the registry. */
  readonly insecure: boolean;
  readonly signal: AbortSignal | undefined;
}

/** What messages begin with. */
export function placeOf({ session }: PushContext): string {
  return nameOf(session.endpoint);
}

/** For requests. */
export function signalOf({ signal }: PushContext): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
