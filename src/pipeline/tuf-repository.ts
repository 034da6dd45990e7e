/** A TUF repository over HTTP: its files, bounded in size and in time. */
import { joinMemory } from '../bytes/field.ts';
import { MIB } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import { withRedirects } from '../oci/registry/redirect.ts';
import { timeLimit } from '../oci/registry/time-limit.ts';
import type { Platform } from '../platform/types.ts';
import { followTuf, type TufFetch, type TufState, tooLarge } from '../trust/tuf.ts';

/** Of everything one refresh fetches, bytes; the public repository has 0.2 MiB. */
const TOTAL_LIMIT: number = 16 * MIB;

export interface TufRequest {
  readonly platform: Platform;
  /** As `parseTufUrl` has it. */
  readonly url: string;
  /** The `root.json` that is believed without having been checked. */
  readonly initialRoot: Uint8Array;
  /** What was fetched before. */
  readonly before: TufState | undefined;
  /** Seconds since 1970. */
  readonly now: number;
  /** Milliseconds for all of it. */
  readonly budget: number;
  readonly signal?: AbortSignal | undefined;
}

/** Throws as `followTuf`, `dependency` for what cannot be reached and for more time than there is, `canceled`. */
export async function fetchTufState(request: TufRequest): Promise<TufState> {
  const { initialRoot, before, now, budget, signal, url } = request;
  const limit = timeLimit(budget, signal);
  try {
    return await followTuf(initialRoot, before, filesOf(request, limit.signal), now);
  } catch (error) {
    if (signal?.aborted === true || !limit.isOver) throw error;
    const { host } = new URL(url);
    throw new ImagerError('dependency', `${host}: not done after ${budget / 1000} s`, { cause: error });
  } finally {
    limit.lift();
  }
}

function filesOf({ platform, url, budget }: TufRequest, signal: AbortSignal): TufFetch {
  const send = withRedirects((request) => platform.http(request), { allowPlain: false });
  const { host } = new URL(url);
  let total = 0;
  return async (path, limit) => {
    const response = await send({ method: 'GET', url: `${url}/${path}`, stallTimeout: budget, signal });
    if (response.status !== 200) {
      await response.discard();
      // What the reference client takes for "there is no newer root".
      if (response.status === 404 || response.status === 403) return undefined;
      throw new ImagerError('dependency', `${host}: ${path}: answered with status ${response.status}, want 200`);
    }
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body) {
      length += chunk.length;
      total += chunk.length;
      if (length > limit) throw tooLarge(path, limit);
      if (total > TOTAL_LIMIT) throw tooLarge(`${path} and what came before it`, TOTAL_LIMIT);
      parts.push(new Uint8Array(chunk));
    }
    return joinMemory(parts);
  };
}
