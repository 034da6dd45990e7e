/** Completion scripts in the shells they are for: somebody types, presses TAB and gets what was meant. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { IMAGER } from '../support/imager-process.ts';
import { skipWithout } from '../support/tools.ts';

let directory: string;
let environment: Record<string, string>;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-completion-'));
  await mkdir(join(directory, 'bin'));
  await mkdir(join(directory, 'somewhere'));
  await symlink(IMAGER, join(directory, 'bin/imager'));
  const path = [join(directory, 'bin'), dirname(process.execPath), process.env.PATH].join(':');
  environment = { PATH: path, HOME: directory, TERM: 'dumb', LC_ALL: 'C.UTF-8' };
});
after(() => rm(directory, { recursive: true }));

/** Everything a command prints, given these keys. */
function typed(command: string, args: readonly string[], keys: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: directory, env: environment, timeout: 60_000, stdio: 'pipe' });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', () => resolve(output));
    child.stdin.end(keys);
  });
}

const TAB = '\t';
/** To the start of the line. */
const HOME = '\u0001';

/** What is typed, and what stands there after TAB. */
const COMPLETIONS: readonly (readonly [string, string])[] = [
  ['imager pl', 'imager plan'],
  ['imager secureboot-met', 'imager secureboot-metal'],
  ['imager iso --talos', 'imager iso --talos-version'],
  ['imager iso --arch ar', 'imager iso --arch arm64'],
  ['imager plan iso --output-kind ini', 'imager plan iso --output-kind initramfs'],
  ['imager plan iso --no-res', 'imager plan iso --no-resolve'],
  ['imager store ver', 'imager store verify'],
  ['imager iso --output some', 'imager iso --output somewhere'],
];

interface Shell {
  readonly name: string;
  /** On a terminal of its own, without anybody's settings. */
  readonly command: string;
  readonly setup: string;
}

const SHELLS: readonly Shell[] = [
  { name: 'bash', command: 'bash --norc --noprofile -i', setup: 'source <(imager completion bash)' },
  {
    name: 'zsh',
    command: 'zsh -f -i',
    setup: 'autoload -U compinit; compinit -D -u; source <(imager completion zsh)',
  },
];

for (const { name, command, setup } of SHELLS) {
  describe(name, { skip: skipWithout(name, 'script') }, () => {
    test('TAB completes commands, profiles, flags, values and paths', async () => {
      // Each line is not run but shown, as the shell sees it after the TAB.
      const lines = COMPLETIONS.map(([line]) => `${line}${TAB}${HOME}echo got: \n`);
      const output = await typed('script', ['-qec', command, '/dev/null'], `${setup}\n${lines.join('')}exit\n`);
      // zsh takes the slash behind a directory away when more is typed.
      const got = [...output.matchAll(/(?<=[\r\n])got: (imager[^\r\n]*?)\/? *\r?\n/g)].map(([, line]) => line);
      const shown = COMPLETIONS.map(([, expected]) => expected);
      assert.deepEqual(got, shown, output);
    });
  });
}

describe('bash', { skip: skipWithout('bash') }, () => {
  /** What the function offers, with the words that bash would give it. */
  async function offered(...words: readonly string[]): Promise<string[]> {
    const script = `source <(imager completion bash)
compopt() { :; }
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
__imager_complete
printf '%s\\n' "\${COMPREPLY[@]}"
`;
    const output = await typed('bash', ['--norc', '--noprofile', '-u', '-s'], script);
    return output.trim().split('\n');
  }

  test('offers every command and profile', async () => {
    const words = await offered('imager', '');
    for (const word of ['plan', 'store', 'doctor', 'completion', 'iso', 'metal', 'secureboot-azure', '-']) {
      assert.ok(words.includes(word), `${word}: ${words.join(' ')}`);
    }
  });

  test('offers flags and their values', async () => {
    assert.deepEqual(await offered('imager', 'iso', '--secureboot-enroll-keys', ''), [
      'if-safe',
      'manual',
      'force',
      'off',
    ]);
    const flags = await offered('imager', 'iso', '--');
    for (const flag of ['--arch', '--meta', '--mirror', '--tar-to-stdout']) assert.ok(flags.includes(flag), flag);
    assert.deepEqual((await offered('imager', 'store', 'prune', '--')).sort(), [
      '--help',
      '--json',
      '--older-than',
      '--store',
    ]);
  });

  test('a second reading of the script is no error', async () => {
    const output = await typed('bash', ['-s'], 'source <(imager completion bash)\nsource <(imager completion bash)\n');
    assert.equal(output, '');
  });
});

describe('fish', { skip: skipWithout('fish') }, () => {
  async function offered(line: string): Promise<string[]> {
    const script = `imager completion fish | source; complete --do-complete '${line}'`;
    const output = await typed('fish', ['--no-config', '-c', script], '');
    return output
      .trim()
      .split('\n')
      .map((one) => one.split('\t')[0]!);
  }

  test('offers commands, profiles, flags, values and paths', async () => {
    for (const [line, expected] of COMPLETIONS) {
      const word = expected.split(' ').at(-1)!;
      const words = (await offered(line)).map((one) => one.replace(/\/$/, ''));
      assert.ok(words.includes(word), `${line}: ${words.join(' ')}`);
    }
    assert.deepEqual(await offered('imager iso --secureboot-enroll-keys '), ['force', 'if-safe', 'manual', 'off']);
  });
});
