/** Pulls from registries that misbehave: not a time but a promise, kept over more seeds than the tests have time for. */
import { complaint, type FaultyOutcome, faultyRuns } from '../test/support/faulty-run.ts';
import type { Row } from './figure.ts';

const RUNS = 1000;
export async function faultyRegistries(): Promise<Row[]> {
  // Other seeds than those of test/integration/registry-faults.test.ts.
  const outcomes = await faultyRuns(1001, RUNS);
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
