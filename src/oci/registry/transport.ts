/**
 * The transport stack: one HTTP exchange is a function, and retry, redirects, authorization and limits are functions
 * around it, each in its own file. A stack is read from the outside in: `withRetry(withBody(withRedirects(...)))`.
 */
import { joinMemory } from '../../bytes/field.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks, HttpRequest, HttpResponse } from '../../platform/types.ts';

/** One exchange. Throws `dependency` when there is no answer; any status is an answer. */
export type Send = (request: HttpRequest) => Promise<HttpResponse>;

/** Time as the transport needs it: token lifetimes and pauses. No output depends on it. */
export interface Clock {
  /** Milliseconds from any fixed point, never going back. */
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        reject(new ImagerError('canceled', 'stopped while waiting to try again'));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, milliseconds);
      if (signal?.aborted === true) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    }),
};

/**
 * Reads answers whole, so that a body cut short is met inside a retry around this. Throws `dependency` for a body of
 * more than `limit` bytes.
 */
export function withBody(send: Send, limit: number): Send {
  return async (request) => {
    const response = await send(request);
    const data = await readBody(response, limit, new URL(request.url).host);
    return { ...response, body: once(data), discard: async () => undefined };
  };
}

/** The whole body. Throws `dependency` above `limit` bytes, before reading them where the length was announced. */
export async function readBody(response: HttpResponse, limit: number, where: string): Promise<Uint8Array> {
  const announced = Number(headerOf(response, 'content-length') ?? 0);
  if (announced > limit) {
    await response.discard();
    throw new ImagerError('dependency', `${where}: answer of ${announced} bytes, want at most ${limit}`);
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > limit) throw new ImagerError('dependency', `${where}: answer of more than ${limit} bytes`);
    parts.push(part);
  }
  return joinMemory(parts);
}

/** The first value of a header field; `name` in lower case. */
export function headerOf(response: Pick<HttpResponse, 'headers'>, name: string): string | undefined {
  return response.headers[name]?.[0];
}

/** Scheme, host and port: what may see a credential that was meant for it. */
export function originOf(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

async function* once(data: Uint8Array): Chunks {
  yield data;
}
