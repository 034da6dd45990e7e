/**
 * Texts that make careless expressions take quadratic time or a deep stack: each reader gets one that is long, and has to be done at a
 * speed that only linear work has (quadratic work takes minutes here), with a value or an `ImagerError`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { insertPartitionMaps } from '../src/boot/grub-modules.ts';
import { ImagerError } from '../src/errors.ts';
import { parseConstraint } from '../src/extensions/constraint.ts';
import { checkExpression } from '../src/machineconfig/cel/check.ts';
import { ENVIRONMENTS } from '../src/machineconfig/cel/environments.ts';
import { isPem } from '../src/machineconfig/documents/rules/secrets.ts';
import { checkKernelArguments } from '../src/machineconfig/kernel-arguments.ts';
import { parseNetworkDocument } from '../src/machineconfig/network-document.ts';
import { parseReference } from '../src/oci/reference.ts';
import { parseDockerConfig } from '../src/oci/registry/docker-config.ts';
import { parseMirrors } from '../src/oci/registry/mirrors.ts';
import { parseTalosVersion } from '../src/profiles/talos-version.ts';
import { formatIpxeArguments } from '../src/pxe/ipxe-argument.ts';
import { treeOfLiterals } from '../src/tree/tree.ts';
import { parseYaml, readDocuments, readFirstDocument } from '../src/yaml/document.ts';

/** Quadratic work on so many characters is 6 * 10^10 steps. */
const LENGTH = 250_000;
const MOST_SECONDS = 10;

const run = (text: string): string => text.repeat(LENGTH / text.length);
const password = btoa(`user:\0a${run('\0')}x`);

const READERS: Readonly<Record<string, () => unknown>> = {
  'blanks in double quotes': () => parseYaml(`"\\x41${run(' ')}a"`),
  'tabs in double quotes': () => parseYaml(`"\\x41${run('\t')}a"`),
  'escaped line ends in double quotes': () => parseYaml(`"\\x41${run('\\\n')}a"`),
  'line ends in double quotes': () => parseYaml(`"\\x41${run(' \n')}a"`),
  'blanks behind a constraint': () => parseConstraint(`>= 1.0.0${run(' ')}x`),
  'blanks behind a version': () => parseTalosVersion(`1${run(' ')}x`),
  'carriage returns in partmap.lst': () => insertPartitionMaps(treeOfLiterals({ 'partmap.lst': `${run('\r')}x\n` })),
  'PEM blocks without an end': () => isPem(run('-----BEGIN A-----\n'), 'KEY'),
  'PEM blocks of many labels': () =>
    isPem(Array.from({ length: LENGTH / 20 }, (_, index) => `-----BEGIN A${index}-----\n`).join(''), 'KEY'),
  'PEM headers': () => isPem(`-----BEGIN A-----\n${run('a:b\n')}\n-----END A-----`, 'A'),
  'zeros behind a password': () => parseDockerConfig(JSON.stringify({ auths: { a: { auth: password } } }), 'c'),
  'brackets in an address': () => checkKernelArguments(`ip=a${run(']')}x::::eth0`),
  'variables without an end': () => checkKernelArguments(`talos.config=http://a/?u=}${run('${')}`),
  'variables of iPXE without an end': () => formatIpxeArguments(run('${')),
  'slashes of a mirror': () => parseMirrors([`a=http://b/${run('/')}x`]),
  'components of a reference': () => parseReference(`a/${run('a.')}/`),
  'comments before something foreign': () => parseNetworkDocument(run('#\n')),
  'a CEL text without an end': () => checkExpression(`"${run('a').slice(0, 90_000)}`, ENVIRONMENTS.disk!),
};

for (const [what, read] of Object.entries(READERS)) {
  test(`${what}: read in linear time`, async () => {
    const start = performance.now();
    try {
      await read();
    } catch (error) {
      assert.ok(error instanceof ImagerError, String(error).slice(0, 500));
    }
    assert.ok(performance.now() - start < MOST_SECONDS * 1000);
  });
}

test('millions of empty lines need no stack', () => {
  const lines = '\n'.repeat(1_000_000);
  const options = { maxSize: 1_000_100, maxNodes: 1_000_000 };
  for (const read of [readDocuments, readFirstDocument]) {
    assert.equal(read(lines, options).problems.length > 0, false, 'nothing but empty lines');
    assert.match(read(lines, { maxSize: 100 }).problems[0]!.message, /1000000 characters: want at most 100/);
  }
  assert.deepEqual(readDocuments(`"\\x41\\${lines}"`, options).documents.length, 1);
});

test('a text that is too long is refused before anything looks into it', () => {
  const start = performance.now();
  const { problems, source } = readDocuments('...\n'.repeat(10_000_000));
  assert.equal(problems.length, 1);
  assert.ok(source.text.length < 1000);
  assert.ok(performance.now() - start < MOST_SECONDS * 1000);
});

test('what was quadratic reads as before', () => {
  const values = [
    '"a \\x41  b"',
    '"\\x41 \t\n  b"',
    '"\\x41\n\n  \n b"',
    '"\\x41 \\\n   \n  b"',
    '"\\x41  "',
    '"\\x41 \\\r\n  b \r\n\r\n c"',
  ].map((text) => parseYaml(text)[0]);
  assert.deepEqual(
    values.map((node) => node?.kind === 'scalar' && node.text),
    ['a A  b', 'A b', 'A\n\nb', 'A \nb', 'A  ', 'A b\nc'],
  );
  assert.equal(parseConstraint(' >= 1.0.0 \t ')({ major: 1, minor: 2, patch: 3, text: '1.2.3' }), true);
  assert.equal(parseTalosVersion('\u0085 1.8.0 \u3000')?.text, '1.8.0');
  const pem = (label: string, body: string): string => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
  assert.equal(isPem(pem('EC PRIVATE KEY', 'Proc-Type: 4\nDEK: a\n\nQUJD\nQUJD'), 'PRIVATE KEY'), true);
  assert.equal(isPem(pem('CERTIFICATE', 'QUJD'), 'PRIVATE KEY'), false);
  assert.equal(isPem(`-----BEGIN A-----\n${pem('B KEY', 'QUJD')}`, 'KEY'), true, 'the first has no end');
  assert.equal(isPem('-----BEGIN KEY-----\nQUJD\n', 'KEY'), false);
  assert.equal(isPem(pem('KEY', 'Q*JD'), 'KEY'), false);
  assert.equal(isPem(pem('KEY', 'A: b\nQUJD'), 'KEY'), false, 'headers without an empty line');
});
