import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { imager, type Outcome, scratch } from '../support/command-line.ts';
import { runImager } from '../support/imager-process.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());

async function validate(text: string, ...flags: string[]): Promise<Outcome> {
  const path = space.path('config.yaml');
  await writeFile(path, text);
  return imager(['config', 'validate', path, ...flags]);
}

const LINK = 'apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n';

test('all problems at once, each with its place and what was probably meant', async () => {
  const { code, text, stderr } = await validate(`${LINK}adresses: []\nmtu: lots\n---\nkind: Wrong\n`);
  assert.equal(code, 2);
  assert.equal(text, '');
  assert.match(stderr, /^error: .*config\.yaml:4:1: adresses: unknown key, Talos would refuse the document$/m);
  assert.match(stderr, /^ {4}4 \| adresses: \[\]\n {6}\| \^{8}\n {6}hint: did you mean addresses\?$/m);
  assert.match(stderr, /config\.yaml:5:6: mtu: "lots": want a whole number/);
  assert.match(stderr, /config\.yaml:7:1: apiVersion: not set/);
  assert.match(stderr, /3 errors: a node would refuse this\n$/);
});

test('a partial configuration is valid, and one says so', async () => {
  const warned = await validate(LINK);
  assert.equal(warned.code, 0);
  assert.match(warned.stderr, /^warning: .*no root document/);
  const { code, text, stderr } = await validate(LINK, '--partial');
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.match(text, /config\.yaml: partial configuration, valid for metal\n$/);
});

test('mode and version are asked for', async () => {
  assert.equal((await validate(LINK, '--mode', 'container')).code, 2);
  assert.equal((await validate(LINK, '--talos-version', '1.11')).code, 2);
  assert.equal((await validate(LINK, '--talos-version', 'v1.12.4', '--mode', 'cloud')).code, 0);
  assert.equal((await validate(LINK, '--talos-version', 'new')).code, 2);
  assert.equal((await validate(LINK, '--mode', 'wrong')).code, 1);
});

test('JSON for programs, from standard input', async () => {
  const path = space.path('stdin.yaml');
  await writeFile(path, `${LINK}mtu: -1\n`);
  const { code, stdout } = await runImager(['config', 'validate', '-', '--json'], { before: `exec < '${path}'` });
  assert.equal(code, 2);
  const [result] = JSON.parse(stdout.toString()) as { valid: boolean; documents: object[]; problems: object[] }[];
  assert.equal(result!.valid, false);
  assert.deepEqual(result!.documents, [{ kind: 'LinkConfig', name: 'eth0', line: 1 }]);
  assert.deepEqual(result!.problems, [
    { severity: 'error', line: 4, column: 6, path: 'mtu', message: '-1: want a whole number 0..4294967295' },
  ]);
});

test('no secret comes out', async () => {
  const key = 'GHrHuPxzP5VMwd9uHyCTpZG+LpZbSDgJBkT8GCFUVV8';
  const wireguard = `apiVersion: v1alpha1\nkind: WireguardConfig\nname: wg0\nprivateKey: ${key}\n`;
  const link = 'apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: ftp://host/?jointoken=hidden\n';
  const token = 'machine:\n  token: [hidden]\n  ca: {crt: public, key: "hidden!", bogus: 1}\n';
  const { code, stderr } = await validate([wireguard, link, token].join('---\n'));
  assert.equal(code, 2);
  assert.doesNotMatch(stderr, /hidden|GHrHu/);
});

test('a schema for editors', async () => {
  const { code, text } = await imager(['config', 'schema', '--talos-version', '1.12']);
  assert.equal(code, 0);
  const schema = JSON.parse(text) as { definitions: Record<string, { properties: object }> };
  assert.ok('mtu' in schema.definitions.LinkConfig!.properties);
  assert.equal(schema.definitions.KubePrismConfig, undefined);
});
