import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import {
  formatReference,
  identifierOf,
  parseReference,
  parseRegistryHost,
  parseStrictReference,
  type Reference,
} from '../../src/oci/reference.ts';
import { schemesOf } from '../../src/oci/registry/mirrors.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

type Judged =
  | {
      readonly registry: string;
      readonly repository: string;
      readonly kind: 'tag' | 'digest';
      readonly identifier: string;
      readonly scheme: string;
    }
  | { readonly error: string };

interface Case {
  readonly id: string;
  readonly ref: string;
  readonly weak: Judged;
  readonly strict: Judged;
  readonly schemeWhenMarkedInsecure?: string;
}

const CASES = vectorLines<Case>('oci/references.jsonl.gz');

/** What upstream takes and the distribution grammar does not: rule, and what of the name breaks it. */
const STRICTER: readonly (readonly [rule: string, breaks: (text: string, host: string, path: string) => boolean])[] = [
  ['a scheme in front', (text) => text.includes('://')],
  ['upper case in a host', (_, host) => /[A-Z]/.test(host)],
  ['characters that host names do not have', (_, host) => /[^A-Za-z0-9.:[\]-]/.test(host)],
  ['a part of a host name that is empty, or begins or ends with a dash', (_, host) => isOddName(host)],
  ['a number in place of an address', (_, host) => /^[\d.]+(:\d+)?$/.test(host) && !isIpv4(host.split(':')[0]!)],
  ['a port above 65535', (_, host) => Number(/:(\d+)$/.exec(host)?.[1] ?? 0) > 65535],
  ['an IPv6 address without brackets', (_, host) => host.startsWith('::')],
  ['an empty path part', (_, __, path) => path.split('/').includes('')],
  [
    'a path part that begins or ends with a separator, or joins with more than one',
    (_, __, path) => path.split('/').some((part) => /^[._-]|[._-]$|___|\.\.|\.[_-]|-[._]|_[.-]/.test(part)),
  ],
  ['a tag that begins with a dash or dot', (text) => /:[.-][^/]*$/.test(text)],
];

function isOddName(host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return name !== '' && !name.startsWith('[') && name.split('.').some((part) => part === '' || /^-|-$/.test(part));
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => Number(part) <= 255);
}

/** Upstream's own split, to name the part that breaks a rule. */
function rulesBroken(text: string): string[] {
  const name = text.split('@')[0]!;
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasHost = /[.:]/.test(first) || first === 'localhost';
  const path = (hasHost ? name.slice(slash + 1) : name).replace(/:[^/]*$/, '');
  return STRICTER.filter(([, breaks]) => breaks(text, hasHost ? first : '', path)).map(([rule]) => rule);
}

function parsed(parse: (text: string) => Reference, text: string): Reference | undefined {
  try {
    return parse(text);
  } catch (error) {
    assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
    return undefined;
  }
}

describe('references as upstream reads them', () => {
  for (const [kind, parse] of [
    ['weak', parseReference],
    ['strict', parseStrictReference],
  ] as const) {
    test(`${kind}: ${CASES.length} cases`, () => {
      for (const one of CASES) {
        const expected = one[kind];
        const result = parsed(parse, one.ref);
        const broken = rulesBroken(one.ref);
        if ('error' in expected || broken.length > 0) {
          assert.equal(result, undefined, `${one.id} ${JSON.stringify(one.ref)}: ${broken.join()}`);
          continue;
        }
        assert.ok(result !== undefined, `${one.id} ${JSON.stringify(one.ref)}`);
        const { registry, repository } = result;
        assert.deepEqual(
          {
            registry,
            repository,
            kind: result.digest === undefined ? 'tag' : 'digest',
            identifier: identifierOf(result),
          },
          {
            registry: expected.registry,
            repository: expected.repository,
            kind: expected.kind,
            identifier: expected.identifier,
          },
          one.id,
        );
      }
    });
  }

  test('each stricter rule has a case that upstream accepts', () => {
    const accepted = CASES.filter(({ weak }) => !('error' in weak));
    for (const [rule] of STRICTER) {
      assert.ok(
        accepted.some(({ ref }) => rulesBroken(ref).includes(rule)),
        rule,
      );
    }
  });

  test('plain HTTP: this machine without a flag, anything else only when marked', () => {
    /** Upstream also falls back to plain HTTP in private networks and for `*.localhost`; a bare `localhost` it asks over HTTPS only. */
    const different = ['172.16.0.1:80', 'host.localhost', 'host.localhost:80', 'localhost'];
    for (const { weak, ref, schemeWhenMarkedInsecure } of CASES) {
      const reference = parsed(parseReference, ref);
      if (reference === undefined || 'error' in weak) continue;
      const { registry } = reference;
      const schemes = schemesOf(registry, false);
      if (different.includes(registry)) assert.notEqual(schemes.includes('http'), weak.scheme === 'http', registry);
      else assert.equal(schemes.at(-1), weak.scheme, registry);
      assert.equal(schemesOf(registry, true).at(-1), schemeWhenMarkedInsecure, registry);
      assert.equal(schemes[0], 'https');
    }
  });
});

