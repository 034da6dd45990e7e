/** A pull of a whole image from endpoints that misbehave, each in its own way, all decided by a seed; and what must be true of it whatever happens. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import type { ImageSource } from '../../src/oci/image-source.ts';
import type { Mirrors } from '../../src/oci/registry/mirrors.ts';
import { registrySource } from '../../src/oci/registry/registry.ts';
import type { Clock } from '../../src/oci/registry/transport.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { digestOf, OCI_LAYER, randomBytes, testImage, testIndex } from './image.ts';
import {
  type Fault,
  type FaultSource,
  failing,
  failingAtRandom,
  startRegistry,
  type TestAuth,
  type TestRegistry,
} from './registry.ts';
import { tar } from './tar.ts';

export interface FaultyOutcome {
  readonly seed: number;
  /** One endpoint at least has no fault. */
  readonly hasGood: boolean;
  readonly result: 'right' | 'wrong' | 'refused' | 'crashed';
  /** What was refused or crashed with. */
  readonly error: unknown;
  /** Questions that took longer than they may. */
  readonly late: readonly string[];
}

/** Milliseconds: one question's budget and a stall, short enough for many runs. */
const BUDGET = 1500;
const STALL = 150;
/** A loaded machine may be this late, milliseconds. */
const SLACK = 2500;
/** The least rate of a download, bytes per millisecond. */
const SLOWEST = 8;

const CONTENT = { small: randomBytes(3000, 11), large: randomBytes(70_000, 12) };
const IMAGE = testIndex([
  testImage([
    { data: tar([{ name: 'small', data: CONTENT.small }]) },
    { data: gzipSync(tar([{ name: 'large', data: CONTENT.large }])), mediaType: `${OCI_LAYER}+gzip` },
  ]),
]);
const REPOSITORY = 'a/b';
const ACCOUNT = { user: 'u', password: 'p' };

