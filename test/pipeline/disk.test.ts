/** Disk images from an imager image: what is decided before anything is fetched, and what the table's row makes of the assets. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Bytes, ofMemory, slice } from '../../src/bytes/bytes.ts';
import { equals, read, readText } from '../../src/bytes/read.ts';
import { MIB } from '../../src/bytes/units.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { knownXfsFeatures } from '../../src/formats/grub/xfs-features.ts';
import { readPe, sectionContent } from '../../src/formats/pe/image.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import { decodeMetaPartition } from '../../src/meta/partition.ts';
import { build } from '../../src/pipeline/build.ts';
import { checkDisk, withSmallestDisk } from '../../src/pipeline/disk-plan.ts';
import { type Plan, planBuild } from '../../src/pipeline/plan.ts';
import type { Workplace } from '../../src/pipeline/workplace.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { fileAt, type Literal, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { skipWithoutGrub } from '../support/grub.ts';
import { writeLayout } from '../support/image.ts';
import {
  assetFiles,
  assetImage,
  type TestWorkplace,
  testRequest,
  testWorkplace,
  untouchablePlatform,
} from '../support/pipeline.ts';

function raw(
  given: GivenProfile = {},
  imageOptions: NonNullable<GivenProfile['output']>['imageOptions'] = {},
): GivenProfile {
  return { baseProfileName: 'metal', arch: 'amd64', ...given, output: { outFormat: 'raw', imageOptions } };
}

describe('planning', () => {
  const nowhere: Workplace = { platform: untouchablePlatform(), store: '/nonexistent', transport: {} };
  const planned = (given: GivenProfile): Promise<Plan> => planBuild(nowhere, testRequest(given), { resolve: false });
  const meta = (key: number, value: string): GivenProfile => ({ customization: { metaContents: [{ key, value }] } });

  const refused: readonly (readonly [string, GivenProfile, ErrorCode, RegExp])[] = [
    [
      'a disk that is too small',
      raw({}, { diskSize: 200_000_000 }),
      'install',
      /^disk of 3346776576 bytes: want at least 4303373312, for EFI 2101 MiB, BIOS/,
    ],
    [
      'META values that are too large',
      raw(meta(12, 'm'.repeat(262_097))),
      'invalid-input',
      /^meta values: 262122 bytes/,
    ],
    ['dual-boot on arm64', raw({ arch: 'arm64' }, { bootloader: 'dual-boot' }), 'unsupported', /dual-boot on arm64/],
    [
      'GRUB with large sectors',
      raw({ version: 'v1.9.0' }, { diskSectorSize: 4096 }),
      'unsupported',
      /grub with sectors of 4096 bytes/,
    ],
    [
      'systemd-boot without UKIs',
      raw({ version: 'v1.4.0' }, { bootloader: 'sd-boot' }),
      'unsupported',
      /sd-boot before Talos 1\.5/,
    ],
  ];
  for (const [name, given, code, message] of refused) {
    test(`refuses ${name}, without touching the machine`, async () => {
      await assert.rejects(planned(given), { code, message });
    });
  }

  test('the smallest disk is one MiB larger than one that is too small', async () => {
    for (const [bootloader, diskSectorSize] of [
      ['dual-boot', 512],
      ['sd-boot', 4096],
    ] as const) {
      const { profile } = testRequest(raw({}, { bootloader, diskSectorSize }));
      const smallest = withSmallestDisk(profile);
      const { diskSize } = smallest.output.imageOptions!;
      assert.equal(diskSize % MIB, 0);
      checkDisk(smallest);
      const smaller = { ...smallest.output.imageOptions!, diskSize: diskSize - MIB };
      assert.throws(() => checkDisk({ ...smallest, output: { ...smallest.output, imageOptions: smaller } }), {
        code: 'install',
      });
    }
    const { profile } = testRequest({ baseProfileName: 'iso' });
    assert.equal(withSmallestDisk(profile), profile);
  });

  test('says what only UEFI starts, and what is replaced', async () => {
    const { warnings } = await planned(raw(meta(17, 'mine'), { diskSectorSize: 4096 }));
    assert.equal(warnings.length, 2, warnings.join('\n'));
    assert.match(warnings[0]!, /sectors of 4096 bytes only UEFI starts the disk/);
    assert.match(warnings[1]!, /META value 0x11 is replaced by dual-boot/);
    const others = [
      raw(meta(17, 'mine'), { bootloader: 'grub' }),
      raw({}, { diskSectorSize: 4096, bootloader: 'sd-boot' }),
    ];
    for (const given of others) assert.deepEqual((await planned(given)).warnings, []);
  });
});

interface Built {
  readonly name: string;
  readonly mediaType: string;
  readonly plan: Plan;
  readonly efi: Tree;
  /** Absent without GRUB. */
  readonly boot: Tree | undefined;
  /** Value by key. */
  readonly meta: Readonly<Record<number, string>>;
}

