import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import { atOnce } from '../../src/oci/at-once.ts';

const items = [0, 1, 2, 3, 4, 5, 6, 7];
const options = { concurrency: 3, signal: undefined, what: 'all' };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('everything is done, so many at once and no more', async () => {
  const done: number[] = [];
  let [running, most] = [0, 0];
  await atOnce(items, options, async (item) => {
    most = Math.max(most, ++running);
    await turn();
    running--;
    done.push(item);
  });
  assert.deepEqual(done, items);
  assert.equal(most, 3);
  await atOnce([], options, () => assert.fail('there is nothing'));
});

test('the first failure stops the others and is thrown when they have ended', async () => {
  const begun: number[] = [];
  let ended = 0;
  const work = async (item: number, signal: AbortSignal): Promise<void> => {
    begun.push(item);
    if (item === 1) throw new ImagerError('dependency', 'broken');
    while (!signal.aborted) await turn();
    ended++;
    throw new ImagerError('canceled', 'stopped');
  };
  await assert.rejects(atOnce(items, options, work), { message: 'broken' });
  assert.deepEqual(begun, [0, 1, 2]);
  assert.equal(ended, 2);
});

test('who is stopped from outside is told so', async () => {
  const control = new AbortController();
  const work = async (item: number): Promise<void> => {
    if (item === 2) control.abort();
  };
  await assert.rejects(atOnce(items, { ...options, signal: control.signal }, work), { code: 'canceled' });
});
