/**
 * An OCI registry in this process, on loopback, for pulls: it serves images given as values, keeps a list of every
 * request, and misbehaves as its faults say. The real registry server is in `docker-registry.ts`.
 */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { selfSigned } from './certificate.ts';
import { digestOf, OCI_INDEX, type TestImage, withChildren } from './image.ts';

/** One way to answer wrongly. Sizes and positions are bytes of the body, times milliseconds. */
export type Fault =
  /** Another status in place of the answer. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Full `Content-Length`, then the connection closes after this many bytes of the body. */
  | { readonly kind: 'truncate'; readonly after: number }
  /** The body comes in small pieces with a pause after each. */
  | { readonly kind: 'trickle'; readonly piece: number; readonly pause: number }
  /** Nothing more comes after this many bytes, and the connection stays open. */
  | { readonly kind: 'stall'; readonly after: number }
  /** The right size with one bit turned over at this position. */
  | { readonly kind: 'corrupt'; readonly at: number }
  /** A body longer (positive) or shorter (negative) than it should be, with a `Content-Length` that agrees with it. */
  | { readonly kind: 'resize'; readonly by: number }
  /** Sends the client elsewhere; `to` receives the path and query of the request. */
  | { readonly kind: 'redirect'; readonly status?: number; readonly to: (path: string) => string }
  /** The connection closes before any answer. */
  | { readonly kind: 'reset' }
  /** `Range` is ignored: 200 and the whole body. */
  | { readonly kind: 'ignore-range' }
  /** Answer headers replaced, or removed where the value is `undefined`. A removed `Content-Length` makes the body chunked. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string | undefined>> };

/** A request as the registry saw it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Form or JSON body of small requests, else empty. */
  readonly body: string;
}

/** Asked for each authorised request; the first source with an answer decides. */
export type FaultSource = (request: SeenRequest) => Fault | undefined;

/** The fault for the first `times` requests whose `METHOD url` matches. */
export function failing(pattern: RegExp, fault: Fault, times: number = Number.POSITIVE_INFINITY): FaultSource {
  let left = times;
  return ({ method, url }) => {
    if (left <= 0 || !pattern.test(`${method} ${url}`)) return undefined;
    left--;
    return fault;
  };
}

/** One of `faults` for a share `rate` (0..1) of the requests that match: the same ones for the same seed and order. */
export function failingAtRandom(seed: number, rate: number, pattern: RegExp, faults: readonly Fault[]): FaultSource {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return ({ method, url }) => {
    if (!pattern.test(`${method} ${url}`) || next() >= rate) return undefined;
    return faults[Math.floor(next() * faults.length)];
  };
}

/** What a client must show. `expiresAfter` counts uses of one token, after which it is refused as expired. */
export type TestAuth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | {
      readonly kind: 'bearer';
      /** Without a user, tokens are given to anybody. */
      readonly user?: string;
      readonly password?: string;
      /** Accepted as `refresh_token` of a POST to the token server, and as password of the user `<token>`. */
      readonly identityToken?: string;
      /** `expires_in` of the answer, seconds. */
      readonly expiresIn?: number;
      readonly expiresAfter?: number;
      /** The token server answers POST with 404, as many do. */
      readonly noPost?: boolean;
      /** In place of this server's own `/token`. */
      readonly realm?: string;
    };

export interface TestRegistryOptions {
  readonly auth?: TestAuth;
  readonly faults?: readonly FaultSource[];
  /** HTTPS with a certificate nobody trusts unless told: `certificate` of the result, for `localhost` and 127.0.0.1. */
  readonly tls?: boolean;
  /** Answers to `referrers/<digest>`, so many entries a page; without this there is no such path, as on many servers. */
  readonly referrersPage?: number;
}