const ROLES = ['EFI', 'BOOT', 'META'] as const;

async function layoutIn({ directory }: TestWorkplace, grub: readonly string[]): Promise<string> {
  await writeLayout(join(directory, 'layout'), { v1: await assetImage(assetFiles(grub), 'amd64') });
  return `oci:${join(directory, 'layout')}:v1`;
}

async function built(workplace: TestWorkplace, given: GivenProfile, grub: readonly string[]): Promise<Built> {
  const request = testRequest(given, { assets: await layoutIn(workplace, grub) });
  const plan = await planBuild(workplace, request, { resolve: true });
  const { bytes, name, mediaType } = await build(workplace, request, plan);
  const gpt = await decodeGpt(bytes);
  const contents = new Map<string, Bytes>();
  for (const partition of gpt.partitions.values()) {
    const { offset, size } = partitionRange(gpt, partition);
    contents.set(partition.name, slice(bytes, offset, offset + size));
  }
  const [efi, boot, meta] = ROLES.map((role) => contents.get(role));
  const { values } = decodeMetaPartition(await read(meta!));
  return {
    name,
    mediaType,
    plan,
    efi: (await decodeFat(efi!)).tree,
    boot: boot === undefined ? undefined : (await decodeXfs(boot)).tree,
    meta: Object.fromEntries(values.map(({ key, value }) => [key, new TextDecoder().decode(value)])),
  };
}

const FILES = treeOfLiterals(assetFiles());
const asset = (name: string): Bytes => fileAt(FILES, `usr/install/amd64/${name}`)!;

async function assertUki(efi: Tree, { cmdline }: Plan): Promise<void> {
  const uki = await readPe(fileAt(efi, 'EFI/Linux/Talos-v1.12.0.efi')!, 'UKI');
  const texts = async (name: string): Promise<string[]> =>
    Promise.all(
      uki.sections.filter((one) => one.name === name).map((section) => readText(sectionContent(section), name, 4096)),
    );
  assert.deepEqual(await texts('.cmdline'), [cmdline, `${cmdline} talos.experimental.wipe=system:EPHEMERAL,STATE`]);
  assert.match((await texts('.profile'))[1]!, /^ID=reset-maintenance\n/);
}

const VALUES = { customization: { metaContents: [{ key: 12, value: 'x;y' }] } } as const;

test('systemd-boot needs no GRUB, and META has what was given', async () => {
  await using workplace = await testWorkplace();
  const { efi, boot, meta, ...rest } = await built(
    workplace,
    raw({ version: 'v1.12.0', ...VALUES }, { bootloader: 'sd-boot' }),
    [],
  );
  assert.equal(rest.name, 'metal-amd64.raw');
  assert.equal(rest.mediaType, 'application/octet-stream');
  assert.equal(boot, undefined);
  assert.deepEqual(meta, { 12: 'x;y' });
  assert.ok(await equals(fileAt(efi, 'EFI/boot/BOOTX64.efi')!, asset('systemd-boot.efi')));
  await assertUki(efi, rest.plan);
});

