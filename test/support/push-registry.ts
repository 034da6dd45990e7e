/**
 * An OCI registry in this process, on loopback, for pushes: it keeps what it is given, lists every request, and misbehaves as its options and faults say.
 * For pulls see `registry.ts`, for the real server `docker-registry.ts`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from './image.ts';

/** One way to go wrong; what counts is the first fault whose pattern fits `METHOD path`, as often as it says. */
export type PushFault = { readonly on: RegExp; readonly times?: number } & (
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The connection closes after this many bytes of the body, which are kept. */
  | { readonly kind: 'cut'; readonly after: number }
  /** All is done as asked, but the connection closes before the answer. */
  | { readonly kind: 'lose-answer' }
  /** Done as asked, with these headers in the answer. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string>> }
);

export interface PushRegistryOptions {
  readonly faults?: readonly PushFault[];
  /** Basic credentials for the token server; every request needs a token with the right scopes. */
  readonly account?: { readonly user: string; readonly password: string };
  /** Scopes no token is ever given for. */
  readonly denied?: RegExp;
  /** `Location` of uploads: relative with a query, absolute (default), or at another host. */
  readonly location?: 'relative' | 'absolute' | { readonly host: string };
  /** Largest body of one request, as a proxy has it. */
  readonly bodyLimit?: number;
  readonly leastChunk?: number;
  /** PATCH is answered with 405. */
  readonly noPatch?: boolean;
  /** `Range` is left out of answers, and GET of an upload is answered with 404. */
  readonly noRange?: boolean;
  /** Mounts are answered with 202 and an upload. */
  readonly noMount?: boolean;
}

export interface PushRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body that came. */
  received: number;
}

export interface PushRegistry extends AsyncDisposable {
  readonly host: string;
  readonly requests: PushRequest[];
  /** By repository and digest. */
  readonly blobs: Map<string, Uint8Array>;
  /** By repository and tag or digest. */
  readonly manifests: Map<string, { readonly mediaType: string; readonly data: Uint8Array }>;
  /** `METHOD path` of all requests from `start` on, upload numbers and queries left out. */
  log(start?: number): string[];
}

interface OpenUpload {
  readonly repository: string;
  data: Buffer;
}

