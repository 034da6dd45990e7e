/** Pulls from registries that misbehave in every way we know, the same ones each time. More of them: `npm run bench -- faults`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaint, faultyRuns } from '../support/faulty-run.ts';

const RUNS = 100;

test(`${RUNS} pulls from faulty registries: never a wrong byte, never past the time, right whenever one endpoint is`, async () => {
  const outcomes = await faultyRuns(1, RUNS);
  assert.deepEqual(
    outcomes.map(complaint).filter((one) => one !== undefined),
    [],
  );
  const right = outcomes.filter(({ result }) => result === 'right').length;
  assert.ok(right > RUNS / 2 && right < RUNS, `${right} pulls came out right: the faults are too many or too few`);
});