export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `http://127.0.0.1:PORT` or `https://...`. */
  readonly url: string;
  /** PEM, with `tls` only. */
  readonly certificate: string | undefined;
  /** Every request since the start, refused ones too. */
  readonly requests: SeenRequest[];
  /** Makes an image pullable as `<host>/<repository>:<tag>` and by all its digests. */
  serve(repository: string, tag: string, image: TestImage): void;
  /** Makes a single blob available in every repository. */
  serveBlob(data: Uint8Array): void;
  /** Adds a fault source behind those given at the start. */
  fail(source: FaultSource): void;
  /** Closes the server and all connections, stalled ones too. */
  close(): Promise<void>;
}

interface Served {
  readonly data: Uint8Array;
  readonly mediaType: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Starts a registry on an unused loopback port. */
export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const manifests = new Map<string, Served>();
  const blobs = new Map<string, Uint8Array>();
  const requests: SeenRequest[] = [];
  const faults = [...(options.faults ?? [])];
  const gate = options.auth === undefined ? undefined : gateFor(options.auth);
  const stopped = new AbortController();

  const answerTo = (request: SeenRequest, own: string): Answer => {
    const path = request.url.split('?')[0]!;
    const refused = gate?.(request, path, own);
    if (refused !== undefined) return refused;
    if (path === '/v2/') return json(200, {});
    const [, subject] = /^\/v2\/.+\/referrers\/([^/]+)$/.exec(path) ?? [];
    if (subject !== undefined && options.referrersPage !== undefined) {
      return referrersPage(manifests.values(), subject, request.url, options.referrersPage);
    }
    const [, repository, kind, name] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    if (repository === undefined || name === undefined) return failure(404, 'NOT_FOUND', 'no such page');
    if (kind === 'blobs') {
      const data = blobs.get(name);
      if (data === undefined) return failure(404, 'BLOB_UNKNOWN', 'blob unknown to registry');
      return { status: 200, headers: contentHeaders('application/octet-stream', name), body: data };
    }
    const served = manifests.get(`${repository} ${name}`);
    if (served === undefined) return failure(404, 'MANIFEST_UNKNOWN', 'manifest unknown');
    return { status: 200, headers: contentHeaders(served.mediaType, digestOf(served.data)), body: served.data };
  };

