/** Pulls from registries that misbehave: not a time but a promise, kept over more seeds than the tests have time for. */
import { nodePlatform } from '../src/platform/node.ts';
import { complaint, type FaultyOutcome, faultyRun } from '../test/support/faulty-run.ts';
import type { Row } from './figure.ts';

const RUNS = 1000;
/** Most of a run is waiting. */
const AT_ONCE = 6;

export async function faultyRegistries(): Promise<Row[]> {
  const platform = nodePlatform({ HOME: '/nonexistent' });
  // Others than those of test/integration/registry-faults.test.ts.
  const seeds = Array.from({ length: RUNS }, (_, index) => 1001 + index);
  const outcomes: FaultyOutcome[] = [];
  const work = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      outcomes.push(await faultyRun(platform, seed));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await platform.close();
  const complaints = outcomes.map(complaint).filter((one) => one !== undefined);
  const counted = (condition: (outcome: FaultyOutcome) => boolean): number => outcomes.filter(condition).length;
  const note = complaints.slice(0, 10).join('\n');
  return [
    {
      what: `${RUNS} pulls from faulty registries`,
      ours: `${counted(({ result }) => result === 'right')} right, ${counted(({ result }) => result === 'refused')} refused`,
      peer: `${counted(({ hasGood }) => hasGood)} have a good endpoint`,
      result: `${complaints.length} wrong, late or lost`,
      target: '0',
      isMet: complaints.length === 0,
      ...(note === '' ? {} : { note }),
    },
  ];
}
