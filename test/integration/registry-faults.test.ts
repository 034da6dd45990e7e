/** Pulls from registries that misbehave in every way we know, the same ones each time. More of them: `npm run bench -- faults`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePlatform } from '../../src/platform/node.ts';
import { complaint, type FaultyOutcome, faultyRun } from '../support/faulty-run.ts';

const RUNS = 100;
/** Most of a run is waiting. */
const AT_ONCE = 4;

test(`${RUNS} pulls from faulty registries: never a wrong byte, never past the time, right whenever one endpoint is`, async () => {
  const platform = nodePlatform({ HOME: '/nonexistent' });
  const seeds = Array.from({ length: RUNS }, (_, index) => index + 1);
  const outcomes: FaultyOutcome[] = [];
  const work = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      outcomes.push(await faultyRun(platform, seed));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await platform.close();
  assert.deepEqual(
    outcomes.map(complaint).filter((one) => one !== undefined),
    [],
  );
  const right = outcomes.filter(({ result }) => result === 'right').length;
  assert.ok(right > RUNS / 2 && right < RUNS, `${right} pulls came out right: the faults are too many or too few`);
});
