/** Extensions that are wrong or hostile: every rule says its name, the file and where in it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EMPTY } from '../../src/bytes/bytes.ts';
import { checkExtensions, checkKernel, type NamedExtension } from '../../src/extensions/check.ts';
import { openExtension } from '../../src/extensions/layout.ts';
import { problemLines, problemText, refuseErrors } from '../../src/extensions/problem.ts';
import { parseTalosVersion } from '../../src/profiles/talos-version.ts';
import { DEFAULT_DIRECTORY, type Entry, type Literal } from '../../src/tree/tree.ts';
import { extensionTree, type ManifestFields } from '../support/extension-images.ts';
import { rejected } from '../support/rejected.ts';

const OPTIONS = {
  version: parseTalosVersion('v1.13.2')!,
  modulesPath: 'usr/lib/modules',
  firmwarePath: 'usr/lib/firmware',
};

async function named(
  name: string,
  files: Readonly<Record<string, Literal>>,
  fields: ManifestFields = {},
  more: readonly Entry[] = [],
): Promise<NamedExtension> {
  return { name, extension: await openExtension(extensionTree(files, fields, more), name) };
}

async function linesOf(...extensions: readonly NamedExtension[]): Promise<string[]> {
  const problems = await checkExtensions(extensions, OPTIONS);
  return problems.map((problem) => `${problem.severity} ${problemText(problem)}`);
}

const SERVICE = 'name: x\ncontainer:\n  entrypoint: ./x\nrestart: always\n';
const FILE = { kind: 'file', ...DEFAULT_DIRECTORY } as const;

const CASES: readonly (readonly [
  what: string,
  files: Readonly<Record<string, Literal>>,
  lines: readonly string[],
  more?: readonly Entry[],
])[] = [
  ['nothing wrong', { 'usr/local/bin/x': 'x', 'usr/local/bin/y': { link: 'x' } }, []],
  [
    'a place nobody looks at',
    { 'opt/x': '' },
    ['warning e: /opt/x: not a place for files of extensions (rule contents)'],
  ],
  [
    'a place whose name begins like an allowed one',
    { 'usr/localx': '' },
    ['warning e: /usr/localx: not below /usr/local, although its name begins like that (rule contents)'],
  ],
  [
    'a link above the root',
    { 'usr/local/x': { link: '../../../etc/shadow' }, 'usr/local/y': { link: '../../etc' } },
    ['warning e: /usr/local/x: link to "../../../etc/shadow", above the root (rule links)'],
  ],
  ['a good service', { 'usr/local/etc/containers/x.yaml': SERVICE, 'usr/local/lib/containers/x': null }, []],
  [
    'a service without files',
    { 'usr/local/etc/containers/x.yaml': SERVICE },
    ["warning e: /usr/local/etc/containers/x.yaml: no /usr/local/lib/containers/x: the service's files (rule service)"],
  ],
  [
    'a broken service',
    { 'usr/local/etc/containers/x.yaml': SERVICE.replace('always', 'sometimes') },
    [
      'error e: /usr/local/etc/containers/x.yaml:4:10: restart: "sometimes": no restart kind: want always, never or untilSuccess (rule service)',
    ],
  ],
  [
    'a service that is no text',
    { 'usr/local/etc/containers/x.yaml': Uint8Array.of(0x61, 0xc3, 0x28) },
    ['error e: /usr/local/etc/containers/x.yaml: bytes that are not UTF-8: want YAML as UTF-8 text (rule service)'],
  ],
  [
    'firmware links that lead out',
    { 'usr/lib/firmware/a': { link: '/etc/shadow' } },
    ['error e: /usr/lib/firmware/a: link to "/etc/shadow" leads to nothing in the extension (rule firmware)'],
  ],
  [
    'firmware links that go round',
    { 'usr/lib/firmware/a/b': { link: '.' } },
    ['error e: /usr/lib/firmware/a/b: a link to a directory it lies in (rule firmware)'],
  ],
  [
    'firmware links that point at each other',
    { 'usr/lib/firmware/a': { link: 'b' }, 'usr/lib/firmware/b': { link: 'a' } },
    ['error e: /usr/lib/firmware/a: link to "b" leads to nothing in the extension (rule firmware)'],
  ],
  [
    'microcode that is none',
    { 'usr/lib/firmware/intel-ucode/06-01-01': 'text' },
    ['warning e: /usr/lib/firmware/intel-ucode/06-01-01: no microcode update of Intel (rule microcode)'],
  ],
  [
    'a device',
    {},
    ['error e: /usr/local/disk: a block device or pipe: want files, directories and symbolic links (rule contents)'],
    [{ kind: 'block', path: 'usr/local/disk', ...DEFAULT_DIRECTORY, major: 8, minor: 0 }],
  ],
  [
    'a program with rights of its owner',
    {},
    ["warning e: /usr/local/bin/su: setuid: whoever starts it has its owner's rights (rule setuid)"],
    [{ ...FILE, path: 'usr/local/bin/su', mode: 0o4755, content: EMPTY }],
  ],
];

describe('one extension', () => {
  for (const [what, files, expected, more] of CASES) {
    test(what, async () => {
      const lines = await linesOf(await named('e', files, {}, more));
      assert.deepEqual(
        lines.map((line, index) => (expected[index]?.endsWith(': ') ? line.slice(0, expected[index].length) : line)),
        expected,
      );
    });
  }

  test('for another Talos, and with a range nobody can read', async () => {
    const [old, strange] = [
      await named('a', {}, { constraint: '< 1.13.2' }),
      await named('b', {}, { constraint: '~1.5' }),
    ];
    const lines = await linesOf(old, strange);
    assert.equal(lines[0], 'error a: manifest.yaml: for Talos < 1.13.2, this is 1.13.2 (rule version)');
    assert.match(lines[1]!, /^error b: manifest\.yaml: Talos version constraint "~1\.5": .* \(rule manifest\)$/);
  });
});

describe('several extensions', () => {
  test('the same file twice is no conflict, another one is', async () => {
    const first = await named('a', { 'usr/local/x': '1', 'usr/local/y': '1', 'usr/local/z': { link: 'x' } });
    const second = await named('b', { 'usr/local/x': '1', 'usr/local/y': '2', 'usr/local/z': { link: 'y' } });
    assert.deepEqual(await linesOf(first, second), [
      'warning b: /usr/local/y: another file in a, which it hides (rule conflict)',
      'warning b: /usr/local/z: another file in a, which it hides (rule conflict)',
    ]);
  });

  test('a file in place of a directory hides all of it', async () => {
    const lines = await linesOf(await named('a', { 'usr/local/x/y': '' }), await named('b', { 'usr/local/x': '' }));
    assert.deepEqual(lines, ['error b: /usr/local/x: a file, in a a directory: one hides the other (rule conflict)']);
  });

  test('modules for two kernels cannot both fit', async () => {
    const all = [
      await named('a', { 'usr/lib/modules/6.1/extras/a.ko': '' }),
      await named('b', { 'usr/lib/modules/6.2/extras/b.ko': '' }),
    ];
    assert.deepEqual(await linesOf(...all), [
      'error b: /usr/lib/modules: modules for kernel 6.2, a has them for 6.1 (rule modules)',
    ]);
    const problems = checkKernel(all, OPTIONS, '6.2', 'the initramfs');
    assert.deepEqual(problems.map(problemText), [
      'a: /usr/lib/modules: modules for kernel 6.1, the initramfs has kernel 6.2 (rule modules)',
    ]);
  });

  test('index files of modules are made anew: two of them are no conflict', async () => {
    const of = (text: string): Record<string, string> => ({ 'usr/lib/modules/6.1/modules.dep': text });
    assert.deepEqual(await linesOf(await named('a', of('1')), await named('b', of('2'))), []);
  });
});

describe('hostile extensions', () => {
  test('deep directories are fine as long as Linux can name what is in them', async () => {
    const path = (depth: number, name: string): string => `usr/local/${`${name}/`.repeat(depth)}x`;
    assert.deepEqual(await linesOf(await named('e', { [path(200, 'd')]: '' })), []);
    const [line] = await linesOf(await named('e', { [path(200, 'd'.repeat(30))]: '' }));
    assert.match(line!, /^error e: \/usr\/local\/d+.*\.\.\.: a path of more than 4095 bytes \(rule size\)$/);
  });

  test('links that multiply firmware end somewhere', async () => {
    const files: Record<string, Literal> = { 'usr/lib/firmware/0/x': '' };
    for (let level = 1; level < 40; level++) {
      for (const name of ['a', 'b']) files[`usr/lib/firmware/${level}/${name}`] = { link: `../${level - 1}` };
    }
    assert.match(
      (await linesOf(await named('e', files)))[0]!,
      /more than 200000 files, links followed \(rule firmware\)$/,
    );
  });

  test('many problems of a kind are counted', async () => {
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`opt/${index}`, '']));
    const problems = await checkExtensions([await named('e', files)], OPTIONS);
    const lines = problemLines(problems);
    assert.equal(lines.length, 6);
    assert.equal(lines.at(-1), 'e: 15 more like the last (rule contents)');
    assert.deepEqual(refuseErrors(problems), lines);
  });

  test('errors are one refusal', async () => {
    const problems = await checkExtensions(
      [await named('a', {}, { constraint: '> 2.0.0' }), await named('b', {}, { constraint: '> 3.0.0' })],
      OPTIONS,
    );
    assert.throws(
      () => refuseErrors(problems),
      rejected('dependency', /^a: .*\(rule version\)\nb: .*\(rule version\)$/),
    );
  });
});
