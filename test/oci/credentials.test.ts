import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { type CredentialPlatform, findCredential } from '../../src/oci/registry/credentials.ts';
import { type Credential, type CredentialTarget, parseDockerConfig } from '../../src/oci/registry/docker-config.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { ProcessRequest } from '../../src/platform/types.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Helper {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exit?: number;
}

interface Case {
  readonly id: string;
  readonly target: string;
  readonly files: Readonly<Record<string, string>>;
  readonly helpers: Readonly<Record<string, Helper>>;
  readonly env: Readonly<Record<string, string>>;
  readonly upstream: {
    readonly credential?: {
      readonly username: string;
      readonly password: string;
      readonly identityToken: string;
      readonly registryToken: string;
    };
    readonly anonymous?: boolean;
    readonly error?: string;
    readonly helperCalls?: Readonly<Record<string, { readonly args: string; readonly stdin: string }>>;
  };
}

const CASES = vectorLines<Case>('oci/credentials.jsonl.gz');
const USER_PASS: Credential = { kind: 'basic', user: 'user', password: 'pass' };

/** Where we decide otherwise than upstream, and why. */
const DIFFERENT: Readonly<Record<string, Credential | undefined>> = {
  // The key names another repository: its credential is none of this one's business.
  'cred-path-other': undefined,
  // Docker Hub under the names people know it by.
  'cred-hub-index': USER_PASS,
  'cred-hub-index-https-no-path': USER_PASS,
  'cred-helper-hub-host': { kind: 'basic', user: 'hu', password: 'hs' },
};

const ROOT = '/root-of-case';

interface FakePlatform extends CredentialPlatform {
  readonly calls: ProcessRequest[];
}

function fakePlatform({ files, helpers, env }: Pick<Case, 'files' | 'helpers' | 'env'>): FakePlatform {
  const calls: ProcessRequest[] = [];
  const content = new Map(Object.entries(files).map(([name, text]) => [`${ROOT}/${name}`, text]));
  const encoder = new TextEncoder();
  const real = nodePlatform({});
  return {
    calls,
    homeDirectory: `${ROOT}/home`,
    environment: Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name, value.replaceAll('$ROOT', ROOT)]),
    ),
    files: {
      ...real.files,
      info: async (path) =>
        content.has(path) ? { kind: 'file', size: 1, mode: 0o600, mtime: 0, allocated: 1 } : undefined,
      read: async (path) => encoder.encode(content.get(path)),
    },
    run: async (request) => {
      calls.push(request);
      const helper = helpers[request.command.replace(/^docker-credential-/, '')];
      if (helper === undefined) throw new ImagerError('dependency', `${request.command}: cannot be started`);
      const [stdout, stderr] = [helper.stdout ?? '', helper.stderr ?? ''].map((text) => encoder.encode(text));
      return { exitCode: helper.exit ?? 0, stdout: stdout!, stderr: stderr! };
    },
  };
}

function targetOf(text: string): CredentialTarget {
  const { registry, repository } = parseReference(text);
  return { host: registry, repository };
}

function credentialOf(upstream: NonNullable<Case['upstream']['credential']>): Credential {
  const { username: user, password, identityToken, registryToken } = upstream;
  if (registryToken !== '') return { kind: 'registry-token', token: registryToken };
  if (identityToken !== '') return { kind: 'identity-token', user, token: identityToken };
  return { kind: 'basic', user, password };
}

describe('credentials as upstream finds them', () => {
  for (const one of CASES) {
    test(one.id, async () => {
      const platform = fakePlatform(one);
      const found = findCredential(platform, targetOf(one.target));
      if (one.upstream.error !== undefined) {
        await assert.rejects(found, (error) => error instanceof ImagerError);
      } else {
        const upstream = one.upstream.credential === undefined ? undefined : credentialOf(one.upstream.credential);
        assert.deepEqual(await found, one.id in DIFFERENT ? DIFFERENT[one.id] : upstream);
      }
      for (const [name, { args, stdin }] of Object.entries(one.upstream.helperCalls ?? {})) {
        const call = platform.calls.find(({ command }) => command === `docker-credential-${name}`);
        assert.ok(call !== undefined, name);
        assert.equal(call.args.join(' '), args);
        // Upstream asks the general store for the repository first; helpers know hosts.
        const wanted = one.files['home/.docker/config.json']?.includes('credsStore')
          ? targetOf(one.target).host
          : stdin;
        assert.equal(new TextDecoder().decode(call.stdin), wanted);
      }
    });
  }
});

