/** Answering a registry's challenges, as a layer of the transport. Source: spec factory-and-signatures H3. */
import type { HttpRequest } from '../../platform/types.ts';
import { type Challenge, chooseChallenge, parseChallenges } from './challenge.ts';
import type { Credential } from './docker-config.ts';
import { basicAuthorization, type Token } from './token.ts';
import { type Clock, originOf, type Send } from './transport.ts';

/** Seconds before its end that a token is not used any more: it has to survive the way to the server. */
const MARGIN = 10;
/** A challenge may ask for more scopes than we did; no request needs many. */
const MOST_SCOPES = 16;

/** Tokens by origin, token server and scopes. Requests that need the same token at the same time wait for one. */
export class TokenCache {
  readonly #clock: Clock;
  readonly #tokens = new Map<string, Promise<{ readonly value: string; readonly end: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A token that is still good, from before or fetched now. `refused` is one the registry did not take although it should
   * be good: that one is not given again.
   */
  async get(key: string, fetch: () => Promise<Token>, refused?: string): Promise<string> {
    for (;;) {
      const pending = this.#tokens.get(key);
      // Whoever fetched it reports its failure; the others try for themselves, as it may have been that one's abort.
      const held = await pending?.catch(() => undefined);
      if (held !== undefined && held.value !== refused && held.end > this.#clock.now()) return held.value;
      if (this.#tokens.get(key) !== pending) continue;
      const fetched = fetch().then(({ value, lifetime }) => ({
        value,
        end: this.#clock.now() + 1000 * Math.max(lifetime - MARGIN, lifetime / 2),
      }));
      this.#tokens.set(key, fetched);
      try {
        return (await fetched).value;
      } catch (error) {
        if (this.#tokens.get(key) === fetched) this.#tokens.delete(key);
        throw error;
      }
    }
  }
}

export interface AuthorizationOptions {
  /** Scheme, host and port of the registry: the only one that is shown anything. */
  readonly origin: string;
  /** What the registry answered to the ping, if it wants anything. */
  readonly challenge: Challenge | undefined;
  /** `repository:<name>:pull` */
  readonly scopes: readonly string[];
  readonly tokens: TokenCache;
  /** Asked when a challenge has to be answered. */
  readonly credential: (signal?: AbortSignal) => Promise<Credential | undefined>;
  readonly fetchToken: (
    challenge: Challenge,
    credential: Exclude<Credential, { kind: 'registry-token' }> | undefined,
    scopes: readonly string[],
    signal?: AbortSignal,
  ) => Promise<Token>;
}

/**
 * Shows requests to the registry's own origin what it wants. A 401 in use is answered once: with a new token, for the
 * merged scopes if the challenge names further ones. Requests elsewhere (redirects) pass as they are.
 */
export function withAuthorization(send: Send, options: AuthorizationOptions): Send {
  let challenge = options.challenge;
  let scopes = options.scopes;

  const authorization = async (signal: AbortSignal | undefined, refused?: string): Promise<string | undefined> => {
    if (challenge === undefined) return undefined;
    const credential = await options.credential(signal);
    if (credential?.kind === 'registry-token') return `Bearer ${credential.token}`;
    if (challenge.scheme === 'basic') {
      return credential?.kind === 'basic' ? basicAuthorization(credential.user, credential.password) : undefined;
    }
    const [asked, wanted] = [challenge, scopes];
    const { realm = '', service = '' } = asked.parameters;
    const key = JSON.stringify([options.origin, realm, service, wanted]);
    const fetch = (): Promise<Token> => options.fetchToken(asked, credential, wanted, signal);
    return `Bearer ${await options.tokens.get(key, fetch, /^Bearer (.+)$/.exec(refused ?? '')?.[1])}`;
  };

  return async (request) => {
    if (originOf(request.url) !== options.origin) return send(request);
    const shown = await authorization(request.signal);
    const response = await send(showing(request, shown));
    const answer = response.status === 401 ? chooseChallenge(challengesOf(response.headers)) : undefined;
    if (answer === undefined) return response;
    challenge = answer;
    scopes = mergeScopes(scopes, answer.parameters.scope);
    const second = await authorization(request.signal, shown);
    if (second === undefined || second === shown) return response;
    await response.discard();
    return send(showing(request, second));
  };
}

/** The challenges of an answer, in order. */
export function challengesOf(headers: Readonly<Record<string, readonly string[]>>): Challenge[] {
  return parseChallenges(headers['www-authenticate'] ?? []);
}

/** A transport that shows one fixed authorization to one origin. */
export function withFixedAuthorization(send: Send, origin: string, authorization: string | undefined): Send {
  return (request) => send(originOf(request.url) === origin ? showing(request, authorization) : request);
}

function showing(request: HttpRequest, authorization: string | undefined): HttpRequest {
  return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
}

function mergeScopes(scopes: readonly string[], wanted = ''): readonly string[] {
  const further = wanted.split(' ').filter((scope) => scope.length < 400 && /^[a-z()]+:\S+:[a-z,*]+$/.test(scope));
  const merged = [...new Set([...scopes, ...further])].sort();
  return merged.length > MOST_SCOPES ? scopes : merged;
}
