import assert from 'node:assert/strict';
import { mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Chunks } from '../../src/platform/types.ts';
import { treeOfDirectory } from '../../src/tree/directory.ts';
import { stream } from '../support/bytes.ts';
import { rejected } from '../support/rejected.ts';

const platform = nodePlatform({ PATH: process.env.PATH });
const directory = await mkdtemp(join(tmpdir(), 'platform-'));
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

async function* inPieces(data: Uint8Array, size: number): Chunks {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function collect(chunks: Chunks): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
  return Buffer.concat(parts);
}

const program = { environment: {}, timeout: 5000, outputLimit: 1000, args: [] as string[] };
const DATA = Buffer.concat([stream('platform', 100_000), Buffer.alloc(3_000_000)]);

test('gunzip takes all members; zstd takes a frame', async () => {
  const members = Buffer.concat([gzipSync(DATA), gzipSync('more')]);
  assert.ok(
    (await collect(platform.compression.gunzip(inPieces(members, 999)))).equals(
      Buffer.concat([DATA, Buffer.from('more')]),
    ),
  );
  assert.ok((await collect(platform.compression.unzstdFrame(inPieces(zstdCompressSync(DATA), 999)))).equals(DATA));
  const packed = await collect(platform.compression.gzip(inPieces(DATA, 4096), { level: 9 }));
  assert.ok((await collect(platform.compression.gunzip(inPieces(packed, 1 << 20)))).equals(DATA));
});

test('damaged or cut compressed streams are invalid input', async () => {
  const gzip = gzipSync(DATA);
  const zstd = zstdCompressSync(DATA);
  const flipped = Buffer.from(gzip);
  flipped[500] = flipped[500]! ^ 0xff;
  await assert.rejects(collect(platform.compression.gunzip(inPieces(flipped, 999))), { code: 'invalid-input' });
  await assert.rejects(collect(platform.compression.gunzip(inPieces(gzip.subarray(0, -9), 999))), {
    code: 'invalid-input',
  });
  await assert.rejects(collect(platform.compression.unzstdFrame(inPieces(zstd.subarray(0, -9), 999))), {
    code: 'invalid-input',
  });
  await assert.rejects(collect(platform.compression.unzstdFrame(inPieces(Buffer.from('not zstd at all'), 999))), {
    code: 'invalid-input',
  });
});

test('damage found while more input waits is invalid input too', async () => {
  const text = gzipSync('some text that compresses a little '.repeat(500_000));
  const gzip = Buffer.concat([text, gzipSync(stream('waits', 4_000_000))]);
  for (let at = 1000; at < text.length; at += 4999) {
    const damaged = Buffer.from(gzip);
    damaged.fill(0xa5, at, at + 1000);
    await assert.rejects(collect(platform.compression.gunzip(inPieces(damaged, 65_536))), { code: 'invalid-input' });
  }
});

test('an error of the input comes out as it is', async () => {
  const failing = async function* (): Chunks {
    yield gzipSync(DATA).subarray(0, 100);
    throw new RangeError('mine');
  };
  await assert.rejects(collect(platform.compression.gunzip(failing())), { name: 'RangeError', message: 'mine' });
});

test('more files than the pool holds are read side by side', async () => {
  const count = 200;
  const sources = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const path = join(directory, `file${index}`);
      await writeFile(path, String(index).padStart(8, '0'));
      return platform.files.source(path);
    }),
  );
  for (let round = 0; round < 3; round++) {
    const read = await Promise.all(
      sources.map(async (source) => {
        const data = new Uint8Array(4);
        await source.read(4, data);
        return Number(Buffer.from(data).toString());
      }),
    );
    assert.deepEqual(
      read,
      Array.from({ length: count }, (_, index) => index),
    );
  }
});

test('files: information, lists, limits, exclusive creation', async () => {
  const path = join(directory, 'made');
  const file = await platform.files.create(path, 0o600);
  await file.write(2, Buffer.from('xy'));
  await file.close();
  assert.equal((await platform.files.info(path))?.size, 4);
  assert.equal(await platform.files.info(join(path, 'below a file')), undefined);
  await assert.rejects(platform.files.create(path), { code: 'io' });
  await assert.rejects(platform.files.read(path, 3), { code: 'invalid-input' });
  assert.deepEqual(Buffer.from(await platform.files.read(path, 4)), Buffer.from('\0\0xy'));
  assert.ok((await platform.files.list(directory)).includes('made'));
  assert.ok((await platform.files.freeSpace(directory)) > 0);
  await assert.rejects(platform.files.source(directory), { code: 'io' });
});

