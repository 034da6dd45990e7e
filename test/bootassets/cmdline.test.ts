/** Composed command lines against upstream's own, and what ours refuses on top. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { buildCmdline, type CmdlineRequest, type CmdlineTraits } from '../../src/boot/cmdline.ts';
import { checkKernelQuoting, kernelWords, losesBlanks } from '../../src/boot/kernel-quoting.ts';
import { canonicalPlatform } from '../../src/boot/platform-arguments.ts';
import { ImagerError } from '../../src/errors.ts';
import type { MetaValue } from '../../src/meta/value.ts';
import type { Architecture, OutputKind } from '../../src/profiles/profile.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Case {
  readonly id: string;
  readonly profile: {
    readonly arch?: string;
    readonly platform?: string;
    readonly secureboot?: boolean;
    readonly version?: string;
    readonly baseProfileName?: string;
    readonly customization?: {
      readonly extraKernelArgs?: readonly string[] | null;
      readonly metaContents?: readonly MetaValue[] | null;
    };
    readonly output?: { readonly kind?: OutputKind };
  };
  readonly overlayKernelArgs?: readonly string[] | null;
  readonly expect: { readonly cmdline?: string; readonly error?: string; readonly stage?: string };
}

const NEWEST: CmdlineTraits = traitsOf('1.14.0');
const PLAIN: CmdlineRequest = {
  platform: 'metal',
  architecture: 'amd64',
  kind: 'cmdline',
  secureBoot: false,
  traits: NEWEST,
};

function requestOf(one: Case): CmdlineRequest {
  const { profile } = one;
  return {
    platform: profile.platform!,
    architecture: profile.arch as Architecture,
    kind: profile.output!.kind!,
    secureBoot: profile.secureboot === true,
    // An empty version is the imager's own tag.
    traits: traitsOf(profile.version || 'v1.14.0-rc.1'),
    overlayArguments: one.overlayKernelArgs ?? [],
    extraArguments: profile.customization?.extraKernelArgs ?? [],
    meta: profile.customization?.metaContents ?? [],
  };
}

/** Upstream builds these; the kernel or Talos' reader would not understand the result. */
function refusedByOurs(request: CmdlineRequest, line: string): RegExp | undefined {
  const carried = request.kind === 'image' ? [] : (request.meta ?? []);
  if (carried.some(({ value }) => value.includes(';'))) return /";" at character/;
  if (carried.some(({ key }) => key === 0)) return /meta key 0/;
  if ((line.match(/"/g) ?? []).length % 2 === 1) return /double quote is not closed/;
  if (line.includes('"a "a b" b"')) return /torn apart or mixed/;
  return undefined;
}

/** With compressed META values the text counts, not how it was compressed. */
function readable(line: string): string {
  return line.replace(
    /INSTALLER_META_BASE64=(H4s\S+)/,
    (_, encoded) => `META(${gunzipSync(Buffer.from(encoded, 'base64'))})`,
  );
}

test('composed command lines are upstream’s', () => {
  const counts = { same: 0, refusedByBoth: 0, refusedByOurs: 0, decidedByProfiles: 0 };
  for (const one of vectorLines<Case>('cmdline/cmdline.jsonl.gz')) {
    const { expect, profile } = one;
    // Parsing, base profiles and validation come before composition and have their own tests.
    if (expect.stage === 'parse' || expect.stage === 'profile' || profile.baseProfileName !== undefined) {
      counts.decidedByProfiles++;
      continue;
    }
    const request = requestOf(one);
    if (expect.error !== undefined) {
      assert.throws(
        () => buildCmdline(request),
        { code: 'invalid-input', message: /^platform ".*": want one of/ },
        one.id,
      );
      counts.refusedByBoth++;
      continue;
    }
    const refusal = refusedByOurs(request, expect.cmdline!);
    if (refusal !== undefined) {
      assert.throws(() => buildCmdline(request), { code: 'invalid-input', message: refusal }, one.id);
      counts.refusedByOurs++;
      continue;
    }
    assert.equal(readable(buildCmdline(request).text), readable(expect.cmdline!), one.id);
    counts.same++;
  }
  assert.deepEqual(counts, { same: 2522, refusedByBoth: 11, refusedByOurs: 16, decidedByProfiles: 146 });
});

test('the worked examples with overlay, extra arguments and negation', () => {
  const rpi = [
    'console=tty0',
    'console=ttyAMA0,115200',
    'sysctl.kernel.kexec_load_disabled=1',
    'talos.dashboard.disabled=1',
  ];
  assert.equal(
    buildCmdline({ ...PLAIN, architecture: 'arm64', kind: 'image', overlayArguments: rpi }).text,
    'talos.platform=metal console=tty0 console=ttyAMA0,115200 sysctl.kernel.kexec_load_disabled=1 talos.dashboard.disabled=1 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  );
  const extra = ['console=ttyS0,115200', 'talos.platform=nocloud', '-pti', '-selinux=0', '-module.sig_enforce=1'];
  const got = buildCmdline({ ...PLAIN, kind: 'iso', secureBoot: true, extraArguments: extra });
  assert.equal(
    got.text,
    'talos.platform=nocloud console=ttyS0,115200 talos.halt_if_installed=1 slab_nomerge consoleblank=0 printk.devkmsg=on selinux=1 proc_mem.force_override=never',
  );
  assert.deepEqual(got.warnings, [
    { code: 'cmdline-negation-without-effect', message: 'kernel argument "-selinux=0" removes nothing' },
    {
      code: 'cmdline-platform-changed',
      message: 'kernel argument talos.platform is nocloud, while the other arguments are those of metal',
    },
  ]);
});

test('packet is equinixMetal, and a near miss is named', () => {
  assert.equal(canonicalPlatform('packet'), 'equinixMetal');
  assert.throws(() => canonicalPlatform('digitalocean'), { hint: 'did you mean digital-ocean?' });
  assert.throws(() => canonicalPlatform('toString'), { code: 'invalid-input' });
  assert.throws(() => canonicalPlatform('__proto__'), { code: 'invalid-input' });
});

test('what the kernel would misread is refused with the argument', () => {
  const compose = (...extraArguments: string[]) => buildCmdline({ ...PLAIN, extraArguments }).text;
  assert.throws(() => compose('quiet', 'x=a\\"b'), {
    message: 'kernel argument "x=a\\\\\\"b": a double quote is not closed, want them in pairs',
  });
  assert.throws(() => compose('a\0b'), {
    message: 'kernel argument "a\\u0000b": control character U+0000, want printable text',
  });
  assert.throws(() => compose('a\x1bb'), /control character U\+001B/);
  assert.throws(() => compose(...Array.from({ length: 10000 }, (_, index) => `k${index}`)), /want at most 32768/);
  assert.throws(() => compose('a="x y"', 'a="z w"'), /torn apart or mixed/);
  assert.throws(() => compose('console="x y"'), /torn apart or mixed/);
  assert.throws(() => compose('pti="a pti=off b"'), /torn apart or mixed/);
  assert.throws(() => compose('a="x y"', '-y"'), /not closed/);
  assert.match(compose('a="x', 'y"'), / a="x y"$/, 'a quote may span arguments, as it does for the kernel');
  assert.match(compose("a='x y'"), / a='x y'$/, 'a single quote means nothing to the kernel');
  assert.throws(() => buildCmdline({ ...PLAIN, overlayArguments: ['a="'] }), /not closed/);
});

test('warnings are values with the number', () => {
  const warnings = (...extraArguments: string[]) => buildCmdline({ ...PLAIN, extraArguments }).warnings;
  const { text } = buildCmdline(PLAIN);
  const room = 2047 - text.length - 1;
  assert.deepEqual(warnings('x'.repeat(room)), []);
  assert.deepEqual(warnings('x'.repeat(room + 1)), [
    { code: 'cmdline-too-long', message: 'kernel command line: 2048 bytes, and the kernel cuts it off after 2047' },
  ]);
  assert.deepEqual(
    warnings('x=ü').map(({ code }) => code),
    ['cmdline-not-ascii'],
  );
  assert.deepEqual(
    warnings('x="a  b"').map(({ code }) => code),
    ['cmdline-blanks-lost'],
  );
  assert.match(warnings('-talos.platform')[0]!.message, /talos\.platform is gone/);
  assert.deepEqual(warnings('foo', '-foo', '-pti=on'), []);
});

test('META goes to every kind but the image', () => {
  const meta = [{ key: 10, value: 'foo' }];
  assert.match(buildCmdline({ ...PLAIN, meta }).text, / talos\.environment=INSTALLER_META_BASE64=MHhhPWZvbw==$/);
  assert.doesNotMatch(buildCmdline({ ...PLAIN, kind: 'image', meta }).text, /INSTALLER_META/);
});

test('kernel words end at spaces outside quotes', () => {
  assert.deepEqual(
    kernelWords(' a="x y" "b c"d  e="').map(({ text, closed }) => [text, closed]),
    [
      ['a="x y"', true],
      ['"b c"d', true],
      ['e="', false],
    ],
  );
  assert.equal(losesBlanks(['a  b', 'c="d e"']), false);
  assert.equal(losesBlanks(['c="d\te"']), true);
  checkKernelQuoting(['plain', 'a="b c"']);
});

test('fuzz: a line is composed or refused, and what is composed the kernel reads as given', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '=', '-', ' ', '"', '\n', '\0', 'ä'), maxLength: 10 });
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 6 }),
      fc.array(word, { maxLength: 2 }),
      (extraArguments, overlayArguments) => {
        let text: string;
        try {
          text = buildCmdline({ ...PLAIN, extraArguments, overlayArguments }).text;
        } catch (error) {
          assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
          return;
        }
        assert.ok(kernelWords(text).every(({ closed }) => closed));
        assert.doesNotMatch(text, /[\0\n]/);
      },
    ),
    { numRuns: FUZZ_RUNS },
  );
});
