/** Disks that nobody ever wrote, asked for by HTTP in pieces: each is what the file would have there. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type FileHandle, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import type { Artifact } from '../../src/pipeline/artifact.ts';
import { build } from '../../src/pipeline/build.ts';
import { DEFAULT_EPOCH } from '../../src/pipeline/epoch.ts';
import { answerRequest } from '../../src/pipeline/http-answer.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { runImager } from '../support/imager-process.ts';
import { buildableArchitecture, type SyntheticAssets, writeSyntheticAssets } from '../support/synthetic-assets.ts';

const GIB = 2 ** 30;
const COMMON = { baseProfileName: 'metal', arch: buildableArchitecture(), version: 'v1.13.0' };

interface DiskCase {
  readonly profile: GivenProfile;
  readonly ranges: number;
  /** Bytes. */
  readonly atLeast: number;
}

const CASES: Readonly<Record<string, DiskCase>> = {
  'a raw disk': { profile: { ...COMMON, output: { outFormat: 'raw' } }, ranges: 1000, atLeast: 2 * GIB },
  'a compressed disk': { profile: { ...COMMON, output: { outFormat: '.zst' } }, ranges: 200, atLeast: 2 ** 20 },
  'a qcow2 disk': {
    profile: { ...COMMON, output: { outFormat: 'raw', imageOptions: { diskFormat: 'qcow2' } } },
    ranges: 200,
    atLeast: 2 ** 20,
  },
};

const platform = nodePlatform({});
let directory: string;
let assets: SyntheticAssets;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-ranges-'));
  assets = await writeSyntheticAssets(join(directory, 'assets'), { architectures: [COMMON.arch] });
});
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

interface Served {
  readonly server: Server;
  readonly url: string;
  readonly artifact: Artifact;
  readonly etag: string;
}

