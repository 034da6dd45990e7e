import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type Bytes, ofMemory, ofSource } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import { type ComposedBlob, type ComposedImage, composeImage, composeIndex } from '../../src/oci/composed-image.ts';
import { OCI_LAYER } from '../../src/oci/media-types.ts';
import { type PushOptions, type PushReport, pushImages } from '../../src/oci/registry/push.ts';
import { registrySource } from '../../src/oci/registry/registry.ts';
import type { Clock } from '../../src/oci/registry/transport.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { memorySource } from '../support/bytes.ts';
import { digestOf, randomBytes } from '../support/image.ts';
import {
  type PushFault,
  type PushRegistry,
  type PushRegistryOptions,
  startPushRegistry,
} from '../support/push-registry.ts';

const MIB = 2 ** 20;
const ACCOUNT = { user: 'pilot', password: 'open:sesame' };
/** Goes in several chunks, and is too large to be sent at once. */
/** More than a blob that goes in one request: that ends at a MiB. */
const PART = MIB / 2;
const LARGE = randomBytes(3 * PART + 5, 1);
const SMALL = randomBytes(5000, 2);

let platform: Platform;
before(() => {
  const auths = { auths: { '127.0.0.1': {} } };
  platform = nodePlatform({ HOME: '/nonexistent', DOCKER_AUTH_CONFIG: JSON.stringify(auths) });
});
after(() => platform.close());

/** Time that passes at once; `pauses` lists what was waited for. */
function fakeClock(): Clock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  return { pauses, now: () => 0, sleep: async (milliseconds) => void pauses.push(milliseconds) };
}

function blob(
  data: Uint8Array,
  origins: ComposedBlob['origins'] = [],
  bytes: Bytes = ofSource(memorySource(data)),
): ComposedBlob {
  return { descriptor: { mediaType: OCI_LAYER, digest: digestOf(data), size: data.length }, bytes, origins };
}

function image(layers: readonly ComposedBlob[], architecture = 'amd64'): ComposedImage {
  const config = new TextEncoder().encode(JSON.stringify({ architecture, os: 'linux', layers: layers.length }));
  return composeImage(platform, { os: 'linux', architecture }, config, layers);
}

interface Pushed {
  readonly registry: PushRegistry;
  readonly report: PushReport;
  readonly pauses: readonly number[];
  /** As `PushRegistry.log`, without the ping and the plain-text answers to TLS. */
  readonly log: readonly string[];
}

async function pushed(
  images: readonly ComposedImage[],
  options: PushRegistryOptions,
  check: (pushed: Pushed) => void | Promise<void>,
  more: PushOptions & { readonly before?: (registry: PushRegistry) => void; readonly tag?: string } = {},
): Promise<void> {
  await using registry = await startPushRegistry(options);
  const { before: prepare, tag = 'v1', ...rest } = more;
  prepare?.(registry);
  const clock = fakeClock();
  const credentials =
    options.account === undefined
      ? {}
      : { credentials: { [registry.host]: { kind: 'basic' as const, ...options.account } } };
  const target = { registry: registry.host, repository: 'a/b', tag };
  const report = await pushImages(platform, target, images, { clock, ...credentials, ...rest });
  const log = registry.log().filter((line) => line !== 'GET /v2/' && line !== 'GET /token');
  await check({ registry, report, pauses: clock.pauses, log });
}

/** Every manifest is there with everything below it, and every byte is right. */
function assertWhole({ blobs, manifests }: PushRegistry, images: readonly ComposedImage[]): void {
  for (const { manifest, config, layers } of images) {
    assert.deepEqual(manifests.get(`a/b ${manifest.digest}`)?.data, Buffer.from(manifest.raw));
    for (const { descriptor } of [config, ...layers]) {
      const data = blobs.get(`a/b ${descriptor.digest}`);
      assert.equal(data === undefined ? 'missing' : digestOf(data), descriptor.digest);
    }
  }
}

const refusal =
  (code: string, message: RegExp, hint?: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ImagerError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    if (hint !== undefined) assert.match(error.hint ?? '', hint);
    return true;
  };

