/** A TCP relay on loopback that breaks connections: faults between us and a server that is itself in order. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface FaultyProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Connections so far. */
  readonly connections: () => number;
  close(): Promise<void>;
}

export interface FaultyProxyOptions {
  /** Bytes from the server after which connection number `index` (from 0) breaks; `undefined` never. */
  readonly cutAfter: (index: number) => number | undefined;
}

/** Relays to `target` (`host:port`). */
export async function startFaultyProxy(target: string, { cutAfter }: FaultyProxyOptions): Promise<FaultyProxy> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((client) => {
    const limit = cutAfter(count++);
    const { hostname, port } = new URL(`http://${target}`);
    const upstream = connect(Number(port), hostname);
    let relayed = 0;
    upstream.on('data', (chunk: Buffer) => {
      const allowed = limit === undefined ? chunk.length : Math.min(chunk.length, limit - relayed);
      relayed += allowed;
      const flows = client.write(chunk.subarray(0, allowed), () => {
        if (relayed === limit) client.resetAndDestroy();
      });
      if (!flows) upstream.pause();
    });
    client.on('drain', () => upstream.resume());
    client.pipe(upstream);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroySoon();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => count,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
