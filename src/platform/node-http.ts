import { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import type { Dispatcher } from 'undici';
import { ImagerError } from '../errors.ts';
import { type ProxyChoice, proxyChoice } from './proxy.ts';
import type { Chunks, HttpRequest, HttpResponse } from './types.ts';

/** Talos gives a pull 90 s without a byte before it calls it stalled. */
const STALL_TIMEOUT = 90_000;
const CONNECT_TIMEOUT = 15_000;
/** What is left of a body nobody wants keeps a connection usable; to wait longer for it costs more than a new one. */
const DISCARD_TIMEOUT = 1000;

/** HTTP over undici: connections pooled per TLS setting and proxy, proxies from the environment, redirects left to the caller. */
export class NodeHttp {
  readonly #proxyFor: ProxyChoice;
  readonly #agents = new Map<string, Promise<Dispatcher>>();

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    this.#proxyFor = proxyChoice(environment);
  }

  async exchange(request: HttpRequest): Promise<HttpResponse> {
    const timeout = request.stallTimeout ?? STALL_TIMEOUT;
    const where = hostOf(request.url);
    try {
      const url = new URL(request.url);
      const agent = await this.#agent(request, this.#proxyFor(url));
      const { default: send } = await import('undici/lib/api/api-request.js');
      const answer = await send.call(agent, {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: request.method,
        headers: { ...request.headers },
        body: bodyOf(request.body),
        headersTimeout: timeout,
        bodyTimeout: timeout,
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
      return {
        status: answer.statusCode,
        headers: normalise(answer.headers),
        body: readBody(answer.body, where, request.signal),
        // Whoever discards a body has no more use for its errors either.
        discard: () =>
          answer.body.dump({ limit: 64 * 1024, signal: AbortSignal.timeout(DISCARD_TIMEOUT) }).then(
            () => undefined,
            () => undefined,
          ),
      };
    } catch (error) {
      throw transportError(where, error, request.signal);
    }
  }

  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map(async (agent) => (await agent).destroy()));
  }

  #agent({ insecureTls, ca, clientCertificate }: HttpRequest, proxy: URL | undefined): Promise<Dispatcher> {
    const key = JSON.stringify([proxy?.href, insecureTls, ca, clientCertificate]);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const connect: ConnectOptions = {
      timeout: CONNECT_TIMEOUT,
      rejectUnauthorized: insecureTls !== true,
      ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
      ...(clientCertificate === undefined ? {} : { cert: clientCertificate.certificate, key: clientCertificate.key }),
    };
    const agent = makeAgent(connect, proxy);
    this.#agents.set(key, agent);
    return agent;
  }
}

interface ConnectOptions {
  readonly timeout: number;
  readonly rejectUnauthorized: boolean;
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

/** The library is loaded with the first request: it costs more than building an image of what is here does. */
async function makeAgent(connect: ConnectOptions, proxy: URL | undefined): Promise<Dispatcher> {
  if (proxy === undefined) {
    const { default: Agent } = await import('undici/lib/dispatcher/agent.js');
    return new Agent({ connect });
  }
  // Of the entry, because it is the entry that gives dispatchers the method tunnels are made with.
  const { ProxyAgent } = await import('undici');
  // Names are resolved by the proxy either way.
  const uri = proxy.href.replace(/^socks5h:/, 'socks5:');
  return new ProxyAgent({ uri, connect, requestTls: connect });
}

function bodyOf(body: HttpRequest['body']): Uint8Array | Readable | null {
  if (body === undefined) return null;
  return body instanceof Uint8Array ? body : Readable.from(body, { objectMode: false });
}

async function* readBody(body: AsyncIterable<unknown>, where: string, signal?: AbortSignal): Chunks {
  try {
    for await (const chunk of body) yield chunk as Uint8Array;
  } catch (error) {
    throw transportError(where, error, signal);
  }
}

function normalise(headers: Record<string, string | string[] | undefined>): Record<string, readonly string[]> {
  const out: Record<string, readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) out[name.toLowerCase()] = Array.isArray(value) ? value : [value];
  }
  return out;
}

/** Host and port only: a URL may carry a signature or a password. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'invalid URL';
}

function transportError(where: string, error: unknown, signal?: AbortSignal): ImagerError {
  if (error instanceof ImagerError) return error;
  if (signal?.aborted === true) return new ImagerError('canceled', `${where}: stopped`, { cause: error });
  const reason = error instanceof Error ? error.message || nameOf(error) : String(error);
  const hint = hintFor(error);
  const details = hint === undefined ? { cause: error } : { cause: error, hint };
  return new ImagerError('dependency', `${where}: ${reason}`, details);
}

function nameOf(error: Error): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  return inner instanceof Error ? inner.message : error.name;
}

function hintFor(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code))
    return 'name the authority of its CA bundle in a hosts.toml (--hosts-dir), or use --insecure for this registry';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO')
    return 'the server does not speak TLS here: use --insecure or an http:// mirror endpoint';
  if (code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT')
    return 'the server stopped sending: try again';
  return undefined;
}
