/** Profile documents that are wrong: where, what, and what is wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exitCodeOf, ImagerError } from '../../src/errors.ts';
import { BUILT_IN_PROFILES } from '../../src/profiles/built-in.ts';
import { completeProfile } from '../../src/profiles/complete.ts';
import { dumpProfile } from '../../src/profiles/dump.ts';
import { type ParseProfileOptions, parseOverlayOptions, parseProfile } from '../../src/profiles/parse.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { TypedScalar } from '../../src/yaml/value.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

function errorOf(text: string, options: ParseProfileOptions = {}): ImagerError {
  try {
    parseProfile(text, options);
  } catch (error) {
    assert.ok(error instanceof ImagerError, String(error));
    return error;
  }
  return assert.fail(`read without an error: ${text}`);
}

/** The lines that tell a problem, without excerpts and hints. */
function problems(text: string, options: ParseProfileOptions = {}): string[] {
  return errorOf(text, options)
    .message.split('\n')
    .filter((line) => /^[^ ]+:\d+:\d+: /.test(line));
}

test('unknown fields name line, column and the field that was meant', () => {
  const text = 'archh: amd64\noutput:\n  imageOption:\n    diskSize: 5\nextraKernelArgs: [a]\n';
  const error = errorOf(text, { file: '<stdin>' });
  assert.equal(exitCodeOf(error), 2);
  assert.deepEqual(
    problems(text, { file: '<stdin>' }).map((line) => line.replace(/: want .*/, '')),
    [
      '<stdin>:1:1: unknown field "archh"',
      '<stdin>:3:3: output: unknown field "imageOption"',
      '<stdin>:5:1: unknown field "extraKernelArgs"',
    ],
  );
  assert.match(error.message, /hint: did you mean arch\?/);
  assert.match(error.message, /hint: did you mean imageOptions\?/);
  assert.match(error.message, /hint: did you mean customization\.extraKernelArgs\?/);
});

test('unknown fields at every depth: in list items and in groups that are optional', () => {
  const text = 'customization: {metaContents: [{key: 10, valeu: x}]}\noverlay: {image: {imageref: x}}\n';
  assert.deepEqual(
    problems(text).map((line) => line.replace(/: want .*/, '')),
    [
      'profile:1:42: customization.metaContents[0]: unknown field "valeu"',
      'profile:2:19: overlay.image: unknown field "imageref"',
    ],
  );
});

test('unknown fields below overlay.options are none', () => {
  const { profile } = parseProfile('overlay: {options: {board: 1, a: {b: c}}}\n');
  assert.deepEqual(profile.overlay?.options, { board: 1, a: { b: 'c' } });
});

test('lenient reading warns, or says nothing', () => {
  const text = 'board: x\nfoo: 1\narch: amd64\n---\nmore: 1\n';
  const warned = parseProfile(text, { unknownFields: 'warn', file: 'rpi.yaml' });
  assert.equal(warned.profile.arch, 'amd64');
  assert.deepEqual(
    warned.warnings.map((line) => line.slice(0, 30)),
    ['rpi.yaml:2:1: unknown field "foo', 'rpi.yaml:1:1: board: boards are', 'rpi.yaml:5:1: a second document'].map(
      (line) => line.slice(0, 30),
    ),
  );
  assert.deepEqual(parseProfile(text, { unknownFields: 'ignore' }).warnings, []);
});

test('a retired key is unsupported, beside real mistakes the document is invalid', () => {
  const error = errorOf('arch: arm64\nboard: rpi_generic\n');
  assert.equal(exitCodeOf(error), 3);
  assert.match(error.message, /^profile:2:1: board: .*since Talos 1\.13.*overlay/);
  assert.match(error.hint!, /overlay\.name/);
  assert.equal(exitCodeOf(errorOf('board: rpi_generic\narch: [a]\n')), 2);
  assert.deepEqual(
    problems('output: {board: x}\n').map((line) => line.replace(/: want .*/, '')),
    ['profile:1:10: output: unknown field "board"'],
  );
});