/** By kind, as the issue of production strength lists them. */
const FAULTS: Readonly<Record<string, readonly Fault[]>> = {
  cuts: [
    { kind: 'reset' },
    { kind: 'truncate', after: 0 },
    { kind: 'truncate', after: 300 },
    { kind: 'truncate', after: 40_000 },
  ],
  corrupt: [
    { kind: 'corrupt', at: 5 },
    { kind: 'corrupt', at: 150 },
    { kind: 'corrupt', at: 65_000 },
  ],
  server: [500, 502, 503, 504, 429, 404, 403, 400].map((status) => ({ kind: 'status', status })),
  stalls: [
    { kind: 'stall', after: 0 },
    { kind: 'stall', after: 200 },
    { kind: 'stall', after: 30_000 },
  ],
  loops: [{ kind: 'redirect', to: (path) => path }],
  sizes: [
    { kind: 'resize', by: -7 },
    { kind: 'resize', by: 7 },
    { kind: 'headers', headers: { 'content-length': undefined } },
    { kind: 'headers', headers: { 'content-range': 'bytes 0-0/1' } },
    { kind: 'ignore-range' },
  ],
  trickle: [{ kind: 'trickle', piece: 3, pause: 20 }],
  portal: [{ kind: 'status', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' }],
  tokens: [
    { kind: 'status', status: 401, headers: { 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/token"' } },
    { kind: 'status', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
  ],
};

/** Most of a run is waiting. */
const AT_ONCE = 5;

/** One run for each of `count` seeds from `first` on. */
export async function faultyRuns(first: number, count: number): Promise<FaultyOutcome[]> {
  const platform = nodePlatform({ HOME: '/nonexistent' });
  const seeds = Array.from({ length: count }, (_, index) => first + index);
  const outcomes: FaultyOutcome[] = [];
  const work = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      outcomes.push(await faultyRun(platform, seed));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await platform.close();
  return outcomes;
}

/** Pulls once and checks all that can be checked. */
async function faultyRun(platform: Platform, seed: number): Promise<FaultyOutcome> {
  const random = randomFrom(seed);
  const count = 1 + Math.floor(random() * 3);
  const plans = Array.from({ length: count }, (_, index) => endpointPlan(random, seed * 7 + index));
  const registries = await Promise.all(
    plans.map(({ auth, faults }) => startRegistry(auth === undefined ? { faults } : { auth, faults })),
  );
  const directory = await mkdtemp(join(tmpdir(), 'faulty-'));
  const late: string[] = [];
  const outcome = { seed, hasGood: plans.some(({ isGood }) => isGood), late };
  try {
    for (const registry of registries) registry.serve(REPOSITORY, 'v1', IMAGE);
    const store = await openStore(platform, directory);
    const source = timed(sourceOver(platform, registries, random), late);
    const { tree } = await store.pull(source, 'v1', { platform: { os: 'linux', architecture: 'amd64' } });
    const isRight = await Promise.all(
      Object.entries(CONTENT).map(async ([name, data]) => digestOf(await read(fileAt(tree, name)!)) === digestOf(data)),
    );
    return { ...outcome, result: isRight.every(Boolean) ? 'right' : 'wrong', error: undefined };
  } catch (error) {
    return { ...outcome, result: error instanceof ImagerError ? 'refused' : 'crashed', error };
  } finally {
    await Promise.all(registries.map((registry) => registry.close()));
    await rm(directory, { recursive: true });
  }
}

/** What is wrong with an outcome, if anything is. */
export function complaint({ seed, hasGood, result, late, error }: FaultyOutcome): string | undefined {
  const said = error instanceof Error ? `: ${error.message}` : '';
  if (result === 'wrong' || result === 'crashed') return `seed ${seed}: ${result}${said}`;
  if (result === 'refused' && hasGood) return `seed ${seed}: refused although one endpoint is good${said}`;
  return late.length > 0 ? `seed ${seed}: past its time: ${late.join(', ')}` : undefined;
}

/** The first registry is the one named, the others are its mirrors, asked before it. */
function sourceOver(platform: Platform, registries: readonly TestRegistry[], random: () => number): ImageSource {
  const [origin, ...others] = registries;
  const mirrors: Mirrors = { [origin!.host]: { endpoints: others.map(({ url }) => ({ url })) } };
  const account = { kind: 'basic', ...ACCOUNT } as const;
  const credentials = Object.fromEntries(registries.map(({ host }) => [host, account]));
  const options = { mirrors, credentials, budget: BUDGET, stallTimeout: STALL, clock: hastyClock, random };
  return registrySource(platform, { registry: origin!.host, repository: REPOSITORY }, options);
}

/** Time as it is, pauses a fiftieth as long. */
const hastyClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    delay(milliseconds / 50, undefined, signal === undefined ? {} : { signal }).catch((cause: unknown) => {
      throw new ImagerError('canceled', 'stopped', { cause });
    }),
};

/** Notes every question that takes longer than its budget. */
function timed(source: ImageSource, late: string[]): ImageSource {
  const note = (what: string, took: number, limit: number): void => {
    if (took > limit + SLACK) late.push(`${what} ${took.toFixed(0)} ms of ${limit.toFixed(0)}`);
  };
  const within = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await work;
    } finally {
      note(what, performance.now() - started, BUDGET);
    }
  };
  return {
    ...source,
    manifest: (identifier, signal) => within(identifier, source.manifest(identifier, signal)),
    async blob(descriptor, from, signal) {
      const opened = await within('open', source.blob(descriptor, from, signal));
      const limit = BUDGET + descriptor.size / SLOWEST;
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        const started = performance.now();
        try {
          yield* opened.chunks;
        } finally {
          note('blob', performance.now() - started, limit);
        }
      };
      return { from: opened.from, chunks: chunks() };
    },
  };
}

interface EndpointPlan {
  readonly isGood: boolean;
  readonly auth: TestAuth | undefined;
  readonly faults: readonly FaultSource[];
}

/** One in three is good; the others have one or two kinds of faults, now and then, at first, or always. */
function endpointPlan(random: () => number, seed: number): EndpointPlan {
  const auth = pick(random, AUTHS);
  if (random() < 1 / 3) return { isGood: true, auth, faults: [] };
  const kinds = [pick(random, Object.keys(FAULTS)), pick(random, Object.keys(FAULTS))];
  const faults = kinds.flatMap((kind) => FAULTS[kind]!);
  const where = pick(random, [/./, /\/v2\//, /manifests/, /blobs/, /token/]);
  const how = random();
  const source =
    how < 0.4
      ? failingAtRandom(seed, 0.2 + random() * 0.6, where, faults)
      : failing(where, pick(random, faults), how < 0.7 ? 1 + Math.floor(random() * 4) : Number.POSITIVE_INFINITY);
  return { isGood: false, auth, faults: [source] };
}

const AUTHS: readonly (TestAuth | undefined)[] = [
  undefined,
  { kind: 'basic', ...ACCOUNT },
  { kind: 'bearer', ...ACCOUNT },
  // Tokens that are good for so many requests, whatever they said of themselves.
  { kind: 'bearer', ...ACCOUNT, expiresAfter: 2 },
  { kind: 'bearer', ...ACCOUNT, expiresAfter: 5, expiresIn: 1 },
];

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]!;
}

/** xorshift32 */
function randomFrom(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
