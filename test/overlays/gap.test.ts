import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ofSource } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { gapWrites, type WrittenDisk } from '../../src/overlays/gap.ts';
import { nodePlatform } from '../../src/platform/node.ts';

const MIB = 1 << 20;
const platform = nodePlatform({});
const space = await mkdtemp(join(tmpdir(), 'gap-'));
after(async () => {
  await platform.close();
  await rm(space, { recursive: true });
});

async function disk(name: string, size: number, writes: Readonly<Record<number, string>>): Promise<WrittenDisk> {
  const path = join(space, name);
  const file = await platform.files.create(path);
  await file.truncate(size);
  for (const [at, text] of Object.entries(writes)) await file.write(Number(at), Buffer.from(text));
  await file.close();
  const { allocated } = (await platform.files.info(path))!;
  return { disk: ofSource(await platform.files.source(path)), taken: [], gapEnd: 2 * MIB, allocated };
}

test('what is in the gap is found to the byte, across the steps it is read in', async () => {
  const long = 'x'.repeat(600_000);
  const placements = await gapWrites(await disk('gap', 64 * MIB, { 0: 'a', 262143: 'bc', 300000: long }), 'overlay');
  const whole = Buffer.alloc(2 * MIB);
  for (const { at, bytes } of placements) whole.set(await read(bytes), at);
  const expected = Buffer.alloc(2 * MIB);
  expected.write('a', 0);
  expected.write('bc', 262_143);
  expected.write(long, 300_000);
  assert.ok(whole.equals(expected));
});

test('one byte behind the gap is found, at any place of a word', async () => {
  for (const at of [2 * MIB, 40 * MIB + 1, 48 * MIB + 14, 64 * MIB - 1]) {
    const written = await disk(`behind${at}`, 64 * MIB, { [at]: 'x' });
    await assert.rejects(gapWrites(written, 'overlay'), { code: 'dependency', message: new RegExp(`at byte ${at} `) });
  }
});

test('a large disk that occupies a block too many is looked through in seconds, and can be stopped', async () => {
  const written = await disk('holes', 1024 * MIB, { [700 * MIB]: '\0' });
  const start = performance.now();
  assert.deepEqual(await gapWrites(written, 'overlay'), []);
  assert.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`);
  const signal = AbortSignal.timeout(5);
  await assert.rejects(gapWrites(written, 'overlay', signal), { code: 'canceled' });
});