function dockerConfig(config: unknown, env: Case['env'] = {}, helpers: Case['helpers'] = {}): FakePlatform {
  return fakePlatform({ files: { 'home/.docker/config.json': JSON.stringify(config) }, helpers, env });
}

const auth = (text: string): { readonly auth: string } => ({ auth: Buffer.from(text).toString('base64') });

describe('findCredential', () => {
  test('the longest path wins, in docker files too', async () => {
    const platform = dockerConfig({
      auths: { 'r.example': auth('host:1'), 'r.example/team': auth('team:2'), 'r.example/team/app': auth('app:3') },
    });
    const userOf = async (target: string): Promise<string | undefined> => {
      const credential = await findCredential(platform, targetOf(target));
      return credential?.kind === 'basic' ? credential.user : undefined;
    };
    assert.equal(await userOf('r.example/team/app'), 'app');
    assert.equal(await userOf('r.example/team/app/sub'), 'app');
    assert.equal(await userOf('r.example/team/application'), 'team');
    assert.equal(await userOf('r.example/teams/app'), 'host');
    assert.equal(await userOf('r.example:443/team/app'), undefined);
  });

  test('a helper for one registry goes before the general store, with the host on stdin', async () => {
    const reply = { stdout: '{"Username":"u","Secret":"s"}' };
    const platform = dockerConfig(
      { credsStore: 'all', credHelpers: { 'ghcr.io': 'one' } },
      {},
      { all: reply, one: reply },
    );
    await findCredential(platform, targetOf('ghcr.io/team/app'));
    await findCredential(platform, targetOf('quay.io/team/app'));
    await findCredential(platform, targetOf('docker.io/team/app'));
    assert.deepEqual(
      platform.calls.map(({ command, stdin }) => [command, new TextDecoder().decode(stdin)]),
      [
        ['docker-credential-one', 'ghcr.io'],
        ['docker-credential-all', 'quay.io'],
        ['docker-credential-all', 'https://index.docker.io/v1/'],
      ],
    );
  });

  test('helpers see what they need of the environment and nothing else', async () => {
    const env = {
      PATH: '/bin',
      AWS_PROFILE: 'x',
      DBUS_SESSION_BUS_ADDRESS: 'y',
      GITHUB_TOKEN: 'secret',
      NODE_OPTIONS: '-r evil',
      LD_PRELOAD: 'z',
    };
    const platform = dockerConfig({ credsStore: 'all' }, env, { all: { stdout: '{"Username":"u","Secret":"s"}' } });
    await findCredential(platform, targetOf('quay.io/team/app'));
    assert.deepEqual(platform.calls[0]?.environment, {
      HOME: `${ROOT}/home`,
      PATH: '/bin',
      AWS_PROFILE: 'x',
      DBUS_SESSION_BUS_ADDRESS: 'y',
    });
  });

  test('GITHUB_TOKEN is for ghcr.io when nothing else is', async () => {
    const platform = fakePlatform({ files: {}, helpers: {}, env: { GITHUB_TOKEN: 't' } });
    const credential = { kind: 'basic', user: 'unset', password: 't' };
    assert.deepEqual(await findCredential(platform, targetOf('ghcr.io/a/b')), credential);
    assert.equal(await findCredential(platform, targetOf('ghcr.io:443/a/b')), undefined);
    const named = fakePlatform({ files: {}, helpers: {}, env: { GITHUB_TOKEN: 't', GITHUB_ACTOR: 'me' } });
    assert.deepEqual(await findCredential(named, targetOf('ghcr.io/a/b')), { ...credential, user: 'me' });
  });

  test('no error holds a secret', async () => {
    const secret = 'hunter2hunter2';
    const half = Buffer.from(secret).toString('base64');
    const platforms = [
      fakePlatform({
        files: { 'home/.docker/config.json': `{"auths":{"ghcr.io":{"password": "${secret}" x` },
        helpers: {},
        env: {},
      }),
      fakePlatform({ files: { 'home/.docker/config.json': `${secret}` }, helpers: {}, env: {} }),
      dockerConfig({ auths: { 'ghcr.io': { auth: half } } }),
      dockerConfig({ auths: { 'ghcr.io': { auth: `${half}%` } } }),
      dockerConfig({ auths: { 'ghcr.io': { password: [secret] } } }),
      dockerConfig({ auths: { 'ghcr.io': secret } }),
      dockerConfig({ credsStore: 'x' }, {}, { x: { stdout: `{"Username":"u","Secret":"${secret}"` } }),
      dockerConfig({ credsStore: 'x' }, {}, { x: { stdout: `{"Username":"u","Secret":["${secret}"]}` } }),
      dockerConfig({ credsStore: 'x' }, {}, { x: { stdout: `{"Username":"u","Secret":"${secret}"}`, exit: 1 } }),
    ];
    for (const [index, platform] of platforms.entries()) {
      await assert.rejects(findCredential(platform, targetOf('ghcr.io/a/b')), (error) => {
        assert.ok(error instanceof ImagerError, String(error));
        const told = `${error.message} ${error.hint} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
        assert.ok(!told.includes(secret) && !told.includes(half), `${index}: ${told}`);
        return true;
      });
    }
  });

  test('a failing helper is reported with its name and words', async () => {
    const platform = dockerConfig(
      { credsStore: 'st' },
      {},
      { st: { stdout: 'locked', stderr: 'no agent\n', exit: 3 } },
    );
    await assert.rejects(findCredential(platform, targetOf('ghcr.io/a/b')), {
      code: 'dependency',
      message: 'docker-credential-st: exit 3 for ghcr.io: no agent; locked',
    });
  });

  test('a real helper program', { skip: process.platform === 'win32' && 'shell script' }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bootwright-helper-'));
    try {
      const program = join(directory, 'docker-credential-real');
      // Answers with what it was asked for, its argument and whether it sees a variable it should not.
      await writeFile(
        program,
        `#!/bin/sh\nread -r host\nprintf '{"Username":"%s","Secret":"%s %s"}' "$host" "$1" "\${HIDDEN:-hidden}"\n`,
      );
      await chmod(program, 0o755);
      await mkdir(join(directory, '.docker'));
      await writeFile(join(directory, '.docker', 'config.json'), '{"credsStore":"real"}');
      const platform = nodePlatform({ PATH: `${directory}:/usr/bin:/bin`, HOME: directory, HIDDEN: 'seen' });
      assert.deepEqual(await findCredential(platform, targetOf('r.example:5000/a/b')), {
        kind: 'basic',
        user: 'r.example:5000',
        password: 'get hidden',
      });
      await platform.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

test('any text gives a configuration or an ImagerError', () => {
  const value = fc.oneof(fc.constantFrom('dTpw', '%', '', 'x'), fc.anything({ maxDepth: 1 }));
  const entry = fc.oneof(
    fc.record({ auth: value, username: value, identitytoken: value }, { requiredKeys: [] }),
    fc.anything(),
  );
  const config = fc.record(
    {
      auths: fc.oneof(fc.dictionary(fc.string(), entry), fc.anything()),
      credHelpers: fc.anything(),
      credsStore: fc.anything(),
    },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    config.map((one) => JSON.stringify(one, (_, field) => (typeof field === 'bigint' ? 1 : field))),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (one) => {
      try {
        parseDockerConfig(one, 'file');
      } catch (error) {
        assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
      }
    }),
    { numRuns: FUZZ_RUNS, seed: 7 },
  );
});