describe('an image', () => {
  test('comes whole: blobs, then the manifest by digest, the tag last', async () => {
    const one = image([blob(LARGE), blob(SMALL)]);
    await pushed([one], {}, ({ registry, report, log, pauses }) => {
      assertWhole(registry, [one]);
      assert.deepEqual(registry.manifests.get('a/b v1')?.mediaType, one.manifest.mediaType);
      assert.equal(report.digest, one.manifest.digest);
      assert.deepEqual(
        report.blobs.map(({ outcome }) => outcome),
        ['uploaded', 'uploaded', 'uploaded'],
      );
      assert.deepEqual(log.slice(-4), [
        `HEAD /v2/a/b/manifests/${report.digest}`,
        `PUT /v2/a/b/manifests/${report.digest}`,
        'HEAD /v2/a/b/manifests/v1',
        'PUT /v2/a/b/manifests/v1',
      ]);
      assert.deepEqual(pauses, []);
    });
  });

  test('of large and small blobs: one PATCH for the first kind, none for the second', async () => {
    await pushed([image([blob(LARGE), blob(SMALL)])], {}, ({ registry, log }) => {
      assert.equal(log.filter((line) => line.startsWith('PATCH')).length, 1);
      const patch = registry.requests.find(({ method }) => method === 'PATCH')!;
      assert.equal(patch.received, LARGE.length);
      assert.equal(patch.headers['content-range'], undefined);
      assert.equal(patch.headers['content-length'], String(LARGE.length));
    });
  });

  test('pushed again uploads nothing', async () => {
    const one = image([blob(LARGE), blob(SMALL)]);
    await using registry = await startPushRegistry();
    const target = { registry: registry.host, repository: 'a/b', tag: 'v1' };
    const first = await pushImages(platform, target, [one]);
    const start = registry.requests.length;
    const second = await pushImages(platform, target, [one]);
    assert.equal(second.digest, first.digest);
    assert.deepEqual(
      second.blobs.map(({ outcome }) => outcome),
      ['present', 'present', 'present'],
    );
    assert.ok(registry.log(start).every((line) => line.startsWith('HEAD') || line === 'GET /v2/'));
  });

  test('without a tag is there by digest alone', async () => {
    const one = image([blob(SMALL)]);
    await using registry = await startPushRegistry();
    await pushImages(platform, { registry: registry.host, repository: 'a/b', tag: undefined }, [one]);
    assert.deepEqual([...registry.manifests.keys()], [`a/b ${one.manifest.digest}`]);
  });

  test('of an empty and a repeated layer', async () => {
    const empty = blob(new Uint8Array(), [], ofMemory(new Uint8Array()));
    const one = image([blob(SMALL), empty, blob(SMALL)]);
    await pushed([one], {}, ({ registry, report }) => {
      assertWhole(registry, [one]);
      assert.equal(report.blobs.length, 3);
    });
  });

  test('is pulled back by digest and tag', async () => {
    const one = image([blob(SMALL)]);
    await pushed([one], {}, async ({ registry, report }) => {
      const source = registrySource(platform, { registry: registry.host, repository: 'a/b' });
      assert.equal((await source.manifest('v1')).digest, report.digest);
      assert.deepEqual((await source.manifest(report.digest)).raw, one.manifest.raw);
    });
  });
});

test('several architectures become one index, shared layers go once', async () => {
  const shared = blob(SMALL);
  const images = [image([shared, blob(LARGE)], 'amd64'), image([shared], 'arm64')];
  await pushed(images, {}, ({ registry, report }) => {
    assertWhole(registry, images);
    const index = composeIndex(platform, images);
    assert.equal(report.digest, index.digest);
    assert.deepEqual(registry.manifests.get('a/b v1')?.data, Buffer.from(index.raw));
    const { manifests } = JSON.parse(Buffer.from(index.raw).toString()) as { manifests: { platform: object }[] };
    assert.deepEqual(
      manifests.map((one) => one.platform),
      [
        { architecture: 'amd64', os: 'linux' },
        { architecture: 'arm64', os: 'linux' },
      ],
    );
    assert.equal(report.blobs.length, 4);
    assert.equal(registry.manifests.size, 4);
  });
});