/** Starts a registry on an unused loopback port. */
export async function startPushRegistry(options: PushRegistryOptions = {}): Promise<PushRegistry> {
  const requests: PushRequest[] = [];
  const blobs = new Map<string, Uint8Array>();
  const manifests = new Map<string, { readonly mediaType: string; readonly data: Uint8Array }>();
  const uploads = new Map<string, OpenUpload>();
  const faults = (options.faults ?? []).map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
  let number = 0;

  const server = createServer((incoming, response) => {
    void handle(incoming, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request: PushRequest = {
      method: incoming.method!,
      url: incoming.url!,
      headers: incoming.headers as Record<string, string>,
      received: 0,
    };
    requests.push(request);
    const url = new URL(request.url, `http://${host}`);
    if (url.pathname === '/token') return answer(response, ...token(request, url));
    const refused = refusalOf(request, url);
    if (refused !== undefined) return answer(response, 401, refused, error('UNAUTHORIZED', 'authentication required'));
    const fault = takeFault(`${request.method} ${url.pathname}`);
    if (fault?.kind === 'status') {
      incoming.resume();
      return answer(response, fault.status, fault.headers ?? {}, fault.body ?? '');
    }
    if (Number(request.headers['content-length'] ?? 0) > (options.bodyLimit ?? Number.POSITIVE_INFINITY)) {
      incoming.resume();
      return answer(response, 413, {}, '<html>Request Entity Too Large</html>');
    }
    const limit = fault?.kind === 'cut' ? fault.after : Number.POSITIVE_INFINITY;
    const body = await receive(incoming, request, limit);
    const [status, headers, text] = perform(request, url, body);
    if (fault?.kind === 'cut' || fault?.kind === 'lose-answer') response.destroy();
    else answer(response, status, { ...headers, ...(fault?.kind === 'headers' ? fault.headers : {}) }, text);
  };

  const takeFault = (line: string): PushFault | undefined => {
    const found = faults.find(({ fault, left }) => left > 0 && fault.on.test(line));
    if (found !== undefined) found.left--;
    return found?.fault;
  };

  const token = (request: PushRequest, url: URL): Answer => {
    const { user, password } = options.account!;
    const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    if (request.headers.authorization !== expected) return [401, {}, error('UNAUTHORIZED', 'wrong password')];
    const scopes = url.searchParams.getAll('scope');
    if (scopes.some((scope) => options.denied?.test(scope))) return [403, {}, error('DENIED', 'no such scope for you')];
    return [
      200,
      { 'content-type': 'application/json' },
      JSON.stringify({ token: Buffer.from(scopes.join(' ')).toString('hex') }),
    ];
  };

  const refusalOf = ({ method, headers }: PushRequest, url: URL): Record<string, string> | undefined => {
    if (options.account === undefined) return undefined;
    const granted = Buffer.from(/^Bearer ([0-9a-f]+)$/.exec(headers.authorization ?? '')?.[1] ?? '', 'hex').toString();
    const [, repository] = /^\/v2\/(.+?)\/(?:blobs|manifests)\//.exec(url.pathname) ?? [];
    const right = method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
    const has = (name: string, wanted: string): boolean =>
      granted.split(' ').some((scope) => {
        const [, scoped, rights = ''] = scope.split(':');
        return scoped === name && rights.split(',').includes(wanted);
      });
    const from = url.searchParams.get('from');
    const isGranted = repository !== undefined && has(repository, right) && (from === null || has(from, 'pull'));
    if (isGranted) return undefined;
    const scope = repository === undefined ? '' : `,scope="repository:${repository}:${right}"`;
    return { 'www-authenticate': `Bearer realm="http://${host}/token",service="test"${scope}` };
  };

  const perform = (request: PushRequest, url: URL, body: Buffer): Answer => {
    const { method } = request;
    if (url.pathname === '/v2/') return [200, {}, ''];
    const [, repository = '', kind, rest = ''] =
      /^\/v2\/(.+?)\/(blobs\/uploads|blobs|manifests)\/(.*)$/.exec(url.pathname) ?? [];
    if (kind === 'manifests') return manifest(request, repository, rest, body);
    if (kind === 'blobs') {
      const data = blobs.get(`${repository} ${rest}`);
      return data === undefined
        ? [404, {}, error('BLOB_UNKNOWN', 'blob unknown')]
        : [200, { 'content-length': String(data.length) }, method === 'HEAD' ? '' : data];
    }
    if (kind !== 'blobs/uploads') return [404, {}, error('NOT_FOUND', 'no such page')];
    if (method === 'POST') return begin(url, repository);
    const upload = uploads.get(rest);
    if (upload === undefined) return [404, {}, error('BLOB_UPLOAD_UNKNOWN', 'upload unknown')];
    if (method === 'GET') return options.noRange === true ? [404, {}, ''] : [204, state(rest, upload), ''];
    if (method === 'PATCH' && options.noPatch === true) return [405, {}, error('UNSUPPORTED', 'no PATCH here')];
    const start = /^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1];
    if (start !== undefined && Number(start) !== upload.data.length) return [416, state(rest, upload), ''];
    upload.data = Buffer.concat([upload.data, body]);
    if (method === 'PATCH') return [202, state(rest, upload), ''];
    uploads.delete(rest);
    const wanted = url.searchParams.get('digest');
    if (url.searchParams.get('state') !== 'a=b c' || wanted !== digestOf(upload.data)) {
      return [400, {}, error('DIGEST_INVALID', 'provided digest did not match uploaded content')];
    }
    blobs.set(`${repository} ${wanted}`, upload.data);
    return [201, { location: `/v2/${repository}/blobs/${wanted}`, 'docker-content-digest': wanted }, ''];
  };

  const begin = (url: URL, repository: string): Answer => {
    const [digest, from] = [url.searchParams.get('mount'), url.searchParams.get('from')];
    const data = digest === null ? undefined : blobs.get(`${from} ${digest}`);
    if (data !== undefined && options.noMount !== true) {
      blobs.set(`${repository} ${digest}`, data);
      return [201, { location: `/v2/${repository}/blobs/${digest}` }, ''];
    }
    const id = String(++number);
    const upload = { repository, data: Buffer.alloc(0) };
    uploads.set(id, upload);
    const least = options.leastChunk === undefined ? {} : { 'oci-chunk-min-length': String(options.leastChunk) };
    return [202, { ...state(id, upload), ...least }, ''];
  };

  const state = (id: string, { repository, data }: OpenUpload): Record<string, string> => {
    const path = `/v2/${repository}/blobs/uploads/${id}?state=a%3Db%20c`;
    const { location = 'absolute' } = options;
    const base = location === 'relative' ? '' : `http://${location === 'absolute' ? host : location.host}`;
    const range: Record<string, string> =
      options.noRange === true ? {} : { range: `0-${Math.max(0, data.length - 1)}` };
    return { location: `${base}${path}`, ...range };
  };

  const manifest = ({ method, headers }: PushRequest, repository: string, name: string, body: Buffer): Answer => {
    if (method === 'PUT') {
      const { config, layers = [], manifests: children = [] } = JSON.parse(body.toString()) as TestManifest;
      const missing = [...(config === undefined ? [] : [config]), ...layers].filter(
        ({ digest }) => !blobs.has(`${repository} ${digest}`),
      );
      const unknown = children.filter(({ digest }) => !manifests.has(`${repository} ${digest}`));
      if (missing.length + unknown.length > 0)
        return [400, {}, error('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry')];
      const digest = digestOf(body);
      const stored = { mediaType: headers['content-type']!, data: body };
      manifests.set(`${repository} ${name}`, stored).set(`${repository} ${digest}`, stored);
      return [201, { 'docker-content-digest': digest }, ''];
    }
    const found = manifests.get(`${repository} ${name}`);
    if (found === undefined) return [404, {}, error('MANIFEST_UNKNOWN', 'manifest unknown')];
    const known = { 'content-type': found.mediaType, 'docker-content-digest': digestOf(found.data) };
    return [200, known, method === 'HEAD' ? '' : found.data];
  };

  return {
    host,
    requests,
    blobs,
    manifests,
    log: (start = 0) =>
      requests
        .slice(start)
        .map(({ method, url }) => `${method} ${url.split('?')[0]!.replace(/(uploads\/)\d+$/, '$1N')}`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

type Answer = readonly [status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array];

interface TestManifest {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
}

/** The body up to `limit` bytes. */
async function receive(incoming: IncomingMessage, request: PushRequest, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    const part = chunk.subarray(0, limit - request.received);
    parts.push(part);
    request.received += part.length;
    if (request.received >= limit) break;
  }
  return Buffer.concat(parts);
}

function answer(response: ServerResponse, ...[status, headers, body]: Answer): void {
  response.writeHead(status, headers).end(body);
}

function error(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message }] });
}
