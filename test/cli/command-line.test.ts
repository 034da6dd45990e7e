import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Invocation, parseCommandLine } from '../../src/cli/command-line.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { ImagerError } from '../../src/errors.ts';

async function parse(...args: string[]): Promise<Invocation> {
  return parseCommandLine(args, { version: '1.2.3', profiles: ['iso', 'metal'], print: () => undefined });
}

async function flagsOf(...args: string[]): Promise<{ text: object; lists: object; switches: string[] }> {
  const invocation = await parse(...args);
  assert.ok(invocation.command === 'build' || invocation.command === 'plan');
  const { text, lists, switches } = invocation.flags;
  return { text: Object.fromEntries(text), lists: Object.fromEntries(lists), switches: [...switches] };
}

test('values may begin with a dash, hold commas and equal signs, and repeat', async () => {
  const { lists } = await flagsOf(
    'iso',
    '--extra-kernel-arg',
    '-console',
    '--extra-kernel-arg=a,b=c',
    '--meta',
    '0xa={x: [1, 2]}',
    '--meta=0xb=',
  );
  assert.deepEqual(lists, { 'extra-kernel-arg': ['-console', 'a,b=c'], meta: ['0xa={x: [1, 2]}', '0xb='] });
});

test('flags stand before or after the profile, also behind a double dash', async () => {
  for (const args of [
    ['iso', '--arch', 'arm64'],
    ['--arch', 'arm64', 'iso'],
    ['--arch=arm64', '--', 'iso'],
  ]) {
    const invocation = await parse(...args);
    assert.ok(invocation.command === 'build');
    assert.equal(invocation.profile, 'iso');
    assert.equal(invocation.flags.text.get('arch'), 'arm64');
  }
});

test('switches take =true and =false and no separate value', async () => {
  assert.deepEqual((await flagsOf('iso', '--insecure')).switches, ['insecure']);
  assert.deepEqual((await flagsOf('iso', '--insecure=true', '--no-validate')).switches.sort(), [
    'insecure',
    'no-validate',
  ]);
  assert.deepEqual((await flagsOf('iso', '--insecure=false')).switches, []);
  await assert.rejects(parse('iso', '--insecure', 'true'), { code: 'usage' });
  await assert.rejects(parse('iso', '--insecure=yes'), { code: 'usage' });
});

test('plan takes the flags of a build and its own', async () => {
  const invocation = await parse('plan', 'iso', '--meta', '12=x', '--no-resolve', '--hosts', '-q');
  assert.ok(invocation.command === 'plan');
  assert.equal(invocation.resolve, false);
  assert.equal(invocation.hosts, true);
  assert.deepEqual(invocation.flags.lists.get('meta'), ['12=x']);
  assert.ok(invocation.flags.switches.has('quiet'));
});

test('store, doctor', async () => {
  assert.deepEqual(await parse('store', 'ls', '--json'), { command: 'store ls', store: undefined, json: true });
  const prune = { command: 'store prune', store: '/s', json: false, olderThan: 7200 };
  assert.deepEqual(await parse('store', 'prune', '--older-than', '2h', '--store', '/s'), prune);
  assert.deepEqual(await parse('doctor'), { command: 'doctor', store: undefined, json: false });
});

const USAGE_ERRORS: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /received 0/],
  [['iso', 'metal'], /received 2/],
  [['iso', '--', '--arch', 'amd64'], /received 3/],
  [['iso', '--nope'], /--nope/],
  [['iso', '--outp', 'x'], /--outp/],
  [['iso', '-x'], /-x/],
  [['iso', '-arch', 'amd64'], /-a/],
  [['iso', '--meta'], /--meta/],
  [['iso', '--progress', 'loud'], /loud/],
  [['store'], /./],
  [['store', 'prune', '--older-than', 'yesterday'], /yesterday/],
];

for (const [args, message] of USAGE_ERRORS) {
  test(`usage error: imager ${args.join(' ')}`, async () => {
    await assert.rejects(parse(...args), (error) => {
      assert.ok(error instanceof ImagerError, String(error));
      assert.equal(error.code, 'usage');
      assert.match(error.message, message);
      return true;
    });
  });
}

test('a near miss is answered with the flag that was meant', async () => {
  await assert.rejects(parse('iso', '--outpu', 'x'), { hint: 'did you mean --output?' });
});

test('a retired flag names its replacement', async () => {
  await assert.rejects(parse('metal', '--board', 'rpi'), { code: 'unsupported', message: /--overlay-name/ });
});

test('help names every flag and every profile, and is an answer, not an error', async () => {
  const printed: string[] = [];
  const texts = { version: '1.2.3', profiles: ['iso', 'metal'], print: (text: string) => void printed.push(text) };
  assert.deepEqual(await parseCommandLine(['--help'], texts), { command: 'answered' });
  const help = printed.join('');
  for (const { name } of FLAGS) assert.ok(help.includes(`--${name}`), name);
  assert.match(help, /"iso", "metal"/);
  assert.match(help, /Examples:/);
});

test('version', async () => {
  const printed: string[] = [];
  await parseCommandLine(['--version'], { version: '1.2.3', profiles: [], print: (text) => void printed.push(text) });
  assert.deepEqual(printed, ['1.2.3\n']);
});
