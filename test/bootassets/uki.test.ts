/** Unsigned UKIs against upstream's, section for section and header for header. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { SHARING_ALIGNMENT } from '../../src/boot/esp.ts';
import { readKernelVersion } from '../../src/boot/kernel.ts';
import { formatOsRelease } from '../../src/boot/os-release.ts';
import { defaultSplash } from '../../src/boot/splash.ts';
import { buildUki, type UkiParts } from '../../src/boot/uki.ts';
import { readUki } from '../../src/boot/uki-contents.ts';
import { extraUkiProfiles, formatUkiProfile } from '../../src/boot/uki-profiles.ts';
import { ofMemory, slice, zeros } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodePe, sectionContent } from '../../src/formats/pe/image.ts';
import type { Architecture } from '../../src/profiles/profile.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { FUZZ_RUNS, type UpstreamRun, vectorLines } from '../support/vectors.ts';

interface VectorSection {
  readonly name: string;
  readonly vaddr: number;
  readonly vsize: number;
  readonly rawOffset: number;
  readonly rawSize: number;
  readonly characteristics: string;
  readonly sha256: string;
  readonly text?: string;
}

interface Case extends UpstreamRun {
  readonly cmdline: string;
  readonly uki?: {
    readonly timeDateStamp: number;
    readonly sections: readonly VectorSection[];
    readonly headerSha256TimestampZeroed: string;
    readonly size: number;
    readonly optional: { readonly sizeOfHeaders: number; readonly sizeOfImage: number };
  };
}

interface Profile {
  readonly arch: Architecture;
  readonly name?: string;
  readonly version?: string;
  readonly input: Readonly<Record<'kernel' | 'initramfs' | 'sdStub', { readonly path: string }>>;
}

/** Upstream's logo is not ours to store; its size is what the headers know of it. */
const SPLASH = zeros(640138);

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const digests = new Map<Uint8Array, string>();