describe('parseReference', () => {
  test('keeps the tag beside a digest, which decides', () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const reference = parseReference(`ghcr.io/siderolabs/imager:v1.13.9@${digest}`);
    assert.deepEqual(reference, { registry: 'ghcr.io', repository: 'siderolabs/imager', tag: 'v1.13.9', digest });
    assert.equal(identifierOf(reference), digest);
  });

  test('errors name the thing, the value and the wish', () => {
    const messages: readonly (readonly [string, string])[] = [
      ['', 'image reference "": want [host[:port]/]path[:tag][@digest]'],
      ['https://ghcr.io/a/b', 'image reference "https://ghcr.io/a/b": want it without "https://"'],
      ['ghcr.io/A', 'image reference "ghcr.io/A": "A" in its path: want a-z, 0-9, . _ - /'],
      ['GHCR.IO/ab', 'image reference "GHCR.IO/ab": registry "GHCR.IO": "G" in its host: want lower case'],
      ['ghcr.io/a', 'image reference "ghcr.io/a": path of 1 characters: want 2..255'],
      ['h:0/app', 'image reference "h:0/app": registry "h:0": port "0": want 1..65535'],
      ['a/b/../c', 'image reference "a/b/../c": path part "..": want letters and digits, joined by . _ __ or dashes'],
      ['ab:t+g', 'image reference "ab:t+g": "+" in its tag: want letters, digits, . _ -'],
      ['[0:0::1]/ab', 'image reference "[0:0::1]/ab": registry "[0:0::1]": want it written [::1]'],
      [
        'example.com/\u0430dmin',
        'image reference "example.com/\\u{430}dmin": "\\u{430}" in its path: want a-z, 0-9, . _ - /',
      ],
      [
        'ab@sha256:x',
        'image reference "ab@sha256:x": digest "sha256:x": want sha256: and 64 lower-case hexadecimal digits',
      ],
    ];
    for (const [text, message] of messages) {
      assert.throws(() => parseReference(text), { code: 'invalid-input', message });
    }
    assert.throws(() => parseStrictReference('ab'), { message: 'image reference "ab": want its registry written out' });
    assert.throws(() => parseStrictReference('docker.io/ab:c'), { message: /want its library\/ written out/ });
    assert.throws(() => parseStrictReference('ghcr.io/ab'), { message: /want its tag or digest written out/ });
    assert.throws(() => parseReference(`ghcr.io/${'a'.repeat(2000)}`), {
      message: /2008 characters, want at most 1024/,
    });
  });

  test('any text gives a reference or an ImagerError, and a reference parses to itself', () => {
    const pieces = [
      'a',
      'ab',
      '.',
      '..',
      '-',
      '_',
      '/',
      ':',
      '@',
      'sha256:',
      'f'.repeat(64),
      'localhost',
      'A',
      '[::1]',
      '0',
      'é',
      ' ',
      '\n',
    ];
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (one) => {
        const reference = parsed(parseReference, one);
        if (reference === undefined) return;
        const written = formatReference(reference);
        assert.deepEqual(parseReference(written), reference);
        assert.deepEqual(parseStrictReference(written), reference);
        assert.equal(
          new URL(`https://${reference.registry}/v2/${reference.repository}`).pathname,
          `/v2/${reference.repository}`,
        );
      }),
      { numRuns: FUZZ_RUNS, seed: 7 },
    );
  });

  test('long texts of one kind take no longer than others', () => {
    const started = performance.now();
    for (const piece of ['a', '-', '_', '.', '/', ':', 'a-', 'a.', 'a/', '[', '@']) {
      for (let round = 0; round < 20; round++) parsed(parseReference, piece.repeat(1000 / piece.length));
    }
    assert.ok(performance.now() - started < 1000);
  });
});

test('a registry host has one spelling', () => {
  for (const host of [
    'ghcr.io',
    'localhost',
    'localhost:5000',
    '10.5.0.1:6000',
    '[::1]',
    '[fd00::1]:5000',
    'a-b.example',
  ]) {
    assert.equal(parseRegistryHost(host, 'registry'), host);
  }
  for (const host of [
    '',
    'a b',
    'a:',
    'a:x',
    '[::1',
    '::1',
    'a..b',
    '127.1',
    '0x7f.0.0.1',
    'user@host',
    'ho/st',
    '[::ffff:1.2.3.4]',
  ]) {
    assert.throws(() => parseRegistryHost(host, 'registry'), { code: 'invalid-input' }, host);
  }
});
