/** Overlays through the pipeline: whose programs run, what each output kind gets of them, and recorded runs of upstream's imager. */
import assert from 'node:assert/strict';
import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ofMemory, slice } from '../../src/bytes/bytes.ts';
import { read, readText } from '../../src/bytes/read.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { readPe, sectionContent } from '../../src/formats/pe/image.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import { build } from '../../src/pipeline/build.ts';
import { buildInstaller } from '../../src/pipeline/installer-artifact.ts';
import { fetchOverlayProfiles } from '../../src/pipeline/overlay-image.ts';
import { type Plan, planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import { planPxe } from '../../src/pipeline/pxe.ts';
import type { Workplace } from '../../src/pipeline/workplace.ts';
import { completeProfile } from '../../src/profiles/complete.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import type { GivenProfile, OutputKind } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { fileAt, type Literal } from '../../src/tree/tree.ts';
import { skipWithoutGrub } from '../support/grub.ts';
import { testImage, writeLayout } from '../support/image.ts';
import {
  type InstallerCall,
  overlayTree,
  put,
  tinyInstaller,
  withInstaller,
  writeAt,
  writeOverlay,
} from '../support/overlay.ts';
import { assetFiles, assetImage, EPOCH, type TestWorkplace, testRequest, testWorkplace } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';
import { vectorLines } from '../support/vectors.ts';

const BOARD = { 'installers/board': 'program', 'installers/tiny': 'program', 'artifacts/loader.bin': 'loader' };

interface Scene {
  readonly workplace: Workplace;
  readonly calls: readonly InstallerCall[];
  readonly tarball: string;
}

async function scene(
  around: TestWorkplace,
  installer: (call: InstallerCall) => Promise<string> = tinyInstaller,
  files: Readonly<Record<string, Literal>> = BOARD,
): Promise<Scene> {
  const { platform, calls } = withInstaller(around.platform, installer);
  return { workplace: { ...around, platform }, calls, tarball: await writeOverlay(around.directory, files) };
}

const overlayOf = (tarballPath: string, options: object = {}, name = 'board'): Pick<GivenProfile, 'overlay'> => ({
  overlay: { name, image: { tarballPath }, options: options as never },
});

describe('kernel arguments reach every output kind, and give way to the user', () => {
  const kinds: readonly (readonly [OutputKind, GivenProfile])[] = [
    ['iso', {}],
    ['image', { baseProfileName: 'metal', output: { imageOptions: { bootloader: 'sd-boot' } } }],
    ['installer', { baseProfileName: 'installer', input: { baseInstaller: { ociPath: 'base' } } }],
    ...(['uki', 'kernel', 'initramfs', 'cmdline'] as const).map((kind): readonly [OutputKind, GivenProfile] => [
      kind,
      { output: { kind, outFormat: 'raw', isoOptions: null } },
    ]),
  ];
  /** Whose argument, and what comes out. */
  const sources: readonly (readonly [string, GivenProfile, RegExp])[] = [
    ['overlay alone', {}, / console=ttyS9 (?:talos\.halt_if_installed=1 )?board\.arg=1 /],
    [
      'overlay and user',
      { customization: { extraKernelArgs: ['mine=2'] } },
      / console=ttyS9 .*board\.arg=1 .* mine=2$/,
    ],
    [
      'user against overlay',
      { customization: { extraKernelArgs: ['console=tty7', '-board.arg'] } },
      /^(?!.*board\.arg)(?!.*ttyS9).* console=tty7 /,
    ],
  ];
  for (const [kind, given] of kinds) {
    for (const [source, more, expected] of sources) {
      // They have no place for a user's; what a plan shows of the overlay's is for whoever starts them.
      if ((kind === 'kernel' || kind === 'initramfs') && more.customization !== undefined) continue;
      test(`${kind}: ${source}`, async () => {
        await using around = await testWorkplace();
        const { workplace, tarball } = await scene(around);
        const base = { v1: testImage([], { os: 'linux', architecture: 'arm64' }) };
        const layout = join(around.directory, 'base');
        await writeLayout(layout, base);
        await writeLayout(join(around.directory, 'assets'), { v1: await assetImage(assetFiles()) });
        const input = given.input === undefined ? {} : { input: { baseInstaller: { ociPath: `${layout}:v1` } } };
        const options = { args: ['console=ttyS9', 'board.arg=1'] };
        const request = testRequest(
          { ...given, ...input, ...more, platform: 'metal', ...overlayOf(tarball, options) },
          { assets: `oci:${join(around.directory, 'assets')}:v1` },
        );
        assert.equal(request.profile.output.kind, kind);
        const plan = await planBuild(workplace, request, { resolve: true });
        assert.match(plan.cmdline, expected);
        assert.match(plan.inputs.find(({ role }) => role === 'overlay')!.digest!, /^sha256:/);
        if (kind !== 'cmdline' && kind !== 'uki') return;
        const { bytes } = await build(workplace, request, plan);
        if (kind === 'cmdline') assert.equal(await readText(bytes, 'cmdline', 4096), plan.cmdline);
        else {
          const uki = await readPe(bytes, 'UKI');
          const section = uki.sections.find(({ name }) => name === '.cmdline')!;
          assert.equal(await readText(sectionContent(section), 'cmdline', 4096), plan.cmdline);
        }
      });
    }
  }

  test('a network boot', async () => {
    await using around = await testWorkplace();
    const { workplace, tarball, calls } = await scene(around);
    await writeLayout(join(around.directory, 'assets'), { v1: await assetImage(assetFiles()) });
    const request = testRequest(
      { platform: 'metal', ...overlayOf(tarball, { args: ['board.arg=1'] }) },
      { assets: `oci:${join(around.directory, 'assets')}:v1` },
    );
    const plan = await planPxe(workplace, request);
    assert.match(plan.cmdline, / board\.arg=1 /);
    assert.match(plan.script, / board\.arg=1 /);
    assert.ok(
      calls.every(({ command, environment }) => command === 'get-options' && Object.keys(environment).length === 0),
    );
  });
});

describe('whose program runs', () => {
  test('without resolving none, and the plan says what it lacks', async () => {
    await using around = await testWorkplace();
    const { workplace, tarball, calls } = await scene(around);
    const request = testRequest(overlayOf(tarball));
    const plan = await planBuild(workplace, request, { resolve: false });
    assert.deepEqual(calls, []);
    assert.match(plan.warnings.join('\n'), /arguments of the overlay are not in the command line/);
    await assert.rejects(
      build(
        workplace,
        {
          ...request,
          profile: finaliseProfile(completeProfile({ ...plan.profile, output: { kind: 'cmdline', outFormat: 'raw' } })),
        },
        plan,
      ),
      {
        message: /overlay: want it resolved/,
      },
    );
  });

  test('where a caller forbids it none', async () => {
    await using around = await testWorkplace();
    const { workplace, tarball, calls } = await scene(around);
    await assert.rejects(
      planBuild({ ...workplace, overlayPrograms: 'forbidden' }, cmdline(tarball), { resolve: true }),
      { code: 'unsupported', message: /installer program may not run here/ },
    );
    assert.deepEqual(calls, []);
  });

  test('of a registry only one that is verified or allowed', async () => {
    await using around = await testWorkplace();
    const { workplace, calls } = await scene(around);
    const data = await read(layoutTar(overlayTree(BOARD)));
    const image = testImage([{ data }], { os: 'linux', architecture: around.platform.architecture });
    const registry = await startRegistry();
    after(() => registry.close());
    registry.serve('team/board', 'v1', image);
    const profile = {
      ...overlayOf(''),
      overlay: { name: 'board', image: { imageRef: `${registry.host}/team/board:v1` } },
    };
    const request = testRequest({ platform: 'metal', output: { kind: 'cmdline', outFormat: 'raw' }, ...profile });
    const unsigned: Workplace = {
      ...workplace,
      transport: { insecure: true },
      trust: {
        rules: [{ pattern: `${registry.host}/*`, demand: { kind: 'unsigned' }, origin: 'test' }],
        otherwise: [],
      },
    };
    await assert.rejects(planBuild(unsigned, request, { resolve: true }), {
      code: 'verification',
      message: /team\/board:v1: not verified, so its installer program does not run/,
    });
    assert.deepEqual(calls, []);
    await planBuild({ ...unsigned, overlayPrograms: 'allowed' }, request, { resolve: true });
    assert.equal(calls.length, 1);
    // Who plans and who builds may be two.
    const layout = join(around.directory, 'assets');
    await writeLayout(layout, { v1: await assetImage(assetFiles()) });
    const disk = testRequest({ baseProfileName: 'metal', ...profile }, { assets: `oci:${layout}:v1` });
    const plan = await planBuild({ ...unsigned, overlayPrograms: 'allowed' }, disk, { resolve: true });
    await assert.rejects(build(unsigned, disk, plan), { code: 'verification', message: /program does not run/ });
    assert.deepEqual(
      calls.map(({ command }) => command),
      ['get-options', 'get-options'],
    );
  });

  const cmdline = (tarball: string, options: object = {}, name = 'board') =>
    testRequest({
      platform: 'metal',
      output: { kind: 'cmdline', outFormat: 'raw' },
      ...overlayOf(tarball, options, name),
    });

  test('one that is not there is refused with those that are', async () => {
    await using around = await testWorkplace();
    const { workplace, tarball } = await scene(around, tinyInstaller, {
      ...BOARD,
      'profiles/board.yaml': 'arch: arm64\n',
    });
    await assert.rejects(planBuild(workplace, cmdline(tarball, {}, 'bord'), { resolve: true }), {
      code: 'invalid-input',
      message: `overlay.name "bord": not in overlay image ${tarball}, which has installers board, tiny; profiles board`,
      hint: 'did you mean board?',
    });
    assert.throws(() => cmdline(tarball, {}, '../board'), { code: 'invalid-input', message: /"\.\.\/board"/ });
    await assert.rejects(planBuild(workplace, cmdline(tarball, {}, './board'), { resolve: true }), {
      code: 'invalid-input',
    });
  });

  test('what it prints must be its answer', async () => {
    await using around = await testWorkplace();
    const { workplace, tarball } = await scene(around, async () => 'starting up\nname: x\n');
    await assert.rejects(planBuild(workplace, cmdline(tarball), { resolve: true }), {
      code: 'dependency',
      message: /board get-options:1:1: /,
    });
  });
});

describe('disks', () => {
  const disk = (
    tarball: string,
    version = 'v1.12.0',
    options: object = {},
    bootloader: 'sd-boot' | 'dual-boot' | 'grub' = 'sd-boot',
  ): GivenProfile => ({
    baseProfileName: 'metal',
    arch: 'amd64',
    version,
    output: { outFormat: 'raw', imageOptions: { bootloader } },
    ...overlayOf(tarball, options),
  });

  async function builtDisk(
    around: TestWorkplace,
    { workplace }: Scene,
    given: GivenProfile,
    grub: readonly string[] = [],
  ) {
    const layout = join(around.directory, 'assets');
    await writeLayout(layout, { v1: await assetImage(assetFiles(grub), 'amd64') });
    const request = testRequest(given, { assets: `oci:${layout}:v1` });
    const plan = await planBuild(workplace, request, { resolve: true });
    const { bytes } = await build(workplace, request, plan);
    const gpt = await decodeGpt(bytes);
    const part = (name: string) => {
      const found = [...gpt.partitions.values()].find((one) => one.name === name);
      if (found === undefined) return undefined;
      const { offset, size } = partitionRange(gpt, found);
      return slice(bytes, offset, offset + size);
    };
    const boot = part('BOOT');
    return {
      plan,
      bytes,
      gpt,
      efi: (await decodeFat(part('EFI')!)).tree,
      boot: boot === undefined ? undefined : (await decodeXfs(boot)).tree,
    };
  }

  test('files of both eras come into the EFI partition, over ours whatever their case', async () => {
    await using around = await testWorkplace();
    const warnings: string[] = [];
    const made = await scene(around, async (call) => {
      if (call.command === 'get-options') return 'name: board\n';
      const mount = /^mountPrefix: (.*)$/m.exec(call.stdin)![1]!;
      await put(join(mount, 'boot/EFI/config.txt'), 'old era');
      await put(join(mount, 'EFI/u-boot.bin'), 'new era');
      await put(join(mount, 'boot/EFI/efi/BOOT/bootx64.EFI'), 'a loader of its own');
      await put(join(mount, 'boot/extlinux.conf'), 'nowhere to go');
      return '';
    });
    const { efi, boot } = await builtDisk(
      around,
      { ...made, workplace: { ...made.workplace, onWarning: (text) => warnings.push(text) } },
      disk(made.tarball),
    );
    assert.equal(await readText(fileAt(efi, 'config.txt')!, 'file', 100), 'old era');
    assert.equal(await readText(fileAt(efi, 'u-boot.bin')!, 'file', 100), 'new era');
    assert.equal(await readText(fileAt(efi, 'EFI/boot/BOOTX64.efi')!, 'file', 100), 'a loader of its own');
    assert.ok(efi.byPath.has('EFI/Linux/Talos-v1.12.0.efi'));
    assert.equal(boot, undefined);
    assert.match(warnings.join('\n'), /1 files are not in the image, boot\/extlinux\.conf first: .*sd-boot/);
  });

  test('files of BOOT are there with GRUB', { skip: skipWithoutGrub('i386-pc') }, async () => {
    await using around = await testWorkplace();
    const made = await scene(around, async (call) => {
      if (call.command === 'get-options') return 'name: board\n';
      const mount = /^mountPrefix: (.*)$/m.exec(call.stdin)![1]!;
      await put(join(mount, 'boot/dtb/board.dtb'), 'tree');
      await put(join(mount, 'boot/EFI/config.txt'), 'c');
      return '';
    });
    const { efi, boot } = await builtDisk(around, made, disk(made.tarball, 'v1.12.0', {}, 'dual-boot'), ['i386-pc']);
    assert.equal(await readText(fileAt(boot!, 'dtb/board.dtb')!, 'file', 100), 'tree');
    assert.ok(boot!.byPath.has('A/vmlinuz') && !boot!.byPath.has('EFI'));
    assert.ok(efi.byPath.has('config.txt'));
  });

  test('the umask of whoever builds is not in the image', { skip: skipWithoutGrub('i386-pc') }, async () => {
    const modes: (readonly [string, number])[][] = [];
    const before = process.umask();
    for (const umask of [0o022, 0o077, 0o002]) {
      await using around = await testWorkplace();
      process.umask(umask);
      try {
        const made = await scene(around, async (call) => {
          if (call.command === 'get-options') return 'name: board\n';
          const mount = /^mountPrefix: (.*)$/m.exec(call.stdin)![1]!;
          await put(join(mount, 'boot/dtb/board.dtb'), 'tree');
          await put(join(mount, 'boot/dtb/run'), 'program');
          await chmod(join(mount, 'boot/dtb/run'), 0o700);
          return '';
        });
        const { boot } = await builtDisk(around, made, disk(made.tarball, 'v1.12.0', {}, 'dual-boot'), ['i386-pc']);
        modes.push(
          ['', 'dtb', 'dtb/board.dtb', 'dtb/run'].map((path) => [path, boot!.byPath.get(path)!.mode & 0o7777]),
        );
      } finally {
        process.umask(before);
      }
    }
    const plain = [['', 0o755] as const, ['dtb', 0o755], ['dtb/board.dtb', 0o644], ['dtb/run', 0o755]];
    assert.deepEqual(modes, [plain, plain, plain]);
  });

  test('what was written into the gap is on the disk, and is asked for once', async () => {
    await using around = await testWorkplace();
    const made = await scene(around);
    const given = disk(made.tarball, 'v1.12.0', { raw: true, write: true, offset: 20480 });
    const { bytes, gpt, plan } = await builtDisk(around, made, given);
    assert.equal(new TextDecoder().decode(await read(bytes, 32768, 11)), 'TINY LOADER');
    assert.equal(plan.overlay?.offset, 20480);
    assert.equal([...gpt.partitions.values()][0]!.firstLba, 22528);
    const again = await builtDisk(around, made, given);
    assert.deepEqual(await read(again.bytes, 0, 1 << 20), await read(bytes, 0, 1 << 20));
    assert.equal(made.calls.filter(({ command }) => command === 'install').length, 1, 'the store has it');
  });

  for (const [what, at, whose] of [
    ['the first sector', 446, 'the protective MBR'],
    ['the header', 512, 'the header of the partition table'],
    ['the entries', 17000, 'in the entries of the partition table'],
    ['a partition', 2 ** 20 + 5, 'in partition EFI'],
  ] as const) {
    test(`writes to ${what} are refused`, async () => {
      await using around = await testWorkplace();
      const made = await scene(around, async (call) => {
        if (call.command === 'get-options') return 'name: board\n';
        await writeAt(/^installDisk: (.*)$/m.exec(call.stdin)![1]!, at, 'x');
        return '';
      });
      await assert.rejects(builtDisk(around, made, disk(made.tarball)), {
        code: 'dependency',
        message: new RegExp(`wrote to the disk at byte ${at} \\(0x${at.toString(16)}\\), which is ${whose}`),
      });
    });
  }
});

test('an installer has the program and what it needs in a layer of its own', async () => {
  await using around = await testWorkplace();
  const { workplace, tarball } = await scene(around);
  const base = join(around.directory, 'base');
  await writeLayout(base, { v1: testImage([], { os: 'linux', architecture: 'arm64' }) });
  await writeLayout(join(around.directory, 'assets'), { v1: await assetImage(assetFiles()) });
  const request = testRequest(
    {
      baseProfileName: 'installer',
      input: { baseInstaller: { ociPath: `${base}:v1` } },
      ...overlayOf(tarball, { configTxtAppend: 'a=1' }),
    },
    { assets: `oci:${join(around.directory, 'assets')}:v1` },
  );
  const plan = await planBuild(workplace, request, { resolve: true });
  assert.deepEqual(
    plan.inputs.map(({ role }) => role).filter((role) => role.startsWith('overlay')),
    ['overlay', 'overlay-installer'],
  );
  const { image } = await buildInstaller(workplace, request, plan);
  const layer = ofMemory(gunzipSync(await read(image.layers.at(-1)!.bytes)));
  assert.deepEqual(
    (await indexTarBytes(layer)).map(({ name }) => name),
    ['overlay/artifacts/loader.bin', 'overlay/extra-options', 'overlay/installers/default'],
  );
});

interface Run {
  readonly id: string;
  readonly profile: string;
  readonly upstream: Readonly<
    Record<
      string,
      {
        readonly exit: number;
        readonly cmdline?: string;
        readonly partitions?: readonly { first: number; last: number }[];
        readonly gptEntriesLBA?: number;
      }
    >
  >;
}

/** As the Raspberry Pi installers answer in the recorded exchanges. */
const RASPBERRY: Readonly<Record<string, string>> = { rpi_generic: 'ttyAMA0', rpi_5: 'ttyAMA10' };

test('a plan is named by its options with their types and by what its overlay is, not by where it lies', async () => {
  await using around = await testWorkplace();
  const { workplace, tarball } = await scene(around);
  const elsewhere = join(around.directory, 'elsewhere.tar');
  await copyFile(tarball, elsewhere);
  const digestFor = async (option: string, tarballPath: string): Promise<string> => {
    const text = `arch: arm64\nplatform: metal\nversion: v1.13.0\noverlay:\n  name: board\n  image: {tarballPath: ${tarballPath}}\n  options: {a: ${option}}\noutput: {kind: cmdline, outFormat: raw}\n`;
    const profile = finaliseProfile(resolveProfile(parseProfile(text).profile));
    return planDigest(await planBuild(workplace, { ...testRequest(), profile }, { resolve: true }));
  };
  const digest = await digestFor('1.5', tarball);
  assert.equal(await digestFor('1.5', elsewhere), digest);
  assert.notEqual(await digestFor('"1.5"', tarball), digest);
});

describe('recorded runs of upstream’s imager', () => {
  const profiles = Object.fromEntries(
    vectorLines<{ path: string; facts: object }>('overlays/raspberrypi-profiles.jsonl.gz').map(({ path, facts }) => [
      path,
      JSON.stringify(facts),
    ]),
  );
  for (const { id, profile: text, upstream } of vectorLines<Run>('overlays/imager-runs.jsonl.gz')) {
    for (const [version, expected] of Object.entries(upstream)) {
      const isImage = id.startsWith('imager-image');
      test(`${id}, ${version}`, async () => {
        await using around = await testWorkplace();
        let name = '';
        const { workplace, tarball } = await scene(
          around,
          async (call) => {
            const console = RASPBERRY[name];
            if (console !== undefined) {
              const args = [
                'console=tty0',
                `console=${console},115200`,
                'sysctl.kernel.kexec_load_disabled=1',
                'talos.dashboard.disabled=1',
              ];
              return JSON.stringify({ name, kernelArgs: args });
            }
            if (call.stdin.startsWith('get: noise')) return 'some log line on stdout\nname: tiny\n';
            return tinyInstaller(call);
          },
          {
            ...Object.fromEntries(['tiny', 'default', 'rpi_generic', 'rpi_5'].map((one) => [`installers/${one}`, 'x'])),
            ...profiles,
          },
        );
        const document = text.replaceAll('<overlay.tar>', tarball).replaceAll('<upstream version>', version);
        const given = parseProfile(document).profile;
        const planned = async (): Promise<Plan> => {
          const { overlay, baseProfileName } = given;
          const { profiles: overlayProfiles } =
            baseProfileName === ''
              ? { profiles: new Map() }
              : await fetchOverlayProfiles(workplace, overlay!, baseProfileName);
          const profile = finaliseProfile(resolveProfile(given, { overlayProfiles }));
          name = given.overlay!.name;
          const layout = join(around.directory, 'assets');
          await writeLayout(layout, { v1: await assetImage(assetFiles(), 'amd64') });
          const assets = testRequest({}, { assets: `oci:${layout}:v1` }).assets!;
          return planBuild(workplace, { profile, epoch: EPOCH, assets, grubDirectory: layout }, { resolve: true });
        };
        if (expected.exit !== 0 && !id.endsWith('install-fail')) {
          await assert.rejects(planned(), { name: 'ImagerError' });
          return;
        }
        const plan = await planned();
        if (expected.cmdline !== undefined) assert.equal(plan.cmdline, expected.cmdline);
        if (isImage && expected.gptEntriesLBA !== undefined)
          assert.equal((plan.overlay?.offset ?? 0) + 2, expected.gptEntriesLBA);
      });
    }
  }
});