  const listener: RequestListener = (incoming, response) => {
    void handle(incoming, response).catch(() => incoming.socket.destroy());
  };
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await seen(incoming);
    requests.push(request);
    const isToken = request.url.split('?')[0] === '/token';
    const answer = answerTo(request, registry.url);
    const faulty = answer.status !== 401 || isToken ? firstFault(faults, request) : undefined;
    await send(request, incoming.socket, response, answer, faulty, stopped.signal);
  };

  const keys = options.tls === true ? selfSigned(['localhost', '127.0.0.1']) : undefined;
  const server = keys === undefined ? createServer(listener) : createTlsServer(keys, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const registry: TestRegistry = {
    host,
    url: `${keys === undefined ? 'http' : 'https'}://${host}`,
    certificate: keys?.cert,
    requests,
    serve(repository, tag, image) {
      manifests.set(`${repository} ${tag}`, { data: image.manifest, mediaType: image.mediaType });
      for (const { manifest, mediaType, blobs: content } of withChildren(image)) {
        manifests.set(`${repository} ${digestOf(manifest)}`, { data: manifest, mediaType });
        for (const data of content) blobs.set(digestOf(data), data);
      }
    },
    serveBlob(data) {
      blobs.set(digestOf(data), data);
    },
    fail(source) {
      faults.push(source);
    },
    close() {
      stopped.abort();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return registry;
}

function firstFault(sources: readonly FaultSource[], request: SeenRequest): Fault | undefined {
  for (const source of sources) {
    const fault = source(request);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

async function seen(incoming: IncomingMessage): Promise<SeenRequest> {
  let body = '';
  for await (const chunk of incoming.setEncoding('utf8')) if (body.length < 65536) body += chunk;
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value!]),
  );
  return { method: incoming.method ?? '', url: incoming.url ?? '', headers, body };
}

async function send(
  request: SeenRequest,
  socket: Socket,
  response: ServerResponse,
  right: Answer,
  fault: Fault | undefined,
  stopped: AbortSignal,
): Promise<void> {
  if (fault?.kind === 'reset') {
    socket.destroy();
    return;
  }
  const ranged = fault?.kind === 'ignore-range' ? right : withRange(request, right);
  const answer = fault === undefined ? ranged : spoil(request, ranged, fault);
  const headers = { 'content-length': String(answer.body.length), ...answer.headers };
  const kept = Object.entries(headers).filter(([, value]) => value !== REMOVED);
  response.writeHead(answer.status, Object.fromEntries(kept));
  // Sent apart from the body, or Node would work out a Content-Length itself.
  response.flushHeaders();
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  if (fault?.kind === 'truncate') {
    response.write(answer.body.subarray(0, fault.after), () => socket.destroy());
  } else if (fault?.kind === 'stall') {
    response.write(answer.body.subarray(0, fault.after));
  } else if (fault?.kind === 'trickle') {
    for (let at = 0; at < answer.body.length && !response.destroyed; at += fault.piece) {
      response.write(answer.body.subarray(at, at + fault.piece));
      await delay(fault.pause, undefined, { signal: stopped });
    }
    response.end();
  } else {
    response.end(answer.body);
  }
}

/** Marks a header to leave out. */
const REMOVED = '\0removed';

function spoil(request: SeenRequest, answer: Answer, fault: Fault): Answer {
  switch (fault.kind) {
    case 'status':
      return {
        status: fault.status,
        headers: { 'content-type': 'text/plain', ...fault.headers },
        body: new TextEncoder().encode(fault.body ?? `fault ${fault.status}`),
      };
    case 'redirect':
      return {
        status: fault.status ?? 307,
        headers: { location: fault.to(request.url) },
        body: new Uint8Array(),
      };
    case 'corrupt': {
      // A copy: `slice` of a Buffer is none.
      const body = new Uint8Array(answer.body);
      body[fault.at % body.length]! ^= 1;
      return { ...answer, body };
    }
    case 'resize': {
      const body = new Uint8Array(Math.max(0, answer.body.length + fault.by));
      body.set(answer.body.subarray(0, body.length));
      return { ...answer, body };
    }
    case 'headers': {
      const changes = Object.entries(fault.headers).map(([name, value]) => [name.toLowerCase(), value ?? REMOVED]);
      return { ...answer, headers: { ...answer.headers, ...Object.fromEntries(changes) } };
    }
    default:
      return answer;
  }
}

function withRange(request: SeenRequest, answer: Answer): Answer {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined || answer.status !== 200 || !request.url.includes('/blobs/')) return answer;
  const size = answer.body.length;
  const start = Number(from);
  if (start >= size) {
    return { status: 416, headers: { 'content-range': `bytes */${size}` }, body: new Uint8Array() };
  }
  return {
    status: 206,
    headers: { ...answer.headers, 'content-range': `bytes ${start}-${size - 1}/${size}` },
    body: answer.body.subarray(start),
  };
}

/** Lets a request through (`undefined`) or answers in its place: 401, or a token. */
type Gate = (request: SeenRequest, path: string, own: string) => Answer | undefined;

