/** From given profile to final profile: bases, merging, defaults, checks, names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exitCodeOf, ImagerError } from '../../src/errors.ts';
import { knownPlatform, PLATFORM_NAMES } from '../../src/machineconfig/platform.ts';
import { BUILT_IN_PROFILE_NAMES, BUILT_IN_PROFILES } from '../../src/profiles/built-in.ts';
import { completeProfile } from '../../src/profiles/complete.ts';
import { DEFAULT_TALOS_VERSION, ENROLMENT_FILES } from '../../src/profiles/defaults.ts';
import { dumpProfile } from '../../src/profiles/dump.ts';
import { mergeProfiles } from '../../src/profiles/merge.ts';
import { artifactFileName, outputFileName } from '../../src/profiles/output-name.ts';
import { type GivenProfile, OUTPUT_KINDS, type Profile } from '../../src/profiles/profile.ts';
import { type FinalProfile, finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { UKI_PROFILES } from '../../src/profiles/uki-profiles.ts';
import { TypedScalar, type YamlMapping } from '../../src/yaml/value.ts';

function final(given: GivenProfile, files: readonly string[] = []): FinalProfile {
  return finaliseProfile(resolveProfile(given), { existingSecureBootFiles: new Set(files) });
}

function refusal(given: GivenProfile): { message: string; hint: string | undefined; exit: number } {
  try {
    final(given);
  } catch (error) {
    assert.ok(error instanceof ImagerError, String(error));
    return { message: error.message, hint: error.hint, exit: exitCodeOf(error) };
  }
  return assert.fail(`accepted: ${JSON.stringify(given)}`);
}

const ISO: GivenProfile = { arch: 'amd64', platform: 'metal', output: { kind: 'iso', outFormat: 'raw' } };

test('every built-in profile can be finalised on both architectures', () => {
  assert.equal(BUILT_IN_PROFILE_NAMES.length, 32);
  for (const baseProfileName of BUILT_IN_PROFILE_NAMES) {
    for (const arch of ['amd64', 'arm64']) {
      const profile = final({ baseProfileName, arch });
      assert.equal(profile.version, DEFAULT_TALOS_VERSION);
      assert.equal(profile.baseProfileName, '');
      assert.deepEqual(profile.warnings, []);
    }
  }
});

test('an unknown base profile gets the nearest name, of built-in ones and of the overlay', () => {
  assert.deepEqual(refusal({ baseProfileName: 'metall' }).hint, 'did you mean metal?');
  const overlayProfiles = new Map([['rpi_generic', ISO]]);
  assert.throws(() => resolveProfile({ baseProfileName: 'rpi-generic' }, { overlayProfiles }), {
    message: /^base profile "rpi-generic": want one of rpi_generic, iso, /,
    hint: 'did you mean rpi_generic?',
  });
  for (const name of ['__proto__', 'constructor', 'toString']) assert.equal(refusal({ baseProfileName: name }).exit, 2);
});

test('an overlay’s profile comes before the built-in one of its name, and its own base counts for nothing', () => {
  const overlayProfiles = new Map<string, GivenProfile>([['metal', { ...ISO, baseProfileName: 'aws' }]]);
  const profile = resolveProfile({ baseProfileName: 'metal' }, { overlayProfiles });
  assert.equal(profile.output.kind, 'iso');
  assert.equal(profile.platform, 'metal');
});

test('finalising twice does not grow the disk', () => {
  const once = final({ baseProfileName: 'metal', arch: 'amd64', version: 'v1.13.0' });
  assert.equal(once.output.imageOptions?.diskSize, 4453302272);
  assert.equal(finaliseProfile(once), once);
});

test('disk sizes grow by what the boot partitions of the version need', () => {
  const size = (version: string, arch: string, baseProfileName = 'metal'): number | undefined =>
    final({ baseProfileName, arch, version }).output.imageOptions?.diskSize;
  assert.equal(size('1.9.0', 'amd64'), 1306525696);
  assert.equal(size('1.10.0', 'amd64'), 2356150272);
  assert.equal(size('1.10.0', 'arm64'), 1306525696);
  assert.equal(size('1.11.0', 'arm64'), 2355101696);
  assert.equal(size('1.11.0', 'amd64'), 4453302272);
  assert.equal(size('latest', 'amd64'), 2355101696);
  assert.equal(size('1.11.0', 'amd64', 'exoscale'), 13884194816);
});

test('enrolment files are filled in only where they exist, and never over what was given', () => {
  const given = { baseProfileName: 'secureboot-iso', arch: 'amd64' };
  assert.equal(final(given).input.secureboot?.platformKeyPath, '');
  const all = final(given, Object.values(ENROLMENT_FILES)).input.secureboot!;
  assert.deepEqual(
    [all.platformKeyPath, all.keyExchangeKeyPath, all.signatureKeyPath],
    ['/secureboot/PK.auth', '/secureboot/KEK.auth', '/secureboot/db.auth'],
  );
  const own = final({ ...given, input: { secureboot: { platformKeyPath: '/pk' } } }, [ENROLMENT_FILES.platformKeyPath]);
  assert.equal(own.input.secureboot?.platformKeyPath, '/pk');
  assert.equal(own.input.secureboot?.secureBootSigner.keyPath, '/secureboot/uki-signing-key.pem');
  const signer = { signerAddress: 'localhost:1' };
  const remote = final({ ...given, input: { secureboot: { secureBootSigner: signer } } }).input.secureboot!;
  assert.equal(remote.secureBootSigner.keyPath, '');
  assert.equal(remote.pcrSigner.keyPath, '/secureboot/pcr-signing-key.pem');
});

test('what cannot be built is refused before anything is pulled, with upstream’s exit codes', () => {
  const image = { ...ISO, output: { kind: 'image', outFormat: 'raw' } } as const;
  const options = { diskSize: 1306525696, diskFormat: 'raw' } as const;
  const cases: readonly (readonly [GivenProfile, RegExp, number])[] = [
    [{ ...ISO, arch: 'x86_64' }, /^arch "x86_64": want amd64 or arm64$/, 2],
    [{ ...ISO, arch: '' }, /^arch: missing/, 2],
    [{ ...ISO, platform: '' }, /^platform: missing/, 2],
    [{ ...ISO, platform: 'Metal' }, /^platform "Metal": want one of akamai, /, 2],
    [{ ...ISO, secureboot: true, version: '1.4.9' }, /^secureboot with Talos "1\.4\.9": want 1\.5\.0 or later$/, 2],
    [{ ...ISO, output: {} }, /^output\.kind: missing/, 2],
    [{ ...ISO, output: { kind: 'iso' } }, /^output\.outFormat: missing/, 2],
    [{ ...ISO, output: { kind: 'uki', outFormat: 'raw' }, version: '1.4.9' }, /^UKI output with Talos "1\.4\.9"/, 3],
    [image, /^output\.imageOptions\.diskSize: missing/, 2],
    [{ ...image, version: '1.9.0' }, /^output\.imageOptions\.diskSize: missing/, 2],
    [{ ...image, output: { ...image.output, imageOptions: { diskSize: 1 } } }, /diskFormat: missing/, 3],
    [
      { ...image, output: { ...image.output, imageOptions: { ...options, diskSectorSize: 2048 } } },
      /2048: want 512/,
      2,
    ],
    [{ ...ISO, output: { kind: 'kernel', outFormat: 'raw' }, secureboot: true }, /^secureboot for kernel output/, 2],
    [{ ...ISO, overlay: { name: 'a/../../b' } }, /^overlay\.name "a\/\.\.\/\.\.\/b": want a name below/, 2],
    [{ ...ISO, customization: { metaContents: [{ key: 0, value: 'x' }] } }, /metaContents\[0\]\.key 0x0/, 2],
  ];
  for (const [given, message, exit] of cases) {
    const refused = refusal(given);
    assert.match(refused.message, message);
    assert.equal(refused.exit, exit, refused.message);
  }
  assert.equal(refusal({ ...ISO, arch: 'x86_64' }).hint, 'did you mean amd64?');
});

test('what can be built but may surprise is told', () => {
  const old = final({
    ...ISO,
    version: '1.6.0',
    overlay: { name: 'x' },
    customization: { embeddedMachineConfiguration: 'a: b' },
  });
  assert.equal(old.warnings.length, 2);
  const signed = final({
    ...ISO,
    version: '1.13.0',
    secureboot: true,
    output: { ...ISO.output, isoOptions: { bootloader: 'grub' } },
  });
  assert.deepEqual(signed.warnings, ['secure boot needs sd-boot: the bootloader grub is not used']);
  assert.equal(signed.output.isoOptions?.bootloader, 'sd-boot');
});

test('profiles from programs: unknown fields and wrong values are refused by name', () => {
  const refuse = (given: unknown, message: RegExp): void =>
    assert.throws(() => completeProfile(given as GivenProfile), { name: 'ImagerError', message });
  refuse({ outptu: {} }, /^outptu: unknown field: want baseProfileName, arch/);
  refuse({ output: { kind: 'ISO' } }, /^output\.kind: "ISO": want iso, image/);
  refuse({ output: { imageOptions: { diskSize: -1 } } }, /^output\.imageOptions\.diskSize: "-1": want an integer/);
  refuse({ output: { imageOptions: { diskSize: 1.5 } } }, /diskSize: "1\.5": want an integer/);
  refuse({ customization: { extraKernelArgs: 'x' } }, /^customization\.extraKernelArgs: "x": want a list/);
  refuse({ customization: { metaContents: [{ key: 256 }] } }, /^customization\.metaContents\[0\]\.key: "256"/);
  refuse({ overlay: [] }, /^overlay: a list: want a mapping/);
  refuse([], /^profile: a list: want a mapping/);
  assert.deepEqual(completeProfile({ overlay: null, output: undefined }), completeProfile({}));
});

function withOptions(options: YamlMapping): Profile {
  return completeProfile({ overlay: { options } });
}

function mergedOptions(base: YamlMapping, given: YamlMapping): YamlMapping | undefined {
  return mergeProfiles(withOptions(base), withOptions(given)).overlay?.options;
}

test('overlay options: zero keeps the base, types must agree, null is nothing', () => {
  assert.deepEqual(mergedOptions({ a: 1, b: 'x', c: true, d: [1] }, { a: 0, b: '', c: false, d: [2] }), {
    a: 1,
    b: 'x',
    c: false,
    d: [1, 2],
  });
  assert.deepEqual(mergedOptions({ a: { b: { c: 1 } } }, { a: { b: { d: 2 } } }), { a: { b: { c: 1, d: 2 } } });
  assert.deepEqual(mergedOptions({ a: 1, b: null }, { a: null, b: 2 }), { a: 1, b: 2 });
  const zero = new TypedScalar('float', '0');
  assert.deepEqual(mergedOptions({ a: 1.5 }, { a: zero }), { a: 1.5 });
  const message = /^overlay option a\.b: float over integer: want the same type as in the base profile$/;
  assert.throws(() => mergedOptions({ a: { b: 1 } }, { a: { b: 1.5 } }), { code: 'invalid-input', message });
  assert.throws(() => mergedOptions({ a: 1 }, { a: 2n ** 63n }), /unsigned integer over integer/);
  assert.throws(() => mergedOptions({ a: {} }, { a: [] }), /list over mapping/);
});

test('overlay options with keys that are no text are merged by type and value', () => {
  const base = {
    m: new Map<number | string, string>([
      [1, 'a'],
      ['1', 'b'],
    ]),
  };
  const given = { m: new Map<number | string, string>([[1, 'c']]) };
  const merged = mergedOptions(base, given);
  assert.ok(dumpProfile(withOptions(merged!)).includes('    m:\n      1: c\n      "1": b\noutput:'));
  assert.throws(() => mergedOptions(base, { m: { x: 1 } }), /mapping over mapping with keys that are no text/);
});

test('an empty profile over any other changes nothing but plain flags', () => {
  const flags = (profile: Profile): Profile =>
    JSON.parse(JSON.stringify(profile).replaceAll(/(forceInsecure|WellKnownCerts)":true/g, '$1":false'));
  for (const given of BUILT_IN_PROFILES.values()) {
    const base = completeProfile(given);
    assert.deepEqual(mergeProfiles(base, completeProfile({})), flags(base));
    assert.deepEqual(mergeProfiles(completeProfile({}), base), base);
  }
});

test('plain flags of the given profile win even when nobody set them', () => {
  const base = completeProfile({ input: { baseInstaller: { imageRef: 'x', forceInsecure: true } } });
  const merged = mergeProfiles(base, completeProfile({}));
  assert.deepEqual(merged.input.baseInstaller, { imageRef: 'x', forceInsecure: false, tarballPath: '', ociPath: '' });
});

test('file names by kind', () => {
  const name = (given: GivenProfile): string =>
    outputFileName(completeProfile({ arch: 'arm64', platform: 'aws', ...given }));
  const expected: Readonly<Record<string, string>> = {
    iso: 'aws-arm64-secureboot.iso',
    image: 'aws-arm64-secureboot.qcow2',
    installer: 'installer-arm64-secureboot.tar',
    kernel: 'kernel-arm64',
    initramfs: 'initramfs-aws-arm64-secureboot.xz',
    uki: 'aws-arm64-secureboot-uki.efi',
    cmdline: 'cmdline-aws-arm64-secureboot',
  };
  for (const kind of OUTPUT_KINDS.filter((one) => one !== 'unknown')) {
    const output = { kind, imageOptions: { diskFormat: 'qcow2' } } as const;
    assert.equal(name({ secureboot: true, output }), expected[kind]);
    assert.equal(name({ secureboot: null, output }), expected[kind]!.replace('-secureboot', ''));
  }
  const gcp = final({ baseProfileName: 'gcp', arch: 'amd64' });
  assert.equal(artifactFileName(gcp), 'gcp-amd64.raw.tar.gz');
  assert.equal(artifactFileName(final({ baseProfileName: 'iso', arch: 'amd64' })), 'metal-amd64.iso');
});

test('every kind of output says which boot entries its UKI has', () => {
  assert.deepEqual(
    Object.entries(UKI_PROFILES).map(([kind, profiles]) => [kind, profiles.map(({ id }) => id)]),
    [
      ['iso', ['reset']],
      ['image', ['reset-maintenance']],
      ['installer', ['reset-maintenance']],
      ['uki', []],
      ['kernel', []],
      ['initramfs', []],
      ['cmdline', []],
    ],
  );
});

test('platforms go by the name Talos uses', () => {
  assert.equal(knownPlatform('packet'), 'equinixMetal');
  assert.equal(knownPlatform('METAL'), undefined);
  assert.equal(knownPlatform('toString'), undefined);
  for (const name of PLATFORM_NAMES) assert.equal(knownPlatform(name), name);
});

test('merging is the same whatever is read between: left to right, lists in order', () => {
  const given = fc.record(
    {
      name: fc.constantFrom('', 'a', 'b'),
      secureboot: fc.constantFrom(null, true, false),
      customization: fc.record({ extraKernelArgs: fc.array(fc.constantFrom('x', 'y'), { maxLength: 2 }) }),
      output: fc.record({
        kind: fc.constantFrom('unknown', 'iso', 'image'),
        imageOptions: fc.constantFrom(null, { diskSize: 5 }, {}),
      }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(given, given, given, (a, b, c) => {
      const [first, second, third] = [a, b, c].map((one) => completeProfile(one as GivenProfile)) as [
        Profile,
        Profile,
        Profile,
      ];
      const left = mergeProfiles(mergeProfiles(first, second), third);
      assert.deepEqual(left, mergeProfiles(first, mergeProfiles(second, third)));
    }),
    { numRuns: 200, seed: 5 },
  );
});
