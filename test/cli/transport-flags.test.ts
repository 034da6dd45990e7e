import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { transportOf } from '../../src/cli/transport-flags.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { imager, scratch } from '../support/command-line.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());

test('mirrors on the command line come before those of a directory, and take nothing away', async () => {
  await mkdir(space.path('hosts/ghcr.io'), { recursive: true });
  await writeFile(
    space.path('hosts/ghcr.io/hosts.toml'),
    'server = "https://last.example"\n[host."https://b.example"]',
  );
  const flags = { mirror: ['ghcr.io=a.example', 'quay.io=q.example'], hostsDir: space.path('hosts') };
  const { mirrors } = await transportOf(flags, nodePlatform({}));
  assert.deepEqual(mirrors, {
    'ghcr.io': {
      endpoints: [{ url: 'a.example' }, { url: 'https://b.example' }, { url: 'https://last.example' }],
      skipFallback: true,
    },
    'quay.io': { endpoints: [{ url: 'q.example' }] },
  });
});

test('every command that asks registries takes a directory of hosts', async () => {
  const hosts = ['--hosts-dir', space.path('nonexistent')];
  for (const args of [
    ['iso'],
    ['plan', 'iso', '--no-resolve'],
    ['verify', 'ghcr.io/a/b:v1', '--verify-identity', 'a@b.example', '--verify-issuer', 'https://b.example'],
    ['cache', 'create', 'ghcr.io/a/b:v1', space.path('cache')],
    ['doctor', 'ghcr.io/a/b:v1', '--store', space.path('store')],
  ]) {
    const { code, stderr } = await imager([...args, ...hosts]);
    assert.equal(code, 6, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /nonexistent: no such file or directory/);
  }
});

test('a plan names the hosts of such a directory', async () => {
  const args = ['plan', 'iso', '--no-resolve', '--hosts', '--imager-image', 'ghcr.io/a/imager:v1'];
  const { code, text, stderr } = await imager([...args, '--hosts-dir', space.path('hosts')]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(text.trim().split('\n').sort(), ['b.example', 'last.example']);
});