test('values of the wrong type: all at once, each with its place and wish', () => {
  const text = `
version: 2020-01-01
secureboot: 1
customization:
  metaContents:
    - key: "10"
    - key: 256
    - 5
output: {kind: isoo, outFormat: xz, imageOptions: {diskSize: -5, bootloader: [grub]}}
input: x
overlay: {options: [a]}
`;
  assert.deepEqual(problems(text), [
    'profile:2:10: version: 2020-01-01: want text',
    'profile:3:13: secureboot: 1: want true or false',
    'profile:6:12: customization.metaContents[0].key: "10": want an integer, 0 to 255',
    'profile:7:12: customization.metaContents[1].key: 256: want an integer, 0 to 255',
    'profile:8:7: customization.metaContents[2]: 5: want a mapping',
    'profile:9:16: output.kind: isoo: want iso, image, installer, kernel, initramfs, uki, cmdline',
    'profile:9:33: output.outFormat: xz: want raw, .tar.gz, .xz, .gz, .zst',
    'profile:9:62: output.imageOptions.diskSize: -5: want an integer, 0 to 9007199254740991',
    'profile:9:78: output.imageOptions.bootloader: a list: want none, dual-boot, sd-boot, grub',
    'profile:10:8: input: x: want a mapping',
    'profile:11:20: overlay.options: a list: want a mapping',
  ]);
  assert.match(errorOf(text).message, /hint: put the date in quotes/);
  assert.match(errorOf(text).message, /hint: did you mean \.xz\?/);
});

test('an empty document is an error, an empty value is not', () => {
  for (const text of ['', '\n', '# nothing\n']) {
    assert.match(errorOf(text).message, /^profile: empty/);
    assert.equal(exitCodeOf(errorOf(text)), 2);
  }
  for (const text of ['---\n', 'null\n', '~', '{}']) assert.equal(parseProfile(text).profile.output.kind, 'unknown');
  assert.match(errorOf('foo').message, /^profile:1:1: foo: want a mapping/);
});

test('null leaves every kind of field unset', () => {
  const text =
    'arch: ~\nsecureboot: ~\ncustomization: {extraKernelArgs: ~, metaContents: [~]}\n' +
    'overlay: ~\ninput: {baseInstaller: {forceInsecure: ~}}\noutput: {kind: ~, imageOptions: {diskSize: ~}}\n';
  const { profile } = parseProfile(text);
  assert.equal(profile.secureboot, null);
  assert.equal(profile.overlay, null);
  assert.deepEqual(profile.customization.metaContents, []);
  assert.equal(profile.output.imageOptions?.diskSize, 0);
});

test('overlay options from a file keep their types', () => {
  const options = parseOverlayOptions('a: 1\nb: {c: [d, 1.5, 2024-01-02]}\n2: x\n~: y\n', 'o.yaml');
  assert.deepEqual(options, {
    a: 1,
    b: { c: ['d', new TypedScalar('float', '1.5'), new TypedScalar('timestamp', '2024-01-02T00:00:00Z')] },
    2: 'x',
  });
  assert.deepEqual(parseOverlayOptions('null', 'o.yaml'), {});
  for (const text of ['', '- a\n', 'a: !!int x\n', '2024-01-02: a\n']) {
    assert.throws(() => parseOverlayOptions(text, 'o.yaml'), /^ImagerError: o\.yaml/);
  }
});

test('what is dumped reads back as the same profile', () => {
  for (const [name, given] of BUILT_IN_PROFILES) {
    const builtIn = completeProfile(given);
    assert.deepEqual(parseProfile(dumpProfile(builtIn)).profile, builtIn, name);
  }
});

const seeds = vectorLines<{ profile?: object; profileText?: string }>('profiles/validation.jsonl.gz').map(
  ({ profile, profileText }) => profileText ?? JSON.stringify(profile),
);

test('no document makes anything but an ImagerError, or takes long', () => {
  const piece = fc.constantFrom(
    ...seeds.flatMap((seed) => seed.split('\n')).slice(0, 300),
    ...[
      '&a ',
      '*a',
      '<<: ',
      '!!int ',
      '!!binary x',
      '- ',
      '? ',
      ': ',
      '\t',
      '|',
      '>',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      '...',
      '---',
      '~',
    ],
    ...[
      '__proto__: {a: 1}',
      'constructor: 1',
      'toString: x',
      '0x',
      '1e999',
      '.nan',
      '18446744073709551616',
      '\u2028',
      '\0',
    ],
  );
  const edit = fc.record({ at: fc.nat(), remove: fc.nat({ max: 12 }), insert: piece });
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map(([seed, edits]) => {
      let text = seed;
      for (const { at, remove, insert } of edits) {
        const from = at % (text.length + 1);
        text = text.slice(0, from) + insert + text.slice(from + remove);
      }
      return text;
    });
  fc.assert(
    fc.property(mutated, fc.constantFrom('refuse', 'warn', 'ignore'), (text, unknownFields) => {
      const start = performance.now();
      try {
        const { profile } = parseProfile(text, { unknownFields });
        dumpProfile(finaliseProfile(resolveProfile(profile)));
      } catch (error) {
        assert.ok(error instanceof ImagerError, `${JSON.stringify(text)}: ${(error as Error).stack}`);
      }
      assert.ok(performance.now() - start < 5000, `took long: ${JSON.stringify(text)}`);
    }),
    { numRuns: FUZZ_RUNS, seed: 11 },
  );
});
