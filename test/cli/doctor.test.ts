import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { examine } from '../../src/cli/doctor.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { imager, scratch } from '../support/command-line.ts';
import { digestOf, randomBytes, testImage } from '../support/image.ts';
import { failing, startRegistry } from '../support/registry.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());

test('a machine in order: exit 0, one line per finding', async () => {
  const { code, text } = await imager(['doctor', '--store', space.path('store')]);
  assert.equal(code, 0, text);
  assert.match(text, /^ok {4}Node\.js +24\.\d+\.\d+ on \w+\n/);
  assert.match(text, new RegExp(`\\nok {4}store +${space.path('store')}\\n`));
  assert.match(text, /\nnote {2}registry credentials +no Docker or Podman configuration/);
  assert.match(text, /\nok {4}external programs +none needed\n/);
  assert.match(text, /\n(?:ok {2}|note) {2}sandbox for overlays +(?:bubblewrap|none) \(.*\n$/);
});

test('a store that cannot be written: exit 6, and what to do', async () => {
  await writeFile(space.path('file'), '');
  const { code, text } = await imager(['doctor', '--json', '--store', space.path('file/store')]);
  assert.equal(code, 6);
  const bad = JSON.parse(text).filter(({ state }: { readonly state: string }) => state === 'bad');
  assert.equal(bad.length, 1);
  assert.equal(bad[0].subject, 'store');
  assert.match(bad[0].detail, /file.*: give another place with --store$/);
});

test('proxies by name, never by value; the credentials that apply', async () => {
  await mkdir(space.path('docker'));
  await writeFile(space.path('docker/config.json'), '{}');
  const environment = { HTTPS_PROXY: 'http://user:hunter2@proxy.example', DOCKER_CONFIG: space.path('docker') };
  const { text } = await imager(['doctor', '--store', space.path('store')], { environment });
  assert.match(text, /proxy +HTTPS_PROXY from the environment\n/);
  assert.ok(!text.includes('hunter2'));
  assert.ok(text.includes(`registry credentials  ${space.path('docker')}/config.json\n`), text);
});

test('little room and a strange processor are worth a note', async () => {
  const real = nodePlatform({});
  const files = new Proxy(real.files, {
    get: (target, name, receiver) => (name === 'freeSpace' ? async () => 2 ** 20 : Reflect.get(target, name, receiver)),
  });
  const findings = await examine({ ...real, files, architecture: 'other' }, space.path('store'), 0);
  await real.close();
  const notes = findings.filter(({ state }) => state === 'note').map(({ subject }) => subject);
  assert.deepEqual(notes.slice(0, 2), ['architecture', 'free space']);
});

test('an image: which endpoint serves it, what each is shown, never a secret', async (t) => {
  const auth = { kind: 'basic', user: 'pilot', password: 'open:sesame' } as const;
  const origin = await startRegistry({ auth });
  const mirror = await startRegistry({ faults: [failing(/manifests/, { kind: 'status', status: 404 })] });
  t.after(() => Promise.all([origin.close(), mirror.close()]));
  const image = testImage([{ data: randomBytes(10, 1) }]);
  origin.serve('a/b', 'v1', image);
  const encoded = Buffer.from('pilot:open:sesame').toString('base64');
  await mkdir(space.path('login'));
  await writeFile(space.path('login/config.json'), JSON.stringify({ auths: { [origin.host]: { auth: encoded } } }));
  const own = space.path(`hosts/${origin.host.replace(/:(\d+)$/, '_$1_')}`);
  await mkdir(own, { recursive: true });
  await writeFile(`${own}/hosts.toml`, `[host."${mirror.url}"]\nheader = { x-key = "hidden" }`);
  const reference = `${origin.host}/a/b:v1`;
  const args = ['doctor', reference, '--hosts-dir', space.path('hosts'), '--store', space.path('store')];
  const environment = { DOCKER_CONFIG: space.path('login') };

  const { code, text } = await imager(args, { environment });
  assert.equal(code, 0, text);
  const lines = text.split('\n').filter((line) => line.includes('127.0.0.1'));
  const digest = digestOf(image.manifest);
  assert.deepEqual(
    lines.map((line) => line.replaceAll(/ {2,}/g, ' | ')),
    [
      `ok | image ${reference} | ${digest} from ${origin.host}`,
      `note | ${mirror.host} | mirror; ${mirror.host}: manifest a/b:v1: not found (404: fault 404); anonymous; is sent header fields of its own`,
      `ok | ${origin.host} | the registry itself; has ${digest}; credentials from ${space.path('login')}/config.json`,
    ],
  );
  assert.doesNotMatch(text, new RegExp(`hidden|sesame|${encoded}`));

  const before = origin.requests.length;
  const offline = await imager([...args, '--offline', '--json'], { environment });
  assert.equal(origin.requests.length, before);
  assert.match(offline.text, /no endpoint was asked/);
  const missing = await imager(['doctor', `${origin.host}/a/b:v2`, '--store', space.path('store')], { environment });
  assert.equal(missing.code, 5, missing.text);
  assert.match(missing.text, /\nBAD +image .* served by none of 1\nBAD .*not found \(404/);
});