describe('another repository of the registry', () => {
  const prepare = (registry: PushRegistry): void => void registry.blobs.set(`base/x ${digestOf(LARGE)}`, LARGE);
  /** The origin is known only when the registry is there. */
  const mounted = async (
    options: PushRegistryOptions,
    check: (registry: PushRegistry, report: PushReport) => void,
    origin?: string,
  ): Promise<void> => {
    await using registry = await startPushRegistry(options);
    prepare(registry);
    const origins = [{ registry: origin ?? registry.host, repository: 'base/x' }];
    const credentials = { [registry.host]: { kind: 'basic' as const, ...ACCOUNT } };
    const one = image([blob(LARGE, origins), blob(SMALL)]);
    const target = { registry: registry.host, repository: 'a/b', tag: 'v1' };
    const report = await pushImages(platform, target, [one], { credentials, clock: fakeClock() });
    assertWhole(registry, [one]);
    check(registry, report);
  };
  const received = (registry: PushRegistry): number => registry.requests.reduce((sum, one) => sum + one.received, 0);

  test('gives its layers, with a token for both', async () => {
    await mounted({ account: ACCOUNT }, (registry, report) => {
      assert.deepEqual(
        report.blobs.map(({ outcome }) => outcome),
        ['mounted', 'uploaded', 'uploaded'],
      );
      assert.ok(received(registry) < PART);
      const scopes = registry.requests
        .filter(({ url }) => url.startsWith('/token'))
        .map(({ url }) => new URLSearchParams(url.split('?')[1]).getAll('scope'));
      assert.deepEqual(
        scopes.find(({ length }) => length === 2),
        ['repository:a/b:pull,push', 'repository:base/x:pull'],
      );
    });
  });

  test('that may not be read is done without', async () => {
    await mounted({ account: ACCOUNT, denied: /base/ }, (_, report) =>
      assert.equal(report.blobs[0]!.outcome, 'uploaded'),
    );
  });

  test('of a registry that opens an upload instead: it is used', async () => {
    await mounted({ noMount: true }, (registry, report) => {
      assert.equal(report.blobs[0]!.outcome, 'uploaded');
      const posts = registry.requests.filter(({ method }) => method === 'POST').map(({ url }) => url.split('?')[0]!);
      assert.equal(posts.length, 3);
    });
  });

  test('that refuses the mount is done without', async () => {
    const faults: PushFault[] = [{ on: /POST/, times: 1, kind: 'status', status: 400 }];
    await mounted({ faults }, (_, report) => assert.equal(report.blobs[0]!.outcome, 'uploaded'));
  });

  test('is not asked for when it is of another registry', async () => {
    await mounted(
      {},
      (registry) => assert.ok(registry.requests.every(({ url }) => !url.includes('mount='))),
      'other.example',
    );
  });
});