function gateFor(auth: TestAuth): Gate {
  if (auth.kind === 'basic') {
    return ({ headers }) =>
      headers.authorization === basic(auth.user, auth.password)
        ? undefined
        : {
            ...failure(401, 'UNAUTHORIZED', 'authentication required'),
            headers: { 'www-authenticate': 'Basic realm="test"' },
          };
  }
  const tokens = new Map<string, { uses: number; readonly scopes: readonly string[] }>();
  return (request, path, own) => {
    if (path === '/token') return tokenAnswer(auth, request, tokens);
    const [, repository] = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(path) ?? [];
    const scope = repository === undefined ? undefined : `repository:${repository}:pull`;
    const token = tokens.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '');
    const good = token !== undefined && token.uses++ < (auth.expiresAfter ?? Number.POSITIVE_INFINITY);
    if (good && (scope === undefined || token.scopes.includes(scope))) return undefined;
    const parameters = [`realm="${auth.realm ?? `${own}/token`}"`, 'service="test"'];
    if (scope !== undefined) parameters.push(`scope="${scope}"`);
    if (token !== undefined) parameters.push(good ? 'error="insufficient_scope"' : 'error="invalid_token"');
    return {
      ...failure(401, 'UNAUTHORIZED', 'authentication required'),
      headers: { 'www-authenticate': `Bearer ${parameters.join(',')}` },
    };
  };
}

function tokenAnswer(
  auth: Extract<TestAuth, { kind: 'bearer' }>,
  request: SeenRequest,
  tokens: Map<string, { uses: number; readonly scopes: readonly string[] }>,
): Answer {
  const isPost = request.method === 'POST';
  if (isPost && auth.noPost === true) return failure(404, 'NOT_FOUND', 'no such page');
  const form = new URLSearchParams(isPost ? request.body : request.url.split('?')[1]);
  if (!mayHaveToken(auth, isPost, form, request.headers.authorization)) {
    return failure(401, 'UNAUTHORIZED', 'wrong user or password');
  }
  const token = `token-${tokens.size + 1}`;
  tokens.set(token, { uses: 0, scopes: form.getAll('scope').flatMap((scope) => scope.split(' ')) });
  const answer = { expires_in: auth.expiresIn ?? 300 };
  return json(200, isPost ? { ...answer, access_token: token } : { ...answer, token });
}

function mayHaveToken(
  auth: Extract<TestAuth, { kind: 'bearer' }>,
  isPost: boolean,
  form: URLSearchParams,
  authorization: string | undefined,
): boolean {
  if (auth.user === undefined && auth.identityToken === undefined) return true;
  if (auth.identityToken !== undefined) {
    if (isPost) return form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === auth.identityToken;
    return authorization === basic('<token>', auth.identityToken);
  }
  return authorization === basic(auth.user!, auth.password ?? '');
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function contentHeaders(mediaType: string, digest: string): Record<string, string> {
  return { 'content-type': mediaType, 'docker-content-digest': digest, 'accept-ranges': 'bytes' };
}

/** Source: distribution-spec "Listing Referrers". Filters only when there is one page, as servers may. */
function referrersPage(all: Iterable<Served>, subject: string, url: string, size: number): Answer {
  const query = new URL(url, 'http://localhost').searchParams;
  const start = Number(query.get('from') ?? 0);
  const found = new Map<string, Record<string, unknown>>();
  for (const { data, mediaType } of all) {
    const document = JSON.parse(new TextDecoder().decode(data)) as Record<string, never>;
    if ((document.subject as { digest?: string } | undefined)?.digest !== subject) continue;
    const { artifactType, annotations } = document;
    const digest = digestOf(data);
    found.set(digest, { mediaType, digest, size: data.length, artifactType, annotations });
  }
  const list = [...found.values()];
  const wanted = query.get('artifactType');
  const filters = wanted !== null && list.length <= size;
  const fitting = filters ? list.filter(({ artifactType }) => artifactType === wanted) : list;
  const next = start + size;
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: fitting.slice(start, next) };
  const link = `<${url.split('?')[0]}?from=${next}>; rel="next"`;
  const headers = {
    'content-type': OCI_INDEX,
    ...(filters ? { 'oci-filters-applied': 'artifactType' } : {}),
    ...(next < fitting.length ? { link } : {}),
  };
  return { ...json(200, index), headers };
}

function json(status: number, value: unknown): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: new TextEncoder().encode(JSON.stringify(value)),
  };
}

function failure(status: number, code: string, message: string): Answer {
  return json(status, { errors: [{ code, message }] });
}
