/** A conversation with one endpoint about one repository: pinged, authorized, ready for requests. */
import { ImagerError } from '../../errors.ts';
import type { HttpResponse, Platform } from '../../platform/types.ts';
import { challengesOf, type TokenCache, withAuthorization, withFixedAuthorization } from './authorization.ts';
import { type Challenge, chooseChallenge } from './challenge.ts';
import type { Credential, CredentialTarget } from './docker-config.ts';
import type { Endpoint, Scheme } from './mirrors.ts';
import { withRedirects } from './redirect.ts';
import { refusal } from './registry-error.ts';
import { withRetry } from './retry.ts';
import { fetchToken } from './token.ts';
import { type Clock, originOf, type Send, withBody } from './transport.ts';

/** Answers that are read whole: pings, tokens, errors. */
const SMALL_BODY = 1 << 20;

export interface SessionOptions {
  /** TLS certificates are not checked, and redirects may lead to plain HTTP. */
  readonly insecure: boolean;
  readonly tries: number;
  readonly clock: Clock;
  /** From 0 to below 1, for the length of pauses. */
  readonly random: () => number;
  /** Milliseconds for one question to all endpoints. */
  readonly budget: number;
  readonly tokens: TokenCache;
  /** Milliseconds without a byte before an exchange fails. */
  readonly stallTimeout: number;
  readonly userAgent: string;
  readonly credential: (target: CredentialTarget, signal?: AbortSignal) => Promise<Credential | undefined>;
}

export interface Session {
  readonly endpoint: Endpoint;
  /** Requests to the repository, with redirects and authorization. */
  readonly send: Send;
  /** The URL of `manifests/v1`, `blobs/sha256:...` of the repository. */
  url(rest: string): string;
}

/** What a ping found out. */
export interface Connection {
  readonly scheme: Scheme;
  readonly challenge: Challenge | undefined;
}

/**
 * Finds out how an endpoint is spoken to: the first scheme that connects, and what it wants to be shown.
 * Throws `dependency` when none connects or the answer is neither 200, 401 nor a redirect.
 */
export async function ping(
  platform: Pick<Platform, 'http'>,
  endpoint: Endpoint,
  options: SessionOptions,
  signal?: AbortSignal,
): Promise<Connection> {
  // A path of the user's own making need not lead to anything that answers a ping; a 401 later will do.
  if (!endpoint.path.endsWith('/v2')) return { scheme: endpoint.schemes[0]!, challenge: undefined };
  const failures: ImagerError[] = [];
  for (const [index, scheme] of endpoint.schemes.entries()) {
    const isLast = index === endpoint.schemes.length - 1;
    const tries = isLast ? options.tries : 1;
    const send = withRetry(withBody(plain(platform, endpoint, options), SMALL_BODY), { ...options, tries });
    const url = `${baseOf(endpoint, scheme)}/`;
    const answer = await orFailure(send({ method: 'GET', url, ...(signal === undefined ? {} : { signal }) }));
    if (answer instanceof ImagerError) {
      failures.push(answer);
    } else if (answer.status === 401) {
      return { scheme, challenge: chooseChallenge(challengesOf(answer.headers)) };
    } else if (answer.status === 200 || isRedirect(answer.status)) {
      return { scheme, challenge: undefined };
    } else {
      throw await refusal(answer, nameOf(endpoint), 'ping');
    }
  }
  throw notConnected(endpoint, failures);
}

/** A session over a pinged endpoint. A token is asked for `scopes`, to pull from the repository unless told. */
export function openSession(
  platform: Pick<Platform, 'http'>,
  endpoint: Endpoint,
  repository: string,
  connection: Connection,
  options: SessionOptions,
  scopes: readonly string[] = [`repository:${repository}:pull`],
): Session {
  const base = baseOf(endpoint, connection.scheme);
  const target = credentialTarget(endpoint, repository);
  const bare = plain(platform, endpoint, options);
  const redirects = { allowPlain: options.insecure };
  const tokenTransport = (origin: string, authorization: string | undefined): Send =>
    withRetry(
      withBody(withRedirects(withFixedAuthorization(bare, origin, authorization), redirects), SMALL_BODY),
      options,
    );
  const authorized = withAuthorization(bare, {
    origin: originOf(base),
    challenge: connection.challenge,
    scopes,
    tokens: options.tokens,
    credential: (signal) => options.credential(target, signal),
    fetchToken: (challenge, credential, scopes, signal) =>
      fetchToken(tokenTransport, { registry: base, challenge, credential, scopes }, signal),
  });
  const query = endpoint.mirrorOf === undefined ? '' : `?ns=${encodeURIComponent(endpoint.mirrorOf)}`;
  return {
    endpoint,
    send: withRedirects(authorized, redirects),
    url: (rest) => `${base}/${repository}/${rest}${query}`,
  };
}

/** What messages call an endpoint: the host, and the path where it is not the usual one. */
export function nameOf(endpoint: Endpoint): string {
  return endpoint.path === '/v2' ? endpoint.host : `${endpoint.host}${endpoint.path}`;
}

function baseOf(endpoint: Endpoint, scheme: Scheme): string {
  return `${scheme}://${endpoint.host}${endpoint.path.replace(/\/$/, '')}`;
}

/** One exchange, with all that is the endpoint's own. Whom it sends us to is trusted by the same authorities, but is shown nothing. */
function plain(platform: Pick<Platform, 'http'>, endpoint: Endpoint, options: SessionOptions): Send {
  const { insecure, stallTimeout, userAgent } = options;
  const { skipVerify = false, ca, clientCertificate, headers } = endpoint.settings ?? {};
  // As URLs write it: without the port that its scheme has anyway.
  const origins = endpoint.schemes.map((scheme) => originOf(baseOf(endpoint, scheme)));
  const send: Send = (request) => {
    const isOwn = origins.includes(originOf(request.url));
    return platform.http({
      ...request,
      headers: { 'user-agent': userAgent, ...(isOwn ? headers : {}), ...request.headers },
      stallTimeout: request.stallTimeout ?? stallTimeout,
      ...(insecure || skipVerify ? { insecureTls: true } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(isOwn && clientCertificate !== undefined ? { clientCertificate } : {}),
    });
  };
  return send;
}

/** Whom an endpoint's credential is for. Those of a mirror below a path are written under that path: `harbor.example/ghcr-proxy`. */
export function credentialTarget({ host, path }: Endpoint, repository: string): CredentialTarget {
  const parts = path.split('/').filter((part) => part !== '' && part !== 'v2');
  return { host, repository: [...parts, repository].join('/') };
}

async function orFailure(exchange: Promise<HttpResponse>): Promise<HttpResponse | ImagerError> {
  try {
    return await exchange;
  } catch (error) {
    if (error instanceof ImagerError && error.code === 'dependency') return error;
    throw error;
  }
}

/** The reason of each scheme that was tried; the first is the one that should have worked. */
function notConnected(endpoint: Endpoint, failures: readonly ImagerError[]): ImagerError {
  const first = failures[0]!;
  if (failures.length === 1) return first;
  const reasons = failures.map((failure, index) => `${endpoint.schemes[index]}: ${failure.message}`);
  const hint = first.hint === undefined ? {} : { hint: first.hint };
  return new ImagerError('dependency', reasons.join('; '), { cause: first, ...hint });
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}