/** As a program that uses the library does it: nothing is written but what the store keeps. */
async function serve(given: GivenProfile): Promise<Served> {
  const workplace = { platform, store: join(directory, 'store'), transport: {} };
  const profile = finaliseProfile(resolveProfile(given));
  const source = { kind: 'layout', directory: assets.directory, name: assets.tag } as const;
  const request = { profile, epoch: DEFAULT_EPOCH, assets: source };
  const plan = await planBuild(workplace, request, { resolve: true });
  const artifact = await build(workplace, request, plan);
  const etag = planDigest(plan);
  const server = createServer((incoming, response) => {
    const header = (name: string): string | undefined => incoming.headers[name]?.toString();
    const wanted = { method: incoming.method ?? '', range: header('range'), ifRange: header('if-range') };
    const answer = answerRequest(artifact, wanted, etag);
    response.writeHead(answer.status, answer.headers);
    // Clients may go away in the middle.
    pipeline(Readable.from(answer.body), response).catch(() => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${port}/${artifact.name}`, artifact, etag };
}

/** The same disk as the command line writes it, from a store of its own. */
async function write(given: GivenProfile): Promise<FileHandle> {
  const profile = join(directory, 'profile.json');
  await writeFile(profile, JSON.stringify(given));
  const output = await mkdtemp(join(directory, 'out-'));
  const inputs = ['--imager-image', assets.source, '--store', join(directory, 'other-store')];
  const { code, stderr } = await runImager(['-', ...inputs, '-o', output, '--quiet'], {
    before: `exec <'${profile}'`,
    environment: { XDG_CACHE_HOME: join(directory, 'cache') },
  });
  assert.equal(code, 0, stderr);
  return open(join(output, (await readdir(output))[0]!));
}

/** Numbers from 0 up to `limit`, always the same ones. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Half of them anywhere, half around the places where one piece of content ends and another begins. */
function* randomRanges({ bytes }: Artifact, count: number): Generator<readonly [start: number, end: number]> {
  const random = numbers(1);
  for (let index = 0; index < count; index++) {
    const isAnywhere = index % 2 === 0;
    const edge = bytes.starts[random(bytes.starts.length)]! - random(9000);
    const start = Math.min(Math.max(0, isAnywhere ? random(bytes.size) : edge), bytes.size - 1);
    const length = 1 + random(index % 50 === 0 ? 8 << 20 : 20_000);
    yield [start, Math.min(start + length, bytes.size)];
  }
}

for (const [name, { profile, ranges, atLeast }] of Object.entries(CASES)) {
  describe(name, () => {
    let served: Served;
    let file: FileHandle;
    let size: number;

    before(async () => {
      served = await serve(profile);
      file = await write(profile);
      ({ size } = await file.stat());
    });
    after(async () => {
      served.server.closeAllConnections();
      served.server.close();
      await file.close();
    });

    const written = async (start: number, end: number): Promise<Buffer> => {
      const data = Buffer.alloc(end - start);
      const { bytesRead } = await file.read(data, 0, data.length, start);
      assert.equal(bytesRead, data.length);
      return data;
    };

    /** Status and headers of a part, and its bytes against the file's. */
    const checkPart = async (
      range: string,
      start: number,
      end: number,
      more: Readonly<Record<string, string>> = {},
    ): Promise<void> => {
      const response = await fetch(served.url, { headers: { ...more, range } });
      assert.equal(response.status, 206, range);
      assert.equal(response.headers.get('content-range'), `bytes ${start}-${end - 1}/${size}`);
      assert.equal(response.headers.get('content-length'), String(end - start));
      const body = Buffer.from(await response.arrayBuffer());
      assert.ok(body.equals(await written(start, end)), range);
    };

    test('is as long as the file', () => {
      assert.equal(served.artifact.bytes.size, size);
      assert.ok(size >= atLeast);
    });

    test(`${ranges} ranges`, async () => {
      for (const [start, end] of randomRanges(served.artifact, ranges)) {
        await checkPart(`bytes=${start}-${end - 1}`, start, end);
      }
    });

    test('its ends', async () => {
      await checkPart('bytes=0-0', 0, 1);
      await checkPart(`bytes=${size - 1}-${size - 1}`, size - 1, size);
      await checkPart('bytes=-1', size - 1, size);
      await checkPart('bytes=-70000', size - 70_000, size);
      await checkPart(`bytes=${size - 5000}-`, size - 5000, size);
      await checkPart(`bytes=${size - 10}-${size + 10}`, size - 10, size);
    });

    test('a download that goes on where it broke off', async () => {
      const stopped = new AbortController();
      const whole = await fetch(served.url, { signal: stopped.signal });
      assert.equal(whole.headers.get('content-length'), String(size));
      const etag = whole.headers.get('etag')!;
      assert.equal(etag, `"${served.etag}"`);
      const reader = whole.body!.getReader();
      const first = Buffer.from((await reader.read()).value!);
      assert.ok(first.equals(await written(0, first.length)));
      stopped.abort();
      await checkPart(`bytes=${first.length}-${first.length + 99_999}`, first.length, first.length + 100_000, {
        'if-range': etag,
      });
    });

    test('the whole where it has become another', async () => {
      const stopped = new AbortController();
      const headers = { range: 'bytes=0-9', 'if-range': '"sha256:0000"' };
      const response = await fetch(served.url, { headers, signal: stopped.signal });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-length'), String(size));
      stopped.abort();
    });

    test('its size and type without it', async () => {
      const response = await fetch(served.url, { method: 'HEAD' });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-length'), String(size));
      assert.equal(response.headers.get('accept-ranges'), 'bytes');
      assert.equal(response.headers.get('content-type'), served.artifact.mediaType);
      assert.equal((await response.arrayBuffer()).byteLength, 0);
    });

    test('nothing beyond its end', async () => {
      for (const range of [`bytes=${size}-`, `bytes=${size + 5}-${size + 9}`, 'bytes=-0']) {
        const response = await fetch(served.url, { headers: { range } });
        assert.equal(response.status, 416, range);
        assert.equal(response.headers.get('content-range'), `bytes */${size}`);
        assert.equal((await response.arrayBuffer()).byteLength, 0);
      }
    });
  });
}