test('files: what does not say how large it is is read up to the limit and no further', async () => {
  await assert.rejects(platform.files.read('/dev/zero', 3_000_000), {
    code: 'invalid-input',
    message: '/dev/zero: more than 3000000 bytes',
  });
  const pipe = join(directory, 'pipe');
  const made = await platform.run({
    ...program,
    environment: { PATH: '/usr/bin:/bin' },
    command: 'mkfifo',
    args: [pipe],
  });
  assert.equal(made.exitCode, 0);
  const write = async (): Promise<void> => {
    const file = await open(pipe, 'w');
    // A reader that has enough closes its end.
    await file.writeFile(DATA).catch(() => undefined);
    await file.close();
  };
  const [whole] = await Promise.all([platform.files.read(pipe, DATA.length), write()]);
  assert.ok(DATA.equals(whole));
  await Promise.all([assert.rejects(platform.files.read(pipe, DATA.length - 1), { code: 'invalid-input' }), write()]);
  await writeFile(join(directory, 'empty'), '');
  assert.equal((await platform.files.read(join(directory, 'empty'), 0)).length, 0);
  assert.ok((await platform.files.read('/proc/self/status', 1 << 20)).length > 0);
});

test('a file that changes after it was read from is noticed', async () => {
  const path = join(directory, 'changing');
  await writeFile(path, 'before');
  const source = await platform.files.source(path);
  await source.read(0, new Uint8Array(6));
  await writeFile(path, 'behind');
  await assert.rejects(source.read(0, new Uint8Array(6)), {
    code: 'io',
    message: `${path}: changed while it was in use`,
  });
});

test('names that are not UTF-8 are refused, not left out', async () => {
  const odd = join(directory, 'odd');
  await platform.files.makeDirectory(odd);
  await writeFile(Buffer.concat([Buffer.from(`${odd}/caf`), Buffer.from([0xe9])]), '');
  await assert.rejects(platform.files.list(odd), rejected('invalid-input', /odd: the name "café" in it is not UTF-8/));
  await assert.rejects(treeOfDirectory(platform.files, odd), { code: 'invalid-input' });
  await symlink(Buffer.from([0xff]), join(directory, 'odd link'));
  await assert.rejects(platform.files.readLink(join(directory, 'odd link')), { code: 'invalid-input' });
});

test('directories are made with their parents, and what refuses is an error, never a hang', async () => {
  const path = join(directory, 'a', 'b', 'c');
  await platform.files.makeDirectory(path);
  await platform.files.makeDirectory(path);
  assert.equal((await platform.files.info(path))?.kind, 'directory');
  await writeFile(join(directory, 'file'), '');
  await assert.rejects(platform.files.makeDirectory(join(directory, 'file')), { code: 'io' });
  await assert.rejects(platform.files.makeDirectory(join(directory, 'file', 'below')), { code: 'io' });
  // Node's own recursive mkdir never returns from here on Linux.
  await assert.rejects(platform.files.makeDirectory('/proc/none/below'), { code: 'io' });
});

test('files: directories below one that is missing, made at the same time', async () => {
  for (let turn = 0; turn < 50; turn++) {
    const root = join(directory, `shared-${turn}`);
    const paths = ['a/b', 'c', 'd', 'e', 'f'].map((name) => join(root, name));
    await Promise.all(paths.map((path) => platform.files.makeDirectory(path)));
    for (const path of paths) assert.equal((await platform.files.info(path))?.kind, 'directory');
  }
});

test('programs: input, output, exit code, empty environment', async () => {
  const result = await platform.run({
    ...program,
    command: '/bin/sh',
    args: ['-c', 'cat; env >&2; exit 3'],
    stdin: Buffer.from('hello'),
  });
  assert.equal(result.exitCode, 3);
  assert.equal(Buffer.from(result.stdout).toString(), 'hello');
  assert.doesNotMatch(Buffer.from(result.stderr).toString(), /HOME|npm/);
});

