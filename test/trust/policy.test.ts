import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { compilePolicy } from '../../src/trust/compile-policy.ts';
import type { KeylessPolicy } from '../../src/trust/policy.ts';

const KEYLESS = { kind: 'keyless', subject: 'a@b.example', issuer: 'https://issuer.example' } as const;

test('what is not said takes the strict default of its kind', () => {
  const keyless = compilePolicy(KEYLESS);
  assert.equal(keyless.transparencyLog, 'require');
  assert.equal(keyless.timestamp, 'ignore');
  assert.equal(keyless.signer.kind === 'keyless' && keyless.signer.sct, 'require');
  const key = compilePolicy({ kind: 'key', publicKeyPem: pem('ec', { namedCurve: 'P-256' }) });
  assert.equal(key.transparencyLog, 'ignore');
  assert.equal(key.signer.kind === 'key' && key.signer.hash, 'sha256');
});

const EXPRESSIONS: readonly (readonly [expression: string, text: string, found: boolean])[] = [
  ['@vendor\\.example$', 'release@vendor.example', true],
  ['@vendor\\.example$', 'release@vendor.example.evil', false],
  ['vendor', 'https://evil.example/vendor', true],
  ['(?i)^RELEASE@', 'release@vendor.example', true],
  ['^(?P<who>release)@', 'release@vendor.example', true],
  ['\\Arelease\\z', 'release', true],
  ['\\Arelease\\z', 'release\n', false],
  ['^release$', 'release\nx', false],
  ['[[:alpha:]]+@', 'release@', true],
  ['(a+)+$', `${'a'.repeat(5000)}b`, false],
];

for (const [subjectRegExp, text, found] of EXPRESSIONS) {
  test(`/${subjectRegExp}/ ${found ? 'finds' : 'does not find'} ${text.slice(0, 30)}`, () => {
    const { signer } = compilePolicy({ kind: 'keyless', subjectRegExp, issuer: 'i' });
    assert.equal(signer.kind === 'keyless' && signer.subject.matches(text), found);
  });
}

const NOT_RE2 = ['^(?=a)a', '(?<!a)b', '(a)\\1', 'a{1001}', '(', 'a**', '(?z)a'];

for (const subjectRegExp of NOT_RE2) {
  test(`/${subjectRegExp}/ is refused`, () => {
    assert.throws(() => compilePolicy({ kind: 'keyless', subjectRegExp, issuer: 'i' }), {
      code: 'invalid-input',
      message: /^subject expression ".*": ./,
    });
  });
}

const WARNED: readonly (readonly [expression: string, warnings: readonly RegExp[]])[] = [
  ['@siderolabs\\.com$', []],
  ['.*', []],
  ['\\Aa\\z', []],
  ['^(?:a|b)$', []],
  ['@siderolabs\\.com', [/no \$ at its end/]],
  ['@siderolabs.com$', [/a dot that stands for any character/]],
  ['@siderolabs.com', [/no \$/, /dot/]],
];

for (const [subjectRegExp, warnings] of WARNED) {
  test(`/${subjectRegExp}/ gets ${warnings.length} warnings`, () => {
    const found = compilePolicy({ kind: 'keyless', subjectRegExp, issuer: 'i' }).warnings;
    assert.equal(found.length, warnings.length, found.join('\n'));
    for (const [index, pattern] of warnings.entries()) assert.match(found[index] ?? '', pattern);
  });
}

test('subject and expression both count', () => {
  const { signer } = compilePolicy({ ...KEYLESS, subjectRegExp: '@c\\.example$' });
  assert.equal(signer.kind === 'keyless' && signer.subject.matches('a@b.example'), false);
});

const IDENTITIES: readonly (readonly [policy: KeylessPolicy, message: RegExp])[] = [
  [{ kind: 'keyless', issuer: 'i' }, /^identity without subject/],
  [{ kind: 'keyless', subject: 's' }, /^identity without issuer/],
  [{ kind: 'keyless', subject: '', issuer: 'i' }, /^identity without subject/],
];

for (const [policy, message] of IDENTITIES) {
  test(`refused: ${JSON.stringify(policy)}`, () => {
    assert.throws(() => compilePolicy(policy), { code: 'invalid-input', message });
  });
}

const KEYS: readonly (readonly [name: string, publicKeyPem: string, message: RegExp])[] = [
  ['no PEM', 'AAAA', /^verification key: no PEM, want a PEM PUBLIC KEY/],
  ['a private key', privatePem(), /^verification key: a PEM PRIVATE KEY/],
  ['damage', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', /cannot be read/],
  ['short RSA', pem('rsa', { modulusLength: 1024 }), /RSA of 1024 bits, want at least 2048/],
];

for (const [name, publicKeyPem, message] of KEYS) {
  test(`refused as key: ${name}`, () => {
    assert.throws(() => compilePolicy({ kind: 'key', publicKeyPem }), { code: 'invalid-input', message });
  });
}

test('keys of other kinds are refused', () => {
  assert.throws(() => compilePolicy({ kind: 'key', publicKeyPem: pem('x25519', {}) }), { code: 'unsupported' });
});

function pem(kind: 'ec' | 'rsa' | 'x25519', options: object): string {
  // The overloads of generateKeyPairSync take one literal kind each.
  const generate = generateKeyPairSync as (kind: string, options: object) => ReturnType<typeof generateKeyPairSync>;
  return String(generate(kind, options).publicKey.export({ type: 'spki', format: 'pem' }));
}

function privatePem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
}
