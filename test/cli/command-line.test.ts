import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Invocation, parseCommandLine, type Texts } from '../../src/cli/command-line.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { ImagerError } from '../../src/errors.ts';

function texts(print: (text: string) => void = () => undefined, columns = 80): Texts {
  return { version: '1.2.3', profiles: ['iso', 'metal'], columns: () => columns, print };
}

async function parse(...args: string[]): Promise<Invocation> {
  return parseCommandLine(args, texts());
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
  const invocation = await parse('plan', 'iso', '--meta', '12=x', '--no-resolve', '-q');
  assert.ok(invocation.command === 'plan');
  assert.equal(invocation.resolve, false);
  assert.equal(invocation.view, 'text');
  assert.deepEqual(invocation.flags.lists.get('meta'), ['12=x']);
  assert.ok(invocation.flags.switches.has('quiet'));
});

test('a plan has one view', async () => {
  for (const view of ['json', 'yaml', 'hosts'] as const) {
    const invocation = await parse('plan', 'iso', `--${view}`);
    assert.ok(invocation.command === 'plan');
    assert.equal(invocation.view, view);
    assert.equal(invocation.resolve, true);
  }
  await assert.rejects(parse('plan', 'iso', '--json', '--yaml'), { code: 'usage', message: /--json and --yaml/ });
});

test('flags before the name of a command count too', async () => {
  const given = ['--meta', '1=a', '--arch', 'amd64', '--offline', 'plan', 'iso', '--meta', '2=b', '--arch', 'arm64'];
  const { text, lists, switches } = await flagsOf(...given);
  assert.deepEqual(
    { text, lists, switches },
    { text: { arch: 'arm64' }, lists: { meta: ['1=a', '2=b'] }, switches: ['offline'] },
  );
  assert.deepEqual(await parse('--store', '/s', '--json', 'store', 'ls'), {
    command: 'store ls',
    store: '/s',
    json: true,
  });
  // Of the last command that takes one; a text here is a list there.
  assert.deepEqual(await parse('--store', '/s', 'store', 'ls', '--store', '/t'), {
    command: 'store ls',
    store: '/t',
    json: false,
  });
  const images = await parse('--talos-version', 'v1.13.8', 'images', '--talos-version', 'v1.13.9');
  assert.deepEqual(images, { command: 'images', flags: { talosVersion: ['v1.13.8', 'v1.13.9'] } });
  const mirror = await parse('mirror', '--image', 'a', 'verify', '--image', 'b', 'oci:x');
  assert.deepEqual(mirror, { command: 'mirror verify', flags: { target: 'oci:x', image: ['a', 'b'] } });
});

test('store, doctor', async () => {
  assert.deepEqual(await parse('store', 'ls', '--json'), { command: 'store ls', store: undefined, json: true });
  const prune = { command: 'store prune', store: '/s', json: false, olderThan: 7200 };
  assert.deepEqual(await parse('store', 'prune', '--older-than', '2h', '--store', '/s'), prune);
  assert.deepEqual(await parse('doctor'), { command: 'doctor', flags: {} });
  assert.deepEqual(await parse('doctor', 'a/b:v1', '--mirror', 'docker.io=m', '--hosts-dir', '/d', '--offline'), {
    command: 'doctor',
    flags: { image: 'a/b:v1', mirror: ['docker.io=m'], hostsDir: '/d', offline: true },
  });
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
  [['iso', '--output', ''], /flag --output "": want DIR/],
  [['iso', '--talos-version='], /flag --talos-version "": want VERSION/],
  [['store'], /store: want ls, verify or prune/],
  [['store', 'list'], /store list: want ls/],
  [['completion'], /shell/],
  [['store', 'prune', '--older-than', 'yesterday'], /yesterday/],
  [['--offline', 'verify', 'a/b:v1'], /^flag --offline: verify has none$/],
  [['--meta', '1=a', 'mirror', 'verify', 'oci:x'], /^flag --meta: mirror verify has none$/],
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
  for (const args of [['--help'], ['-h'], ['help']]) {
    let help = '';
    const told = texts((text) => {
      help += text;
    });
    assert.deepEqual(await parseCommandLine(args, told), { command: 'answered' });
    for (const { name } of FLAGS) assert.ok(help.includes(`--${name}`), name);
    assert.match(help, /Profiles:\n {2}iso metal\n/);
    assert.match(help, /Examples:/);
  }
});

test('help is as wide as the terminal, within reason', async () => {
  for (const columns of [80, 100, 300]) {
    let help = '';
    await parseCommandLine(
      ['--help'],
      texts((text) => {
        help += text;
      }, columns),
    );
    const [body] = help.split('Examples:');
    const widest = Math.max(...body!.split('\n').map(({ length }) => length));
    assert.ok(widest <= Math.min(columns, 120), `${widest} of ${columns}`);
    assert.ok(widest > Math.min(columns, 120) - 20, `${widest} of ${columns}`);
  }
});

test('version', async () => {
  const printed: string[] = [];
  await parseCommandLine(
    ['--version'],
    texts((text) => void printed.push(text)),
  );
  assert.deepEqual(printed, ['1.2.3\n']);
});
