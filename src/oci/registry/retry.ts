/** Trying again what may pass by itself. Source: spec factory-and-signatures H9. */
import { ImagerError } from '../../errors.ts';
import type { HttpResponse } from '../../platform/types.ts';
import { type Clock, headerOf, type Send } from './transport.ts';

export interface RetryOptions {
  /** All attempts, the first included. */
  readonly tries: number;
  readonly clock: Clock;
  /** From 0 to below 1: clients that failed together should not come back together. Without it pauses are exact. */
  readonly random?: (() => number) | undefined;
  /** In the clock's time: a pause that would end later is not begun. */
  readonly deadline?: number;
}

export const DEFAULT_TRIES = 3;
/** Milliseconds before the second try; each further one waits three times as long. */
const FIRST_PAUSE = 1000;
/** A server that wants us gone for longer gets its answer reported instead. */
export const LONGEST_PAUSE = 60_000;
const PASSING_STATUS: readonly number[] = [408, 429, 499, 500, 502, 503, 504, 522];
/**
 * Connections that broke or went silent, and a resolver that is busy. Not among them: refused, unknown host, no connection
 * in time, TLS trouble. Those seldom pass, and the next mirror should be asked at once.
 */
const PASSING_ERROR: readonly string[] = [
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE'],
  ...['UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'],
];
/** No connection was made. */
const UNREACHED_ERROR: readonly string[] = [
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'],
  'UND_ERR_CONNECT_TIMEOUT',
];

/** Repeats an exchange that failed on the way or was answered with a passing status. Bodies that are streams go out once. */
export function withRetry(
  send: Send,
  { tries, clock, random, deadline = Number.POSITIVE_INFINITY }: RetryOptions,
): Send {
  return async (request) => {
    const repeatable = request.body === undefined || request.body instanceof Uint8Array;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= tries || !repeatable;
      const pause = pauseAfter(attempt, random);
      const fits = (milliseconds: number): boolean => clock.now() + milliseconds <= deadline;
      try {
        const response = await send(request);
        if (isLast || !isPassingStatus(response.status)) return response;
        const wanted = retryAfter(response);
        if (wanted !== undefined && wanted > LONGEST_PAUSE) return response;
        if (!fits(wanted ?? pause)) return response;
        await response.discard();
        await clock.sleep(wanted ?? pause, request.signal);
      } catch (error) {
        if (isLast || !isPassing(error) || !fits(pause)) throw error;
        await clock.sleep(pause, request.signal);
      }
    }
  };
}

/** Milliseconds to wait after the given attempt, counted from 1; after none at all, none. By chance half as long or half as long again. */
export function pauseAfter(attempt: number, random: () => number = () => 0.5): number {
  return attempt === 0 ? 0 : FIRST_PAUSE * 3 ** (attempt - 1) * (0.5 + random());
}

/** Whether a request that was answered so may be granted later. */
export function isPassingStatus(status: number): boolean {
  return PASSING_STATUS.includes(status);
}

/** Whether a failed exchange may succeed when repeated. */
export function isPassing(error: unknown): boolean {
  return hasCode(error, PASSING_ERROR);
}

/** Whether there was nobody to talk to: what an endpoint has or has not is then unknown. */
export function isUnreached(error: unknown): boolean {
  return hasCode(error, UNREACHED_ERROR);
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  if (!(error instanceof ImagerError) || error.code !== 'dependency') return false;
  for (let cause = error.cause, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    if ('code' in cause && codes.includes(String(cause.code))) return true;
  }
  return false;
}

/**
 * Milliseconds the server asks us to wait, from `Retry-After`: seconds, or a date, which is compared with the answer's own
 * `Date` so that the two clocks need not agree.
 */
export function retryAfter(response: HttpResponse): number | undefined {
  const text = headerOf(response, 'retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const milliseconds = Date.parse(text) - Date.parse(headerOf(response, 'date') ?? '');
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}