describe('an upload goes on', () => {
  const one = (): ComposedImage => image([blob(LARGE)]);

  for (const location of ['relative', 'absolute'] as const) {
    test(`at a ${location} location, its query kept`, async () => {
      const both = image([blob(LARGE), blob(SMALL)]);
      await pushed([both], { location }, ({ registry }) => {
        assertWhole(registry, [both]);
        const puts = registry.requests.filter(({ method, url }) => method === 'PUT' && url.includes('/uploads/'));
        for (const { url } of puts) assert.match(url, /\?state=a%3Db%20c&digest=sha256%3A[0-9a-f]{64}$/);
      });
    });
  }

  test('in chunks when told, no smaller than the registry takes', async () => {
    const options = { leastChunk: PART + 1 };
    await pushed(
      [one()],
      options,
      ({ registry }) => {
        assertWhole(registry, [one()]);
        const ranges = registry.requests
          .map(({ headers }) => headers['content-range'])
          .filter((range) => range !== undefined);
        assert.deepEqual(ranges, [
          `0-${PART}`,
          `${PART + 1}-${2 * PART + 1}`,
          `${2 * PART + 2}-${3 * PART + 2}`,
          `${3 * PART + 3}-${3 * PART + 4}`,
        ]);
      },
      { chunkSize: PART / 2 },
    );
  });

  test('after a cut, from where the registry is', async () => {
    const faults: PushFault[] = [{ on: /PATCH/, times: 1, kind: 'cut', after: 2 * PART }];
    await pushed([one()], { faults }, ({ registry, pauses }) => {
      assertWhole(registry, [one()]);
      const patches = registry.requests.filter(({ method }) => method === 'PATCH');
      assert.deepEqual(
        patches.map(({ headers }) => headers['content-range']),
        [undefined, `${2 * PART}-${LARGE.length - 1}`],
      );
      assert.equal(pauses.length, 1);
    });
  });

  test('after a cut, from the start where the registry does not say', async () => {
    const faults: PushFault[] = [{ on: /PATCH/, times: 1, kind: 'cut', after: 2 * PART }];
    await pushed([one()], { faults, noRange: true }, ({ registry, log }) => {
      assertWhole(registry, [one()]);
      assert.equal(log.filter((line) => line === 'POST /v2/a/b/blobs/uploads/N').length, 0);
      assert.equal(log.filter((line) => line === 'POST /v2/a/b/blobs/uploads/').length, 3);
    });
  });

  test('by as many cuts as there are, while it gets further', async () => {
    const faults: PushFault[] = [{ on: /PATCH/, times: 12, kind: 'cut', after: MIB / 4 }];
    const long = image([blob(randomBytes(3 * MIB + 5, 4))]);
    await pushed(
      [long],
      { faults },
      ({ registry, pauses }) => {
        assertWhole(registry, [long]);
        assert.equal(pauses.length, 12);
      },
      { tries: 5 },
    );
  });

  test('no further when an answer was lost: the blob is there', async () => {
    const faults: PushFault[] = [{ on: /PUT .*uploads/, times: 1, kind: 'lose-answer' }];
    await pushed(
      [image([blob(SMALL)])],
      { faults },
      ({ registry, log }) => {
        assert.equal(log.filter((line) => line.startsWith('POST')).length, 2);
        assert.equal(registry.blobs.size, 2);
      },
      { concurrency: 1 },
    );
  });

  test('after statuses that pass, waiting as long as the registry asks', async () => {
    const faults: PushFault[] = [
      { on: /PATCH/, times: 1, kind: 'status', status: 503, headers: { 'retry-after': '7' } },
      { on: /PUT .*uploads/, times: 1, kind: 'status', status: 500 },
      { on: /POST/, times: 1, kind: 'status', status: 429 },
    ];
    await pushed(
      [one()],
      { faults },
      ({ registry, pauses }) => {
        assertWhole(registry, [one()]);
        assert.ok(pauses.includes(7000));
        assert.equal(pauses.length, 3);
      },
      { concurrency: 1 },
    );
  });

  test('as one PUT where there is no PATCH', async () => {
    await pushed([one()], { noPatch: true }, ({ registry }) => assertWhole(registry, [one()]));
  });

  test('in smaller requests where one is too large', async () => {
    const large = randomBytes(18 * MIB, 3);
    const big = image([blob(large)]);
    await pushed([big], { bodyLimit: 17 * MIB }, ({ registry }) => {
      assertWhole(registry, [big]);
      const ranges = registry.requests
        .map(({ headers }) => headers['content-range'])
        .filter((one) => one !== undefined);
      assert.deepEqual(ranges, [`0-${16 * MIB - 1}`, `${16 * MIB}-${18 * MIB - 1}`]);
    });
  });

  test('with seeded faults of every kind', async () => {
    for (let seed = 0; seed < 12; seed++) {
      const at = (number: number): number => createHash('sha256').update(`${seed} ${number}`).digest().readUInt32BE();
      const lines = [/POST/, /PATCH/, /PUT .*uploads/, /HEAD .*blobs/, /manifests/];
      const faults = [0, 1, 2].map((number): PushFault => {
        const common = { on: lines[at(number) % lines.length]!, times: 1 };
        const kinds: PushFault[] = [
          { ...common, kind: 'status', status: [429, 500, 502, 503, 504][at(number + 10) % 5]! },
          { ...common, kind: 'cut', after: at(number + 20) % LARGE.length },
          { ...common, kind: 'lose-answer' },
        ];
        return kinds[at(number + 30) % kinds.length]!;
      });
      const all = image([blob(LARGE), blob(SMALL)]);
      await pushed([all], { faults, noRange: seed % 2 === 0 }, ({ registry }) => assertWhole(registry, [all]), {
        tries: 5,
      });
    }
  });
});