test('dual-boot has kernel and initramfs twice, and says so in META', {
  skip: skipWithoutGrub('i386-pc'),
}, async () => {
  await using workplace = await testWorkplace();
  const { efi, boot, meta, plan } = await built(workplace, raw({ version: 'v1.12.0', ...VALUES }), ['i386-pc']);
  assert.deepEqual(meta, { 12: 'x;y', 17: 'dual-boot' });
  await assertUki(efi, plan);
  assert.ok(await equals(fileAt(boot!, 'A/vmlinuz')!, asset('vmlinuz')));
  assert.ok(await equals(fileAt(boot!, 'A/initramfs.xz')!, asset('initramfs.xz')));
  assert.equal((await readdir(join(workplace.store, 'derived'))).length > 0, true, 'the core is kept');
});

test('GRUB has a core for UEFI and nothing of systemd', {
  skip: skipWithoutGrub('i386-pc') || skipWithoutGrub('x86_64-efi'),
}, async () => {
  await using workplace = await testWorkplace();
  const { efi, boot, meta } = await built(workplace, raw({ version: 'v1.9.0' }), ['i386-pc', 'x86_64-efi']);
  assert.deepEqual(meta, {});
  assert.deepEqual([...efi.byPath.keys()], ['', 'EFI', 'EFI/boot', 'EFI/boot/BOOTX64.efi']);
  await readPe(ofMemory(await read(fileAt(efi, 'EFI/boot/BOOTX64.efi')!)), 'GRUB');
  assert.match(await readText(fileAt(boot!, 'grub/grub.cfg')!, 'menu', 4096), /"A - Talos v1\.9\.0"/);
});

test('a GRUB without the platform is refused by its name', async () => {
  await using workplace = await testWorkplace();
  const grub = { 'usr/lib/grub/arm64-efi/moddep.lst': '' };
  await writeLayout(join(workplace.directory, 'layout'), {
    v1: await assetImage({ ...assetFiles(), ...grub }, 'amd64'),
  });
  const request = testRequest(raw(), { assets: `oci:${join(workplace.directory, 'layout')}:v1` });
  const plan = await planBuild(workplace, request, { resolve: true });
  await assert.rejects(build(workplace, request, plan), {
    code: 'dependency',
    message: /^GRUB platform i386-pc: not among arm64-efi$/,
  });
});

describe('what a build finds out about its inputs', () => {
  const warningsOf = async (given: GivenProfile, files: Readonly<Record<string, Literal>>): Promise<string[]> => {
    const warnings: string[] = [];
    await using workplace = await testWorkplace({ onWarning: (text) => warnings.push(text) });
    await writeLayout(join(workplace.directory, 'layout'), { v1: await assetImage(files, 'amd64') });
    const request = testRequest(given, { assets: `oci:${join(workplace.directory, 'layout')}:v1` });
    await build(workplace, request, await planBuild(workplace, request, { resolve: true }));
    return warnings;
  };

  test('a kernel that UEFI cannot start', async () => {
    const kernel = await read(asset('vmlinuz'));
    kernel.fill(0, 0, 2);
    const files = { ...assetFiles(), 'usr/install/amd64/vmlinuz': kernel };
    const uki = raw({}, { bootloader: 'sd-boot' });
    assert.deepEqual(await warningsOf(uki, files), [
      'kernel: a bzImage without an EFI stub, UEFI cannot start it from the UKI',
    ]);
    assert.deepEqual(await warningsOf(uki, assetFiles()), []);
  });

  test('a GRUB that is older than its BOOT partition', { skip: skipWithoutGrub('i386-pc') }, async () => {
    const files = assetFiles(['i386-pc']);
    const knowsAll = ((knownXfsFeatures(files['usr/lib/grub/i386-pc/xfs.mod'] as Uint8Array) ?? 0xff) & 0xc0) === 0xc0;
    const old =
      'GRUB for i386-pc is too old to read the BOOT partition of Talos v1.13.0: it does not know the XFS features exchange and parent';
    assert.deepEqual(await warningsOf(raw({ version: 'v1.13.0' }), files), knowsAll ? [] : [old]);
    assert.deepEqual(await warningsOf(raw({ version: 'v1.12.0' }), files), []);
  });
});
