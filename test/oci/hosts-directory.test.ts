import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { DOCKER_HUB } from '../../src/oci/reference.ts';
import { readHostsDirectory } from '../../src/oci/registry/hosts-directory.ts';
import { parseHostsToml } from '../../src/oci/registry/hosts-toml.ts';
import { endpointsOf, isCapable, type Mirrors } from '../../src/oci/registry/mirrors.ts';
import { registrySource } from '../../src/oci/registry/registry.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { selfSigned } from '../support/certificate.ts';
import { digestOf, randomBytes, testImage } from '../support/image.ts';
import { startRegistry } from '../support/registry.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

const { files } = nodePlatform({});

/** Paths below the directory, and what is in them. */
async function directoryOf(t: TestContext, content: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hosts-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const [path, text] of Object.entries(content)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

const read = async (t: TestContext, content: Readonly<Record<string, string>>): Promise<Mirrors> =>
  readHostsDirectory(files, await directoryOf(t, content));

interface Case {
  readonly id: string;
  readonly hosts: readonly string[];
  readonly upstream: {
    readonly endpoints: Readonly<Record<string, readonly { scheme: string; host: string; path: string }[]>>;
    readonly hostsDirectories?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
}

/** An empty file is none for containerd, so that it asks the registry itself where a Talos node asks nobody. */
const SAYS_NOTHING: readonly string[] = ['mirror-skip-fallback-none', 'mirror-star-empty'];

describe('files a Talos node writes lead where the node itself goes', () => {
  for (const { id, hosts, upstream } of vectorLines<Case>('oci/mirrors.jsonl.gz')) {
    const directories = upstream.hostsDirectories;
    if (directories === undefined) continue;
    test(id, async (t) => {
      const content = Object.entries(directories).flatMap(([name, entries]) =>
        Object.entries(entries).map(([file, text]) => [`${name}/${file}`, text]),
      );
      const mirrors = await read(t, Object.fromEntries(content));
      for (const host of hosts) {
        const registry = host === 'docker.io' ? DOCKER_HUB : host;
        const found = endpointsOf(registry, mirrors);
        const shown = found.map((one) => ({
          scheme: one.schemes[0],
          host: one.host === DOCKER_HUB ? 'registry-1.docker.io' : one.host,
          path: one.path,
        }));
        if (SAYS_NOTHING.includes(id)) assert.deepEqual(shown, [{ scheme: 'https', host, path: '/v2' }]);
        else assert.deepEqual(shown, upstream.endpoints[host]);
      }
    });
  }

  test('with what TLS is to be like', async (t) => {
    const text = "server = 'https://r.example:5000'\nskip_verify = true\n";
    const mirrors = await read(t, { 'r.example_5000_/hosts.toml': text });
    assert.deepEqual(endpointsOf('r.example:5000', mirrors), [
      {
        schemes: ['https'],
        host: 'r.example:5000',
        path: '/v2',
        mirrorOf: undefined,
        settings: { skipVerify: true },
      },
    ]);
  });
});

interface Judged {
  readonly id: string;
  readonly host: string;
  readonly files: Readonly<Record<string, string>>;
  readonly error?: string;
  readonly hosts: readonly {
    readonly scheme: string;
    readonly host: string;
    readonly path: string;
    readonly capabilities: readonly string[];
    readonly header?: Readonly<Record<string, readonly string[]>>;
  }[];
}

/** Mistakes which containerd notes in its log, to go on without the file: without its mirrors, that is. */
const REFUSED: readonly string[] = [
  ...['caps-unknown', 'header-bad', 'header-list-bad', 'skip-verify-text', 'broken', 'duplicate'],
  ...['host-not-table', 'server-number', 'ca-missing-file', 'ca-number', 'ca-list-bad', 'client-bad', 'client-number'],
  ...['bad-url', 'scheme-ftp'],
];

/** Read otherwise, with what is asked for then. */
const OTHERWISE: Readonly<Record<string, readonly string[]>> = {
  // TOML has several ways to write a table; containerd looks for one of them in the text.
  'order-dotted': ['z.example', 'a.example', 'r.example'],
  'order-inline': ['z.example', 'a.example', 'r.example'],
  // One table in two places: containerd asks it twice.
  'order-reopened': ['z.example', 'a.example', 'r.example'],
  // Every name of the hub is the hub.
  'hub-alias': ['wrong'],
  // Host names are no numbers.
  'order-numbers': ['0.0.0.9', '0.0.0.10', 'a.example', 'r.example'],
  // We do not wait for anybody's word on how long to wait.
  'dial-timeout-bad': ['m.example', 'r.example'],
  'uppercase-host': ['m.example', 'r.example'],
};

describe('directories of hosts as containerd reads them', () => {
  for (const { id, host, files: content, error, hosts } of vectorLines<Judged>('oci/hosts.jsonl.gz')) {
    test(id, async (t) => {
      if (REFUSED.includes(id) || error !== undefined) {
        await assert.rejects(read(t, content), { name: 'ImagerError' });
        return;
      }
      const registry = host === 'docker.io' ? DOCKER_HUB : host;
      const found = endpointsOf(registry, await read(t, content)).map((endpoint) => ({
        scheme: endpoint.schemes[0],
        host: endpoint.host === DOCKER_HUB ? 'registry-1.docker.io' : endpoint.host,
        path: endpoint.path,
        capabilities: (['pull', 'resolve', 'push'] as const).filter((one) => isCapable(endpoint, one)),
        header: { ...endpoint.settings?.headers },
      }));
      if (Object.hasOwn(OTHERWISE, id)) {
        assert.deepEqual(
          found.map((one) => one.host),
          OTHERWISE[id],
        );
        return;
      }
      const expected = hosts.map(({ header = {}, ...one }) => {
        const fields = Object.entries(header).map(([name, values]) => [name.toLowerCase(), values.join(', ')]);
        return { ...one, header: Object.fromEntries(fields) };
      });
      assert.deepEqual(found, expected);
    });
  }
});

describe('hosts.toml', () => {
  test('everything it can say', () => {
    const { server, root, hosts } = parseHostsToml(
      `server = "registry.example"
ca = "ca.pem"
[host."https://z.example"]
  capabilities = ["pull", "resolve", "push"]
  ca = ["/etc/one.pem", "two.pem"]
  client = [["cert.pem", "key.pem"], ["both.pem", ""]]
  skip_verify = false
  override_path = true
  dial_timeout = "3s"
  [host."https://z.example".header]
    X-Custom = ["a", "b"]
    authorization = "Basic abc"
[host."a.example:5000"]
  client = "both.pem"
  capabilities = []
`,
      'hosts.toml',
    );
    assert.equal(server, 'https://registry.example');
    assert.deepEqual(root.ca, ['ca.pem']);
    assert.deepEqual(hosts, [
      {
        url: 'https://z.example',
        capabilities: ['pull', 'resolve', 'push'],
        ca: ['/etc/one.pem', 'two.pem'],
        client: [
          { certificate: 'cert.pem', key: 'key.pem' },
          { certificate: 'both.pem', key: undefined },
        ],
        skipVerify: false,
        overridePath: true,
        headers: { 'x-custom': 'a, b', authorization: 'Basic abc' },
      },
      {
        url: 'https://a.example:5000',
        capabilities: undefined,
        ca: [],
        client: [{ certificate: 'both.pem', key: undefined }],
        skipVerify: false,
        overridePath: false,
        headers: {},
      },
    ]);
  });

  test('what is wrong is told with its place, and no secret', () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['server = 1', /^f: server: want a text$/],
      ['server =', /^f:1:9: /],
      ['[host."https://m"]\nheader = { Authorization = "Basic hunter2"', /^f:2:\d+: (?!.*hunter2)/],
      [
        '[host."https://m"]\ncapabilities = ["pul"]',
        /^f: host."https:\/\/m": capabilities: "pul": want pull, resolve,/,
      ],
      ['[host."https://m"]\nskip_verify = "yes"', /skip_verify: want true or false$/],
      ['[host."https://m"]\nclient = [["a", "b", "c"]]', /client\[0\]: want a certificate and its key$/],
      ['[host."https://m".header]\n"a b" = "c"', /header.a b: want a header field/],
      ['[host."https://m".header]\na = "c\\nd: e"', /header.a: want a header field/],
      ['host = 2026-01-01', /^f: host: want a table$/],
      ['[[host]]', /^f: host/],
      ['[host]\n"https://m" = true', /want a table$/],
    ];
    for (const [text, message] of wrong) {
      assert.throws(() => parseHostsToml(text, 'f'), { name: 'ImagerError', code: 'invalid-input', message }, text);
    }
  });
});