describe('an upload goes nowhere else', () => {
  for (const location of ['http://[', 'file:///etc/passwd', 'ftp://a.example/x', 'http://169.254.169.254/latest', '']) {
    test(JSON.stringify(location), async () => {
      const faults: PushFault[] = [{ on: /POST/, kind: 'headers', headers: { location } }];
      await assert.rejects(
        pushed([image([blob(SMALL)])], { faults }, () => undefined, { tries: 1 }),
        (error: ImagerError) => error.code === 'dependency',
      );
    });
  }
});

describe('a credential', () => {
  test('is shown to the registry alone: an upload elsewhere goes without', async () => {
    await using storage = await startPushRegistry({ faults: [{ on: /./, kind: 'status', status: 202 }] });
    await using registry = await startPushRegistry({ account: ACCOUNT, location: { host: storage.host } });
    const credentials = { [registry.host]: { kind: 'basic' as const, ...ACCOUNT } };
    const target = { registry: registry.host, repository: 'a/b', tag: 'v1' };
    await assert.rejects(pushImages(platform, target, [image([blob(LARGE)])], { credentials, clock: fakeClock() }));
    assert.ok(storage.requests.length > 0);
    assert.ok(storage.requests.every(({ headers }) => headers.authorization === undefined));
  });

  test('is never taken into another network', async () => {
    const options: PushRegistryOptions = { location: { host: '10.0.0.7' } };
    await assert.rejects(
      pushed([image([blob(SMALL)])], options, () => undefined),
      refusal('dependency', /redirects into a private network: 10\.0\.0\.7/),
    );
  });

  test('is in no message', async () => {
    await using registry = await startPushRegistry({ account: ACCOUNT });
    const credentials = { [registry.host]: { kind: 'basic' as const, user: 'pilot', password: 'wrong-secret' } };
    const target = { registry: registry.host, repository: 'a/b', tag: 'v1' };
    await assert.rejects(
      pushImages(platform, target, [image([blob(SMALL)])], { credentials }),
      (error: ImagerError) => !`${error.message} ${error.hint}`.includes('wrong-secret'),
    );
  });
});

