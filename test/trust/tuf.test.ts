/** Following a TUF repository whose files are damaged in any way: the root it names or an error of ours, never another root. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { followTuf, readTufRoot, type TufFetch, type TufState } from '../../src/trust/tuf.ts';
import { rejected } from '../support/rejected.ts';
import { startTufServer } from '../support/tuf-repository.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

const RUNS = Math.ceil(FUZZ_RUNS / 4);
const NOW = 1_800_000_000;

const server = await startTufServer();
after(() => server.close());
server.rotate();
server.publish({ version: 3, target: '{"old":true}', expires: NOW + 100 });
const old = new Map(server.files) as Map<string, Buffer>;
server.publish({ version: 4, target: '{"new":true}', expires: NOW + 1000 });
const files = server.files as Map<string, Buffer>;

const from =
  (served: ReadonlyMap<string, Buffer>): TufFetch =>
  async (path) =>
    served.get(path);

const before: TufState = await followTuf(server.initialRoot, undefined, from(old), NOW);

async function outcome(served: ReadonlyMap<string, Buffer>, kept: TufState | undefined): Promise<string> {
  try {
    const { target } = await followTuf(server.initialRoot, kept, from(served), NOW);
    return new TextDecoder().decode(target);
  } catch (error) {
    assert.ok(error instanceof ImagerError, String(error));
    return 'refused';
  }
}

test('whole files lead to the root', async () => {
  assert.equal(await outcome(files, undefined), '{"new":true}');
  assert.equal(await outcome(files, before), '{"new":true}');
});

const NAMES = [...files.keys()];

const damage = fc.record({
  name: fc.constantFrom(...NAMES),
  at: fc.nat(4000),
  kind: fc.constantFrom('flip', 'cut', 'drop', 'insert'),
  byte: fc.integer({ min: 1, max: 255 }),
});

test('damaged ones to it or to nothing', async () => {
  await fc.assert(
    fc.asyncProperty(damage, fc.boolean(), async ({ name, at, kind, byte }, isFirst) => {
      const whole = files.get(name)!;
      const position = at % whole.length;
      const flipped = Buffer.from(whole);
      flipped[position]! ^= byte;
      const damaged = {
        flip: flipped,
        cut: whole.subarray(0, position),
        drop: Buffer.concat([whole.subarray(0, position), whole.subarray(position + 1)]),
        insert: Buffer.concat([whole.subarray(0, position), Buffer.from([byte]), whole.subarray(position)]),
      }[kind];
      const found = await outcome(new Map([...files, [name, damaged]]), isFirst ? undefined : before);
      assert.ok(['{"new":true}', 'refused'].includes(found), found);
    }),
    { numRuns: RUNS },
  );
});

test('files of two states under each other’s names to nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES, ...old.keys()), async (name, other) => {
      const swapped = new Map([...files, [name, (files.get(other) ?? old.get(other))!]]);
      const found = await outcome(swapped, before);
      assert.ok(found === 'refused' || found === '{"new":true}', found);
    }),
    { numRuns: Math.min(RUNS, 500) },
  );
});

test('time is what it was told', async () => {
  await assert.rejects(
    followTuf(server.initialRoot, undefined, from(files), NOW + 1001),
    rejected('verification', /timestamp\.json: the repository shows an old state/),
  );
});

test('a first root that is none', () => {
  for (const text of ['', '{}', '[]', 'null', '{"signed":{"_type":"root"},"signatures":[]}']) {
    assert.throws(() => readTufRoot(Buffer.from(text), 'root.json'), rejected('invalid-input', /^root\.json: want/));
  }
  assert.deepEqual(readTufRoot(server.initialRoot, 'root.json'), {
    version: 1,
    expires: Date.parse('2100-01-01T00:00:00Z') / 1000,
  });
});