function inputOf(profile: Profile, name: keyof Profile['input']): Uint8Array {
  return syntheticInput(profile.input[name].path.replace(/^\/syn\//, ''));
}

function profileOf(one: Case): Profile {
  const text = one.profile.replace(/\{\{repeat (.) (\d+)\}\}/g, (_, letter, count) => letter.repeat(Number(count)));
  return parse(text) as Profile;
}

async function partsOf(one: Case): Promise<UkiParts> {
  const profile = profileOf(one);
  const version = profile.version || `v${one.imager}`;
  const kernel = ofMemory(inputOf(profile, 'kernel'));
  return {
    stub: inputOf(profile, 'sdStub'),
    architecture: profile.arch,
    osRelease: formatOsRelease({ name: profile.name ?? '', version }),
    cmdline: one.cmdline,
    // For its own version upstream writes a text compiled in, whatever the kernel says.
    kernelVersion: version === `v${one.imager}` ? textOf(one, '.uname') : await readKernelVersion(kernel),
    splash: SPLASH,
    kernel,
    initramfs: ofMemory(inputOf(profile, 'initramfs')),
    traits: traitsOf(version),
  };
}

function textOf(one: Case, name: string): string | undefined {
  return one.uki?.sections.find((section) => section.name === name)?.text;
}

/** Why ours does otherwise: builds what upstream refuses or crashes on, or refuses what upstream builds. */
function differs(one: Case): 'builds' | 'refuses' | 'moves' | 'not a number' | undefined {
  if (one.id.includes('stub-symtab') || one.id.includes('stub-sbatvbig')) return 'builds';
  if (one.id.includes('wrong-arch') || /^epoch-(-1|4294967296)-/.test(one.id)) return 'refuses';
  if (one.id.includes('stub-unsorted')) return 'moves';
  // The text of SOURCE_DATE_EPOCH is read elsewhere.
  if (one.errorLine?.includes('SOURCE_DATE_EPOCH') === true) return 'not a number';
  return undefined;
}

async function checkSame(one: Case, parts: UkiParts): Promise<void> {
  const uki = one.uki!;
  const layout = buildUki(parts, { timestamp: Number(one.sourceDateEpoch) });
  assert.equal(layout.bytes.size, uki.size, one.id);
  assert.deepEqual(
    layout.sections,
    uki.sections.map(({ name, vaddr, vsize, rawOffset, rawSize }) => ({
      name,
      offset: rawOffset,
      size: vsize,
      rawSize,
      virtualAddress: vaddr,
    })),
    one.id,
  );
  const headers = await read(slice(layout.bytes, 0, uki.optional.sizeOfHeaders));
  assert.equal(Buffer.from(headers).readUInt32LE(0x88), uki.timeDateStamp, one.id);
  headers.fill(0, 0x88, 0x8c);
  assert.equal(sha256(headers), uki.headerSha256TimestampZeroed, one.id);
  for (const [index, section] of uki.sections.entries()) {
    if (section.name === '.splash') continue;
    const { offset, size, rawSize } = layout.sections[index]!;
    const content = slice(layout.bytes, offset, offset + Math.min(size, rawSize));
    assert.equal(await contentDigest(content), section.sha256, `${one.id} ${section.name}`);
  }
}

/** Kernel and initramfs are the same memory in all cases, so each is hashed once. */
async function contentDigest(content: ReturnType<typeof slice>): Promise<string> {
  const [extent] = content.extents;
  if (content.extents.length !== 1 || extent?.kind !== 'memory') return sha256(await read(content));
  const whole = content.size > 65536 ? extent.data : undefined;
  const known =
    whole &&
    [...digests].find(
      ([data]) => data.buffer === whole.buffer && data.byteOffset === whole.byteOffset && data.length === whole.length,
    );
  if (known) return known[1];
  const digest = sha256(extent.data);
  if (whole) digests.set(whole, digest);
  return digest;
}

test('unsigned UKIs are upstream’s but for the picture', async () => {
  const counts = { same: 0, refused: 0, builds: 0, refuses: 0, moves: 0, 'not a number': 0 };
  for (const one of vectorLines<Case>('uki/uki-unsigned.jsonl.gz')) {
    const parts = await partsOf(one);
    const build = () => buildUki(parts, { timestamp: Number(one.sourceDateEpoch) });
    const difference = differs(one);
    if (difference === 'builds') {
      assert.notEqual(one.rc, 0, one.id);
      assert.ok(build().bytes.size > 0, one.id);
    } else if (difference === 'refuses') {
      assert.equal(one.rc, 0, one.id);
      assert.throws(build, { code: 'invalid-input' }, one.id);
    } else if (difference === 'moves') {
      const got = build().sections.map(({ name, offset, size }) => [name, offset, size]);
      assert.deepEqual(
        got,
        one.uki!.sections.map(({ name, rawOffset, vsize }) => [name, rawOffset, vsize]),
        one.id,
      );
    } else if (difference === undefined && one.rc !== 0) {
      assert.throws(build, { name: 'ImagerError', code: /^(invalid-input|unsupported)$/ }, one.id);
    } else if (difference === undefined) {
      await checkSame(one, parts);
    }
    counts[difference ?? (one.rc === 0 ? 'same' : 'refused')]++;
  }
  assert.deepEqual(counts, { same: 125, refused: 12, builds: 3, refuses: 6, moves: 1, 'not a number': 6 });
});

async function plainParts(changes: Partial<UkiParts> = {}): Promise<UkiParts> {
  const kernel = ofMemory(syntheticInput('kernel-a'));
  return {
    stub: syntheticInput('stub-a.efi'),
    architecture: 'amd64',
    osRelease: formatOsRelease({ name: '', version: 'v1.13.0' }),
    cmdline: 'talos.platform=metal',
    kernelVersion: await readKernelVersion(kernel),
    kernel,
    initramfs: ofMemory(syntheticInput('initramfs-a')),
    traits: traitsOf('v1.13.0'),
    ...changes,
  };
}

test('sections never overlap in memory, whatever the order of the stub’s table', async () => {
  for (const stub of ['stub-unsorted.efi', 'stub-bss.efi', 'stub-vsbig.efi', 'stub-sbatvbig.efi']) {
    const { sections } = buildUki(await plainParts({ stub: syntheticInput(stub) }), { timestamp: 0 });
    const sorted = [...sections].sort((a, b) => a.virtualAddress - b.virtualAddress);
    for (const [index, { virtualAddress }] of sorted.entries()) {
      const before = sorted[index - 1];
      assert.ok(before === undefined || before.virtualAddress + before.size <= virtualAddress, stub);
    }
  }
});

test('sharing alignment pads raw sizes, leaves no gap and moves nothing in memory', async () => {
  const profiles = extraUkiProfiles('iso', 'talos.platform=metal');
  for (const initramfs of ['initramfs-a', 'initramfs-512', 'initramfs-empty']) {
    const parts = await plainParts({ initramfs: ofMemory(syntheticInput(initramfs)), extraProfiles: profiles });
    const plain = buildUki(parts, { timestamp: 1 });
    const shared = buildUki(parts, { timestamp: 1, sharingAlignment: SHARING_ALIGNMENT });
    for (const name of ['.linux', '.initrd']) {
      const section = shared.sections.find((one) => one.name === name)!;
      assert.equal(section.offset % 65536, 0, name);
    }
    for (const [index, section] of shared.sections.entries()) {
      const { name, size, virtualAddress } = plain.sections[index]!;
      assert.deepEqual([section.name, section.size, section.virtualAddress], [name, size, virtualAddress]);
      assert.ok(section.rawSize % 512 === 0);
      assert.equal(section.offset + section.rawSize, shared.sections[index + 1]?.offset ?? shared.bytes.size);
    }
    const [a, b] = await Promise.all([readUki(plain.bytes), readUki(shared.bytes)]);
    assert.deepEqual(await read(b.kernel), await read(a.kernel));
    assert.deepEqual(await read(b.initramfs), await read(a.initramfs));
  }
});

test('kernel and initramfs are referred to, not copied', async () => {
  const parts = await plainParts();
  const { bytes } = buildUki(parts, { timestamp: 0 });
  const held = bytes.extents.filter((extent) => extent.kind === 'memory').map((extent) => extent.data.buffer);
  for (const content of [parts.kernel, parts.initramfs]) {
    const [extent] = content.extents;
    assert.ok(extent?.kind === 'memory' && held.includes(extent.data.buffer));
  }
});

test('what goes in comes out, profiles too', async () => {
  const cmdline = 'talos.platform=metal console=tty0';
  const extraProfiles = [...extraUkiProfiles('image', cmdline), { id: 'plain' }];
  const parts = await plainParts({ cmdline, extraProfiles });
  const { bytes, sections } = buildUki(parts, { timestamp: 0 });
  assert.deepEqual(
    sections.map(({ name }) => name).join(' '),
    '.text .rodata .sbat .reloc .osrel .cmdline .uname .splash .linux .initrd .profile .profile .cmdline .profile',
  );
  const uki = await readUki(bytes);
  assert.equal(uki.cmdline, cmdline);
  assert.equal(uki.osRelease, parts.osRelease);
  assert.equal(uki.kernelVersion, '6.18.44-synthetic');
  assert.deepEqual(uki.profiles, [
    { id: 'main' },
    {
      id: 'reset-maintenance',
      title: 'Reset to maintenance mode',
      cmdline: `${cmdline} talos.experimental.wipe=system:EPHEMERAL,STATE`,
    },
    { id: 'plain' },
  ]);
  assert.deepEqual(await read(uki.kernel), new Uint8Array(syntheticInput('kernel-a')));
  assert.deepEqual(await read(uki.initramfs), new Uint8Array(syntheticInput('initramfs-a')));
});

test('a version without profiles has none', async () => {
  const parts = await plainParts({ traits: traitsOf('v1.9.0'), extraProfiles: extraUkiProfiles('iso', 'x') });
  const { bytes, sections } = buildUki(parts, { timestamp: 0 });
  assert.ok(!sections.some(({ name }) => name === '.profile'));
  assert.deepEqual((await readUki(bytes)).profiles, [{ id: 'main' }]);
});

test('profiles by output kind', () => {
  assert.deepEqual(extraUkiProfiles('iso', 'a b'), [
    { id: 'reset', title: 'Reset system disk', cmdline: 'a b talos.experimental.wipe=system' },
  ]);
  assert.equal(extraUkiProfiles('installer', 'a')[0]!.id, 'reset-maintenance');
  assert.deepEqual(extraUkiProfiles('uki', 'a'), []);
  assert.equal(formatUkiProfile({ id: 'a', title: 'B c' }), 'ID=a\nTITLE=B c');
});

test('errors name the thing, the value and the wish', async () => {
  const build = async (changes: Partial<UkiParts>, timestamp = 0) => buildUki(await plainParts(changes), { timestamp });
  await assert.rejects(build({ stub: syntheticInput('stub-arm64.efi') }), {
    message: 'UEFI stub: for arm64, want amd64',
  });
  await assert.rejects(build({ stub: syntheticInput('stub-badmachine.efi') }), {
    message: 'UEFI stub: for machine 0x1234, want amd64',
  });
  await assert.rejects(build({ stub: syntheticInput('stub-nosbat.efi') }), /no \.sbat section/);
  await assert.rejects(build({ stub: syntheticInput('stub-pe32.efi') }), {
    message: 'UEFI stub: a 32-bit PE file, want PE32+',
  });
  await assert.rejects(build({ stub: syntheticInput('stub-text.efi') }), /want it to begin with "MZ"/);
  await assert.rejects(build({ stub: syntheticInput('stub-trunc-body.efi') }), /reaches past the file's 7424 bytes/);
  await assert.rejects(build({}, 2 ** 32), { message: 'PE timestamp 4294967296: want whole seconds in 0..4294967295' });
  await assert.rejects(build({}, 1.5), /want whole seconds/);
  await assert.rejects(build({ traits: traitsOf('v1.4.8') }), { code: 'unsupported' });
  await assert.rejects(build({ extraProfiles: [{ id: 'main' }] }), {
    message: 'UKI profile "main": want an id of its own, other than main',
  });
  await assert.rejects(build({ extraProfiles: [{ id: 'a' }, { id: 'a' }] }), /id of its own/);
  await assert.rejects(build({ extraProfiles: [{ id: 'a\nTITLE=b' }] }), /control characters/);
  await assert.rejects(build({ kernel: zeros(2 ** 32) }), /want less than 4 GiB/);
  await assert.rejects(readUki(ofMemory(syntheticInput('stub-a.efi'))), { message: 'UKI: no .linux section' });
});

test('a long-named section is cut, and refused where the cut name means something', async () => {
  const stub = syntheticInput('stub-a.efi');
  const table = 0xc0 + 24 + 240;
  const strings = Buffer.from('\0\0\0\0.eh_frame_hdr\0.profiles\0', 'latin1');
  strings.writeUInt32LE(strings.length);
  const build = async (name: string) => {
    const file = Buffer.concat([stub, strings]);
    file.writeUInt32LE(stub.length, 0xc0 + 12);
    file.fill(0, table, table + 8);
    file.write(name, table, 'latin1');
    assert.equal(decodePe(file, 'x').sections[0]!.name, name);
    return buildUki(await plainParts({ stub: file }), { timestamp: 0 });
  };
  assert.equal((await build('/4')).sections[0]!.name, '.eh_fram');
  await assert.rejects(build('/18'), {
    message: 'UEFI stub: section name .profiles would become .profile, which is added too',
  });
  await assert.rejects(build('/99'), /outside the string table of 28 bytes/);
});

test('the default picture is a BMP that systemd-stub accepts, and stays as it is', async () => {
  const data = Buffer.from(await read(defaultSplash()));
  assert.equal(data.toString('latin1', 0, 2), 'BM');
  assert.equal(data.readUInt32LE(2), data.length);
  const [offset, info, width, height] = [10, 14, 18, 22].map((at) => data.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ];
  assert.equal(data.readUInt16LE(28), 4);
  assert.equal(data.readUInt32LE(30), 0);
  assert.equal(offset, 14 + info + 4 * 16);
  assert.equal(data.length - offset, Math.ceil((width * 4) / 32) * 4 * height);
  assert.ok(data.length < 32 * 1024);
  assert.equal(sha256(data), '31ede367b832c310458e639bf0dfc3ffb8c054a023faeef20848b3be5ba1e4c7');
});

test('sections of an image in memory have their exact size', async () => {
  const image = decodePe(syntheticInput('stub-sbatvbig.efi'), 'x');
  const sbat = image.sections.find(({ name }) => name === '.sbat')!;
  assert.equal(sectionContent(sbat).size, 0x400);
  assert.equal(sbat.raw.size, 0x200);
});

test('fuzz: a damaged UKI is read or refused', async () => {
  const tiny = await plainParts({ kernel: ofMemory(Buffer.from('k')), initramfs: ofMemory(Buffer.from('i')) });
  const whole = Buffer.from(await read(buildUki({ ...tiny, splash: zeros(0) }, { timestamp: 0 }).bytes));
  const change = fc.tuple(fc.oneof(fc.nat(0x400), fc.nat(whole.length - 1)), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 5 }), async (changes) => {
      const data = Buffer.from(whole);
      for (const [at, byte] of changes) data[at] = byte;
      try {
        const { cmdline, profiles } = await readUki(ofMemory(data));
        assert.ok(cmdline.length <= 65536 && profiles.length > 0);
      } catch (error) {
        assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
      }
    }),
    { numRuns: FUZZ_RUNS },
  );
});
