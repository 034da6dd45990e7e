import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concat, ofMemory, ofSource, zeros } from '../../src/bytes/bytes.ts';
import type { Artifact } from '../../src/pipeline/artifact.ts';
import { type ArtifactRequest, answerRequest, toResponse } from '../../src/pipeline/http-answer.ts';
import { memorySource, stream } from '../support/bytes.ts';

const ETAG = 'sha256:0123';
const SIZE = 1000;
const data = new Uint8Array(SIZE);
data.set(stream('a', 300));
data.set(stream('b', 200), 800);
const bytes = concat([ofSource(memorySource(data.slice(0, 300))), zeros(500), ofMemory(data.slice(800))]);
const artifact: Artifact = { name: 'metal-amd64.iso', mediaType: 'application/vnd.efi-iso', bytes };

type Case = readonly [
  name: string,
  request: Partial<ArtifactRequest>,
  status: number,
  range?: readonly [number, number],
];

const CASES: readonly Case[] = [
  ['the whole', {}, 200, [0, SIZE]],
  ['null, as web headers have it', { range: null, ifRange: null, ifNoneMatch: null }, 200, [0, SIZE]],
  ['the start', { range: 'bytes=0-0' }, 206, [0, 1]],
  ['across extents', { range: 'bytes=299-800' }, 206, [299, 801]],
  ['to the end', { range: 'bytes=990-' }, 206, [990, SIZE]],
  ['past the end', { range: 'bytes=990-99999' }, 206, [990, SIZE]],
  ['the last', { range: 'bytes=-10' }, 206, [990, SIZE]],
  ['more than all from the end', { range: 'bytes=-99999' }, 206, [0, SIZE]],
  ['units in capitals', { range: 'BYTES=0-0' }, 206, [0, 1]],
  ['beyond the end', { range: 'bytes=1000-' }, 416],
  ['beyond any number', { range: `bytes=${'9'.repeat(400)}-` }, 416],
  ['nothing from the end', { range: 'bytes=-0' }, 416],
  ['several ranges', { range: 'bytes=0-1,4-5' }, 200, [0, SIZE]],
  ['another unit', { range: 'items=0-1' }, 200, [0, SIZE]],
  ['backwards', { range: 'bytes=5-4' }, 200, [0, SIZE]],
  ['no range', { range: 'bytes=-' }, 200, [0, SIZE]],
  ['if it is still the same', { range: 'bytes=0-9', ifRange: `"${ETAG}"` }, 206, [0, 10]],
  ['if it were another', { range: 'bytes=0-9', ifRange: '"other"' }, 200, [0, SIZE]],
  ['if a weak tag says so', { range: 'bytes=0-9', ifRange: `W/"${ETAG}"` }, 200, [0, SIZE]],
  ['if a date says so', { range: 'bytes=0-9', ifRange: 'Sat, 01 Jun 2019 21:34:52 GMT' }, 200, [0, SIZE]],
  ['not again', { ifNoneMatch: `"${ETAG}"` }, 304],
  ['not again, nor a part', { ifNoneMatch: `"other", W/"${ETAG}"`, range: 'bytes=0-9' }, 304],
  ['not anything', { ifNoneMatch: '*' }, 304],
  ['unless another', { ifNoneMatch: '"other"' }, 200, [0, SIZE]],
  ['the head', { method: 'HEAD' }, 200],
  ['the head has no ranges', { method: 'HEAD', range: 'bytes=0-9' }, 200],
  ['the head, not again', { method: 'HEAD', ifNoneMatch: `"${ETAG}"` }, 304],
  ['a method that changes things', { method: 'PUT' }, 405],
  ['a method in small letters', { method: 'get' }, 405],
];

describe('answers', () => {
  for (const [name, given, status, range] of CASES) {
    test(name, async () => {
      const request = { method: 'GET', ...given };
      const answer = answerRequest(artifact, request, ETAG);
      assert.equal(answer.status, status);
      const body = Buffer.concat(await Array.fromAsync(answer.body));
      assert.deepEqual(body, Buffer.from(data.slice(...(range ?? [0, 0]))));
      assert.deepEqual(answer.headers, headersFor(status, request, range));

      const response = toResponse(artifact, request, ETAG);
      assert.equal(response.status, status);
      assert.deepEqual(Object.fromEntries(response.headers), answer.headers);
      assert.equal(response.body === null, range === undefined);
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), body);
    });
  }
});

function headersFor(status: number, { method }: ArtifactRequest, range: Case[3]): Record<string, string> {
  if (status === 405) return { allow: 'GET, HEAD' };
  const etag = `"${ETAG}"`;
  if (status === 304) return { etag };
  const common = { 'accept-ranges': 'bytes', etag };
  if (status === 416) return { ...common, 'content-length': '0', 'content-range': `bytes */${SIZE}` };
  const [start, end] = method === 'HEAD' || range === undefined ? [0, SIZE] : range;
  return {
    ...common,
    'content-length': String(end - start),
    ...(status === 206 ? { 'content-range': `bytes ${start}-${end - 1}/${SIZE}` } : {}),
    'content-type': artifact.mediaType,
    'content-disposition': 'attachment; filename="metal-amd64.iso"',
  };
}

test('only what was asked for is read, when it is asked for', async () => {
  const source = memorySource(new Uint8Array(10_000_000));
  const large: Artifact = { ...artifact, bytes: ofSource(source) };
  const response = toResponse(large, { method: 'GET', range: 'bytes=5000000-5000009' }, ETAG);
  toResponse(large, { method: 'HEAD' }, ETAG);
  await response.arrayBuffer();
  assert.deepEqual(source.reads, [{ position: 5_000_000, length: 10 }]);
});

test('a reader that goes away stops the reading', async () => {
  const source = memorySource(new Uint8Array(64_000_000));
  const response = toResponse({ ...artifact, bytes: ofSource(source) }, { method: 'GET' }, ETAG);
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  const reads = source.reads.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(source.reads.length, reads);
  assert.ok(reads < 8, `${reads} MiB were read for one`);
});

test('a signal breaks the body off', async () => {
  const source = memorySource(new Uint8Array(64_000_000));
  const stop = new AbortController();
  const answer = answerRequest({ ...artifact, bytes: ofSource(source) }, { method: 'GET' }, ETAG, {
    signal: stop.signal,
  });
  const enough = new Error('enough');
  await assert.rejects(
    async () => {
      for await (const _ of answer.body) stop.abort(enough);
    },
    { code: 'canceled', cause: enough },
  );
});

test('an empty artefact', async () => {
  const empty: Artifact = { ...artifact, bytes: zeros(0) };
  assert.equal(answerRequest(empty, { method: 'GET' }, ETAG).headers['content-length'], '0');
  assert.equal(answerRequest(empty, { method: 'GET', range: 'bytes=0-' }, ETAG).status, 416);
  assert.equal((await toResponse(empty, { method: 'GET' }, ETAG).arrayBuffer()).byteLength, 0);
});