describe('what is refused says why', () => {
  test('no token', async () => {
    await assert.rejects(
      pushed([image([blob(SMALL)])], { account: ACCOUNT, denied: /push/ }, () => undefined),
      refusal(
        'dependency',
        /token for repository:a\/b:pull,push: forbidden \(403: DENIED/,
        /may not push.*docker login/,
      ),
    );
  });

  const one = (): ComposedImage => image([blob(SMALL)]);
  const cases: readonly (readonly [what: string, PushFault, message: RegExp, hint: RegExp])[] = [
    [
      'no permission',
      fault(/POST/, 403, 'DENIED', 'requested access to the resource is denied'),
      /forbidden \(403: DENIED: requested access/,
      /may not push/,
    ],
    [
      'no account',
      fault(/POST/, 401, 'UNAUTHORIZED', 'authentication required'),
      /not authorized \(401/,
      /docker login 127\.0\.0\.1/,
    ],
    [
      'no repository',
      fault(/POST/, 404, 'NAME_UNKNOWN', 'repository name not known'),
      /not found \(404: NAME_UNKNOWN/,
      /repository exist/,
    ],
    [
      'a mirror',
      fault(/POST/, 405, 'UNSUPPORTED', 'The operation is unsupported.'),
      /refused \(405/,
      /takes no pushes/,
    ],
    [
      'a quota',
      fault(
        /PUT .*uploads/,
        403,
        'DENIED',
        'adding 1.0 MiB of storage resource will exceed the configured upper limit',
      ),
      /exceed the configured/,
      /quota at 127/,
    ],
    ['a full disk', fault(/PUT .*uploads/, 507, 'UNKNOWN', 'out of space'), /\(507/, /no space left/],
    [
      'another digest',
      fault(/PUT .*uploads/, 400, 'DIGEST_INVALID', 'provided digest did not match uploaded content'),
      /DIGEST_INVALID/,
      /what arrived is not what was sent/,
    ],
    [
      'a tag that stays',
      fault(/PUT .*manifests\/v1/, 409, 'TAG_INVALID', 'tag is immutable'),
      /tag is immutable/,
      /under another one/,
    ],
    [
      'a missing blob',
      fault(/PUT .*manifests/, 400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown'),
      /manifest a\/b@sha256.*MANIFEST_BLOB_UNKNOWN/,
      /^$/,
    ],
  ];
  for (const [what, one_, message, hint] of cases) {
    test(what, async () => {
      await assert.rejects(
        pushed([one()], { faults: [one_] }, () => undefined),
        refusal('dependency', message, hint),
      );
    });
  }

  test('a server that goes on failing', async () => {
    const faults: PushFault[] = [{ on: /POST/, kind: 'status', status: 503 }];
    await assert.rejects(
      pushed([one()], { faults }, () => undefined),
      refusal('dependency', /the server failed \(503\)/),
    );
  });

  test('a wait that is too long is not waited for', async () => {
    const faults: PushFault[] = [{ on: /POST/, kind: 'status', status: 429, headers: { 'retry-after': '3600' } }];
    await using registry = await startPushRegistry({ faults });
    const clock = fakeClock();
    const target = { registry: registry.host, repository: 'a/b', tag: 'v1' };
    await assert.rejects(
      pushImages(platform, target, [one()], { clock }),
      refusal('dependency', /too many requests/, /3600/),
    );
    assert.deepEqual(clock.pauses, []);
  });

  test('a registry that keeps something else', async () => {
    const faults: PushFault[] = [
      { on: /PUT/, kind: 'headers', headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } },
    ];
    await assert.rejects(
      pushed([one()], { faults }, () => undefined),
      refusal('verification', /the registry has sha256:000/),
    );
  });

  test('a registry that takes nothing of what it is sent', async () => {
    const faults: PushFault[] = [
      { on: /PATCH/, kind: 'status', status: 202, headers: { range: '0-0', location: '/v2/a/b/blobs/uploads/1' } },
    ];
    await assert.rejects(
      pushed([image([blob(LARGE)])], { faults }, () => undefined),
      refusal('dependency', /still has 0 bytes/),
    );
  });

  test('a registry that nobody knows', async () => {
    const target = { registry: 'registry.invalid', repository: 'a/b', tag: 'v1' };
    await assert.rejects(pushImages(platform, target, [one()]), refusal('dependency', /registry\.invalid/));
  });

  test('content that cannot be read', async () => {
    const source = memorySource(LARGE);
    const failing = { ...source, read: () => Promise.reject(new ImagerError('io', 'the disk is gone')) };
    const broken = image([blob(LARGE, [], ofSource(failing))]);
    await assert.rejects(
      pushed([broken], {}, () => undefined),
      refusal('io', /the disk is gone/),
    );
  });
});

test('a push can be stopped', async () => {
  const stop = new AbortController();
  const faults: PushFault[] = [{ on: /POST/, kind: 'status', status: 503 }];
  const clock = { ...fakeClock(), sleep: async () => stop.abort() };
  await using registry = await startPushRegistry({ faults });
  const target = { registry: registry.host, repository: 'a/b', tag: 'v1' };
  await assert.rejects(
    pushImages(platform, target, [image([blob(SMALL)])], { clock, signal: stop.signal }),
    refusal('canceled', /stopped/),
  );
});

test('progress counts all blobs together, and ends at their sum', async () => {
  const seen: { readonly done: number; readonly total: number }[] = [];
  const one = image([blob(LARGE), blob(SMALL)]);
  const total = LARGE.length + SMALL.length + one.config.descriptor.size;
  await pushed([one], {}, () => undefined, { onProgress: (progress) => void seen.push(progress) });
  assert.ok(seen.every((progress) => progress.total === total && progress.done <= total));
  assert.equal(seen.at(-1)?.done, total);
  assert.ok(seen.length > 4);
});

function fault(on: RegExp, status: number, code: string, message: string): PushFault {
  return { on, kind: 'status', status, body: JSON.stringify({ errors: [{ code, message }] }) };
}
