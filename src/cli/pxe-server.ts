/** `imager pxe --serve`: the files of a network boot over HTTP, without redirects, from memory and store. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ImagerError } from '../errors.ts';
import { answerRequest } from '../pipeline/http-answer.ts';
import type { PxeFile } from '../pipeline/pxe.ts';

export interface ListenAddress {
  /** Name or IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 8080;

/** `ADDR`, `ADDR:PORT`, `[ADDR]:PORT`; port 8080 unless given, 0 for a free one. Throws `usage`. */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? (isIPv6(text) ? text : undefined);
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  if (host === undefined || number > 65535) {
    throw new ImagerError('usage', `flag --serve ${JSON.stringify(text)}: want ADDR or ADDR:PORT, like 0.0.0.0:8080`);
  }
  return { host, port: number };
}

export interface PxeServer {
  /** URLs of the directory, each with a slash at the end; one for every address a wildcard stands for. */
  readonly urls: readonly string[];
  /** Breaks off what is under way. */
  close(): Promise<void>;
}

/** One line of a log: what was asked for and how it was answered. */
export type OnRequest = (line: string) => void;

/** Serves the files under their names until it is closed. Throws `io` when the address cannot be had. */
export async function startPxeServer(
  files: readonly PxeFile[],
  address: ListenAddress,
  onRequest: OnRequest,
): Promise<PxeServer> {
  const byPath = new Map(files.map((file) => [`/${file.name}`, file]));
  const server = createServer((request, response) => {
    answer(byPath, request, response).then(
      (status) => onRequest(`${request.socket.remoteAddress ?? '-'} ${request.method} ${request.url} ${status}`),
      // Whoever asked has gone, or the input has: either way the answer cannot be completed.
      (error: Error) => {
        onRequest(
          `${request.socket.remoteAddress ?? '-'} ${request.method} ${request.url} broken off: ${error.message}`,
        );
        response.destroy();
      },
    );
  });
  await listen(server, address);
  return {
    urls: urlsOf(address.host, (server.address() as AddressInfo).port),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  byPath: ReadonlyMap<string, PxeFile>,
  { method = '', url = '', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<number> {
  const file = byPath.get(pathOf(url));
  if (file === undefined) {
    response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(method === 'HEAD' ? undefined : `no such file; there are ${[...byPath.keys()].join(' ')}\n`);
    return 404;
  }
  const { range, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = headers;
  const asked = { method, range, ifRange: typeof ifRange === 'string' ? ifRange : undefined, ifNoneMatch };
  const { status, headers: said, body } = answerRequest(file, asked, file.sha256);
  response.writeHead(status, said);
  await pipeline(Readable.from(body), response);
  return status;
}

/** Some firmware asks with escapes it need not have, or for a whole URL. */
function pathOf(target: string): string {
  try {
    return decodeURIComponent(new URL(target, 'http://localhost').pathname);
  } catch {
    return '';
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new ImagerError('io', `address ${host}:${port}: ${cause.message}, want one of this machine that is free`, {
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
}

function urlsOf(host: string, port: number): string[] {
  return reachableHosts(host).map((one) => `http://${isIPv6(one) ? `[${one}]` : one}:${port}/`);
}

/** A wildcard is no address to be reached at. */
function reachableHosts(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const others = addresses
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address);
  return others.length === 0 ? ['127.0.0.1'] : others;
}
