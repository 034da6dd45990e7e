/**
 * Serves an ISO that is never written: each range of it is put together when somebody asks for it.
 *
 *     npx node examples/serve-iso.ts [--port 8080] [--arch amd64] [--talos-version v1.13.9] [--imager-image oci:DIR]
 *     curl -r 0-99 -o part http://127.0.0.1:8080/metal-amd64.iso
 *
 * In a project of your own import from 'bootwright'; servers that speak fetch take `toResponse` in place of `answerRequest`.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import {
  answerRequest,
  build,
  DEFAULT_EPOCH,
  defaultStoreDirectory,
  finaliseProfile,
  nodePlatform,
  type PlanRequest,
  parseAssetSource,
  planBuild,
  planDigest,
  resolveProfile,
  type Workplace,
} from '../src/index.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8080' },
    arch: { type: 'string', default: 'amd64' },
    'talos-version': { type: 'string', default: 'v1.13.9' },
    'imager-image': { type: 'string' },
  },
});

const platform = nodePlatform();
const workplace: Workplace = { platform, store: defaultStoreDirectory(platform), transport: {} };
const given = { baseProfileName: 'iso', arch: values.arch, version: values['talos-version'] };
const assets = values['imager-image'] === undefined ? {} : { assets: parseAssetSource(values['imager-image']) };
const request: PlanRequest = { profile: finaliseProfile(resolveProfile(given)), epoch: DEFAULT_EPOCH, ...assets };

const plan = await planBuild(workplace, request, { resolve: true });
const artifact = await build(workplace, request, plan);
// Known before the first byte, and the same after a restart: downloads can be resumed.
const etag = planDigest(plan);

const server = createServer((incoming, response) => {
  if (incoming.url !== `/${artifact.name}`) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end(`want /${artifact.name}\n`);
    return;
  }
  const header = (name: string): string | undefined => incoming.headers[name]?.toString();
  const wanted = {
    method: incoming.method ?? '',
    range: header('range'),
    ifRange: header('if-range'),
    ifNoneMatch: header('if-none-match'),
  };
  const answer = answerRequest(artifact, wanted, etag);
  response.writeHead(answer.status, answer.headers);
  // A client that goes away ends the reading too.
  pipeline(Readable.from(answer.body), response).catch((error: Error) => console.error(error.message));
});

server.listen(Number(values.port), '127.0.0.1');
await once(server, 'listening');
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${artifact.name}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close(() => void platform.close());
    server.closeAllConnections();
  });
}