test('programs that hang, flood or do not exist are dependency errors, with their children', async () => {
  const shell = { ...program, command: '/bin/sh' };
  await assert.rejects(
    platform.run({ ...shell, args: ['-c', 'sleep 60 & sleep 60'], timeout: 100 }),
    /still running after 100 ms/,
  );
  await assert.rejects(
    platform.run({ ...shell, args: ['-c', 'while :; do echo flood; done'] }),
    /more than 1000 bytes/,
  );
  await assert.rejects(platform.run({ ...program, command: join(directory, 'none') }), { code: 'dependency' });
  await assert.rejects(platform.run({ ...shell, args: ['-c', 'kill -9 $$'] }), /ended by SIGKILL/);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(platform.run({ ...shell, args: ['-c', 'sleep 60'], signal }), { code: 'canceled' });
});

test('a program is not started for somebody who has gone already', async () => {
  const made = join(directory, 'made by nobody');
  const request = { ...program, command: '/bin/sh', args: ['-c', `: > '${made}'`], signal: AbortSignal.abort() };
  await assert.rejects(platform.run(request), { code: 'canceled' });
  assert.equal(await platform.files.info(made), undefined);
});

test('the timeout holds for who leaves the process group and keeps the output open', async () => {
  const request = { ...program, command: '/bin/sh', args: ['-c', 'setsid sleep 8 & exit 0'], timeout: 300 };
  const start = performance.now();
  await assert.rejects(platform.run(request), { code: 'dependency', message: /still running after 300 ms/ });
  assert.ok(performance.now() - start < 5000, `${performance.now() - start} ms`);
});

test('whatever keeps a program from starting is a dependency error', async () => {
  const script = join(directory, 'busy');
  await writeFile(script, '#!/bin/sh\n', { mode: 0o755 });
  const writer = await open(script, 'r+');
  const busy = { ...program, command: script };
  await assert.rejects(platform.run(busy), { code: 'dependency', message: /cannot be started: .*ETXTBSY/ });
  const later = platform.run(busy);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await writer.close();
  assert.equal((await later).exitCode, 0);
  await assert.rejects(platform.run({ ...program, command: '/etc/passwd/x' }), rejected('dependency', /ENOTDIR/));
  const nul = { ...program, command: '/bin/sh', args: ['a\0b'] };
  await assert.rejects(platform.run(nul), rejected('dependency', /cannot be started/));
});

test('HTTP: status, headers, body; redirects are left alone', async () => {
  await serving(
    (request, response) => {
      if (request.url === '/redirect') response.writeHead(302, { location: '/other' }).end();
      else response.writeHead(200, { 'X-Method': request.method, 'Set-Cookie': ['a=1', 'b=2'] }).end('body');
    },
    async (base) => {
      const answer = await platform.http({ method: 'GET', url: `${base}/a` });
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
      assert.equal((await collect(answer.body)).toString(), 'body');
      const redirect = await platform.http({ method: 'GET', url: `${base}/redirect` });
      assert.equal(redirect.status, 302);
      await redirect.discard();
    },
  );
});

test('HTTP: refused connections, stalls and cuts are dependency errors that name the host only', async () => {
  await serving(
    (request, response) => {
      if (request.url === '/stall') response.writeHead(200, { 'content-length': '10' }).write('abc');
      else response.writeHead(200, { 'content-length': '10' }).write('abc', () => response.destroy());
    },
    async (base) => {
      const { host } = new URL(base);
      const cut = await platform.http({ method: 'GET', url: `${base}/cut?token=secret` });
      await assert.rejects(
        collect(cut.body),
        (error: Error) => error.message.startsWith(`${host}: `) && !error.message.includes('secret'),
      );
      const stall = await platform.http({ method: 'GET', url: `${base}/stall`, stallTimeout: 1000 });
      await assert.rejects(collect(stall.body), { code: 'dependency' });
    },
  );
  await assert.rejects(platform.http({ method: 'GET', url: 'http://127.0.0.1:1/' }), { code: 'dependency' });
});

async function serving(listener: RequestListener, use: (base: string) => Promise<void>): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
