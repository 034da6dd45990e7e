/** The store behind the registry client: a registry that misbehaves at random must not get anything wrong into it. `FAULT_RUNS` pulls. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { type RegistryOptions, registrySource } from '../../src/oci/registry/registry.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { OCI_LAYER, randomBytes, testImage, testIndex } from '../support/image.ts';
import { type Fault, failingAtRandom, startRegistry } from '../support/registry.ts';
import { tar } from '../support/tar.ts';

const FAULT_RUNS = Number(process.env.FAULT_RUNS ?? 40);
const AMD64 = { os: 'linux', architecture: 'amd64' };

const large = randomBytes(2_000_000, 3);
const IMAGE = testIndex([
  testImage([
    { data: gzipSync(tar([{ name: 'large', data: large }])), mediaType: `${OCI_LAYER}+gzip` },
    { data: zstdCompressSync(tar([{ name: 'small', data: 'x' }])), mediaType: `${OCI_LAYER}+zstd` },
    { data: tar([{ name: 'plain', data: large.subarray(0, 300_000) }]) },
  ]),
]);

const FAULTS: readonly Fault[] = [
  { kind: 'truncate', after: 100_000 },
  { kind: 'truncate', after: 0 },
  { kind: 'corrupt', at: 5 },
  { kind: 'corrupt', at: 250_000 },
  { kind: 'resize', by: 1 },
  { kind: 'resize', by: -1 },
  { kind: 'reset' },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 404 },
  { kind: 'ignore-range' },
  { kind: 'headers', headers: { 'content-length': undefined } },
];

test(`a registry that fails at random gets nothing wrong into the store (${FAULT_RUNS} pulls)`, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'store-registry-'));
  const machine = nodePlatform({});
  t.after(async () => {
    await machine.close();
    await rm(directory, { recursive: true });
  });
  const impatient: RegistryOptions = {
    clock: { now: () => performance.now(), sleep: async () => undefined },
    tries: 2,
  };
  let succeeded = 0;
  for (let run = 0; run < FAULT_RUNS; run++) {
    const registry = await startRegistry({
      faults: [failingAtRandom(run, 0.4, /^GET .*\/(blobs|manifests)\//, FAULTS)],
    });
    try {
      registry.serve('a/b', '1', IMAGE);
      // Every third pull starts anew, the others go on with what the last one left.
      if (run % 3 === 0) await rm(join(directory, 'store'), { recursive: true, force: true });
      const store = await openStore(machine, join(directory, 'store'));
      const source = registrySource(machine, { registry: registry.host, repository: 'a/b' }, impatient);
      try {
        const { tree } = await store.pull(source, '1', { platform: AMD64, referenceName: 'a/b:1' });
        assert.deepEqual(Buffer.from(await read(fileAt(tree, 'large')!)), Buffer.from(large));
        assert.equal(tree.entries.length, 4);
        succeeded++;
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
        assert.ok(['dependency', 'verification', 'invalid-input'].includes(error.code), error.message);
      }
      assert.deepEqual((await store.verify()).damage, [], `run ${run}`);
    } finally {
      await registry.close();
    }
  }
  assert.ok(succeeded > 0 && succeeded < FAULT_RUNS, `${succeeded} of ${FAULT_RUNS} succeeded`);
});
