/** What companies put before a registry: TLS with a certificate of their own, a login, and if wanted a look at who is there. */
import { once } from 'node:events';
import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type KeyPair, selfSigned } from './certificate.ts';

export interface TlsProxyOptions {
  readonly user: string;
  readonly password: string;
  /** Only clients that show a certificate of this authority (PEM) get in. */
  readonly clientAuthority?: string;
}

export interface TlsProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** PEM. */
  readonly certificate: string;
  /** Requests that got past the login. */
  readonly admitted: () => number;
  close(): Promise<void>;
}

/** Relays to `target` (`host:port`, plain HTTP). */
export async function startTlsProxy(target: string, options: TlsProxyOptions): Promise<TlsProxy> {
  const keys: KeyPair = selfSigned(['localhost', '127.0.0.1']);
  const login = `Basic ${Buffer.from(`${options.user}:${options.password}`).toString('base64')}`;
  const { hostname, port } = new URL(`http://${target}`);
  let admitted = 0;
  const relay = (incoming: IncomingMessage, response: ServerResponse): void => {
    if (incoming.headers.authorization !== login) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="company"' }).end('no');
      return;
    }
    admitted++;
    const { authorization: _, ...headers } = incoming.headers;
    const upstream = forward({ hostname, port, method: incoming.method, path: incoming.url, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    incoming.pipe(upstream);
  };
  const { clientAuthority } = options;
  const asking = clientAuthority === undefined ? {} : { ca: clientAuthority, requestCert: true };
  const server = createServer({ ...keys, ...asking }, relay);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificate: keys.cert,
    admitted: () => admitted,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
