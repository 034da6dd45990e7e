import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { adler32, storedStream, zlibStream } from '../../../src/formats/vmdk/zlib-stream.ts';
import { stream } from '../../support/bytes.ts';
import { deflate } from '../../support/zlib.ts';

const RANDOM = stream('random', 65536);

test('stored streams are read by any inflater', () => {
  for (const size of [0, 1, 65535, 65536, 65537, 200_000]) {
    const data = stream('stored', size);
    assert.deepEqual(new Uint8Array(inflateSync(storedStream(data))), data, `${size}`);
  }
});

test('Adler-32', () => {
  assert.equal(adler32(new Uint8Array()), 1);
  assert.equal(adler32(new TextEncoder().encode('Wikipedia')), 0x11e60398);
  assert.equal(adler32(new Uint8Array(100_000).fill(0xff)), 0x149a302c);
});

async function compressed(data: Uint8Array): Promise<{ readonly size: number; readonly deflated: number }> {
  let deflated = 0;
  const result = await zlibStream(data, (part) => {
    deflated += part.length;
    return deflate(part);
  });
  assert.deepEqual(new Uint8Array(inflateSync(result)), data);
  return { size: result.length, deflated };
}

test('what is compressed already is stored after a look at a sample', async () => {
  const { size, deflated } = await compressed(RANDOM);
  assert.equal(size, 65536 + 2 + 2 * 5 + 4);
  assert.ok(deflated <= 4096, `${deflated}`);
});

test('what repeats is compressed, though all its bytes are equally frequent', async () => {
  const counter = Uint8Array.from({ length: 65536 }, (_, index) => index & 0xff);
  assert.ok((await compressed(counter)).size < 1000);
});

test('what is partly compressible is compressed whole', async () => {
  const half = Uint8Array.from(RANDOM);
  half.fill(0x20, 0, 20_000);
  assert.ok((await compressed(half)).size < 46_000);
  const sevenBits = RANDOM.map((byte) => byte & 0x7f);
  assert.ok((await compressed(sevenBits)).size < 58_000);
});

test('never larger than stored', async () => {
  const short = stream('short', 100);
  assert.equal((await compressed(short)).size, 111);
  assert.equal((await compressed(new Uint8Array())).size, 8);
});