test('any text gives a hosts file or an ImagerError', () => {
  const pieces = [
    'server',
    '=',
    '"',
    "'",
    '[',
    ']',
    '[host."https://m"]',
    '\n',
    'capabilities',
    '["pull"]',
    '{',
    '}',
    ',',
    '.',
  ];
  const more = [
    'header',
    'client',
    'true',
    '1e9',
    '1979-05-27',
    '\\u0000',
    '#',
    'host',
    '__proto__',
    'é',
    '-',
    '"a" = "b"',
  ];
  const text = fc.array(fc.constantFrom(...pieces, ...more), { maxLength: 30 }).map((all) => all.join(''));
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (one) => {
      try {
        parseHostsToml(one, 'f');
      } catch (error) {
        assert.ok(error instanceof ImagerError, `${one}: ${String(error)}`);
      }
    }),
    { seed: 1, numRuns: FUZZ_RUNS },
  );
});

describe('a directory of hosts', () => {
  test('names registries in either way, the one with underscores first', async (t) => {
    const mirrors = await read(t, {
      'r.example_5000_/hosts.toml': '[host."https://right.example"]',
      'r.example:5000/hosts.toml': '[host."https://wrong.example"]',
      'q.example:5000/hosts.toml': '[host."https://q-mirror.example"]',
      '_default/hosts.toml': 'server = "http://all.example"',
      'docker.io/hosts.toml': '[host."https://hub.example"]',
      'ghcr.io.bak~/hosts.toml': 'broken',
      'some file': '',
    });
    assert.deepEqual(Object.keys(mirrors).sort(), ['*', 'docker.io', 'q.example:5000', 'r.example:5000']);
    const hostsFor = (registry: string): string[] => endpointsOf(registry, mirrors).map(({ host }) => host);
    assert.deepEqual(hostsFor('r.example:5000'), ['right.example', 'r.example:5000']);
    assert.deepEqual(hostsFor('q.example:5000'), ['q-mirror.example', 'q.example:5000']);
    assert.deepEqual(hostsFor('other.example'), ['all.example']);
    assert.deepEqual(hostsFor(DOCKER_HUB), ['hub.example', DOCKER_HUB]);
  });

  test('certificates alone, as Docker has them', async (t) => {
    const { cert, key } = selfSigned(['r.example']);
    const mirrors = await read(t, {
      'r.example/ca.crt': cert,
      'r.example/client.cert': cert,
      'r.example/client.key': key,
      'empty.example/readme': '',
    });
    assert.deepEqual(mirrors, {
      'r.example': { endpoints: [], self: { ca: cert, clientCertificate: { certificate: cert, key } } },
      'empty.example': { endpoints: [] },
    });
    await assert.rejects(read(t, { 'r.example/client.cert': cert }), { message: /client.cert: want its key/ });
  });

  test('files that are missing, no PEM, or no URL are errors', async (t) => {
    await assert.rejects(read(t, { 'r.example/hosts.toml': 'ca = "no.pem"' }), { code: 'io', message: /no\.pem/ });
    await assert.rejects(read(t, { 'r.example/hosts.toml': 'ca = "x"', 'r.example/x': 'x' }), { message: /in PEM$/ });
    await assert.rejects(read(t, { 'r.example/hosts.toml': '[host."https://m:port"]' }), {
      code: 'invalid-input',
      message: /hosts.toml: mirror endpoint "https:\/\/m:port"/,
    });
    await assert.rejects(readHostsDirectory(files, '/nonexistent/hosts'), { code: 'io' });
  });

  test('leads to a registry behind a certificate of its own, with headers that only it sees', async (t) => {
    const platform = nodePlatform({ HOME: '/nonexistent' });
    const image = testImage([{ data: randomBytes(100, 1) }]);
    const storage = await startRegistry({ tls: true });
    const registry = await startRegistry({
      tls: true,
      faults: [
        ({ url }) =>
          url.includes('/blobs/') ? { kind: 'redirect', to: (path) => `${storage.url}${path}` } : undefined,
      ],
    });
    t.after(() => Promise.all([registry.close(), storage.close(), platform.close()]));
    for (const one of [registry, storage]) one.serve('cache/a/b', 'v1', image);
    const url = `${registry.url}/v2/cache`;
    const directory = await directoryOf(t, {
      'ghcr.io/hosts.toml': `[host."${url}"]\n  override_path = true\n  ca = ["one.pem", "two.pem"]\n  header = { x-key = "secret" }`,
      'ghcr.io/one.pem': registry.certificate!,
      'ghcr.io/two.pem': storage.certificate!,
    });
    const mirrors = await readHostsDirectory(platform.files, directory);
    const source = registrySource(platform, { registry: 'ghcr.io', repository: 'a/b' }, { mirrors });
    assert.equal((await source.manifest('v1')).digest, digestOf(image.manifest));
    const data = image.blobs[1]!;
    const { chunks } = await source.blob({ digest: digestOf(data), size: data.length }, 0);
    const parts: Uint8Array[] = [];
    for await (const part of chunks) parts.push(part);
    assert.equal(digestOf(Buffer.concat(parts)), digestOf(data));
    assert.ok(registry.requests.every(({ headers }) => headers['x-key'] === 'secret'));
    assert.ok(storage.requests.length > 0 && storage.requests.every(({ headers }) => headers['x-key'] === undefined));
  });

  test('says which endpoint may turn a tag into a digest', async (t) => {
    const platform = nodePlatform({ HOME: '/nonexistent' });
    const image = testImage([{ data: randomBytes(100, 1) }]);
    const cache = await startRegistry();
    const origin = await startRegistry();
    t.after(() => Promise.all([cache.close(), origin.close(), platform.close()]));
    for (const one of [cache, origin]) one.serve('a/b', 'v1', image);
    const mirrors = await read(t, {
      [`${origin.host.replace(/:(\d+)$/, '_$1_')}/hosts.toml`]: `[host."${cache.url}"]\ncapabilities = ["pull"]`,
    });
    const [registry, repository] = [origin.host, 'a/b'];
    const source = registrySource(platform, { registry, repository }, { mirrors });
    const { digest } = await source.manifest('v1');
    assert.equal(cache.requests.length, 0);
    await registrySource(platform, { registry, repository }, { mirrors }).manifest(digest);
    assert.ok(cache.requests.some(({ url }) => url.includes(digest)));
  });
});
