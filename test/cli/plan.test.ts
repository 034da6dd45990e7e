/** `imager plan`: the decided build as text, JSON, profile document or list of hosts. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { formatPlan } from '../../src/cli/plan-command.ts';
import type { Plan } from '../../src/pipeline/plan.ts';
import type { Platform } from '../../src/platform/types.ts';
import { dumpProfile } from '../../src/profiles/dump.ts';
import { type Circumstances, imager, scratch, writeAssets } from '../support/command-line.ts';
import { digestOf } from '../support/image.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
const source = await writeAssets(space.path('assets'));

const COMMON = ['--arch', 'amd64', '--talos-version', 'v1.13.0'];

async function planned(args: readonly string[], circumstances?: Circumstances): Promise<string> {
  const { code, text, stderr } = await imager(['plan', ...COMMON, ...args], circumstances);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  return text;
}

/** A machine without network and store. */
function noRegistry(real: Platform): Platform {
  return {
    ...real,
    http: () => {
      throw new Error('something was contacted');
    },
  };
}

const CMDLINE =
  'talos.platform=metal console=tty0 talos.halt_if_installed=1 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 ' +
  'nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never';

const PROFILE = `arch: amd64
platform: metal
secureboot: false
name: Talos
version: v1.13.0
customization:
  extraKernelArgs:
    - talos.platfrom=aws
  metaContents:
    - key: 12
      value: hunter2
input:
  kernel:
    path: /usr/install/amd64/vmlinuz
  initramfs:
    path: /usr/install/amd64/initramfs.xz
  sdStub:
    path: /usr/install/amd64/systemd-stub.efi
  sdBoot:
    path: /usr/install/amd64/systemd-boot.efi
  baseInstaller:
    imageRef: ghcr.io/siderolabs/installer-base:v1.13.0
output:
  kind: iso
  isoOptions:
    sdBootEnrollKeys: if-safe
    bootloader: dual-boot
  outFormat: raw
`;

const REQUEST = ['iso', '--extra-kernel-arg', 'talos.platfrom=aws', '--meta', '12=hunter2'];

describe('without asking anybody', () => {
  test('as text, for people', async () => {
    const text = await planned([...REQUEST, '--no-resolve', '--mirror', 'ghcr.io=https://mirror.example/ghcr'], {
      machine: noRegistry,
    });
    const profile = PROFILE.replace('hunter2', '<7 characters>').replace(/^(?=.)/gm, '  ');
    assert.equal(
      text,
      `profile:
${profile}kernel command line:
  ${CMDLINE} talos.environment=INSTALLER_META_BASE64=<16 characters> talos.platfrom=aws
inputs:
  imager-image: ghcr.io/siderolabs/imager:v1.13.0
outputs:
  metal-amd64.iso (iso, raw)
hosts:
  mirror.example
  ghcr.io
  tuf-repo-cdn.sigstore.dev
warnings:
  kernel argument talos.platfrom=aws: no argument the node knows (did you mean talos.platform?)
What may be secret is shown by its length; --json and --yaml show it.
`,
    );
  });

  test('as JSON, with everything', async () => {
    const { profile, ...rest } = JSON.parse(
      await planned([...REQUEST, '--json', '--no-resolve'], { machine: noRegistry }),
    ) as Plan;
    assert.equal(dumpProfile(profile), PROFILE);
    assert.deepEqual(rest, {
      epoch: 1559424892,
      cmdline: `${CMDLINE} talos.environment=INSTALLER_META_BASE64=MHhjPWh1bnRlcjI= talos.platfrom=aws`,
      meta: [{ key: 12, value: 'hunter2' }],
      outputs: [{ path: 'metal-amd64.iso', kind: 'iso', format: 'raw' }],
      inputs: [{ role: 'imager-image', reference: 'ghcr.io/siderolabs/imager:v1.13.0', digest: null }],
      hosts: ['ghcr.io', 'tuf-repo-cdn.sigstore.dev'],
      warnings: ['kernel argument talos.platfrom=aws: no argument the node knows (did you mean talos.platform?)'],
      unsupported: [],
      verifications: [],
    });
  });

  test('as a profile document, which gives the same plan again', async () => {
    const { code, text, stderr } = await imager(['plan', ...COMMON, ...REQUEST, '--yaml'], { machine: noRegistry });
    assert.equal(code, 0);
    assert.equal(text, PROFILE);
    assert.match(stderr, /^warning: kernel argument talos\.platfrom=aws: [^\n]+\n$/);
    const again = await imager(['plan', '-', '--json', '--no-resolve'], { stdin: text });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.text, await planned([...REQUEST, '--json', '--no-resolve']));
  });

  test('a size for what is no disk is told of', async () => {
    const size = ['--image-disk-size', '8GiB'];
    const { code, text } = await imager(['plan', 'iso', ...COMMON, ...size, '--no-resolve'], { machine: noRegistry });
    assert.equal(code, 0);
    assert.match(text, /flag --image-disk-size: has no effect on iso, which is no disk$/m);
  });

  test('as a list of hosts', async () => {
    const mirrors = ['--mirror', 'ghcr.io=http://10.5.0.1:6000', '--mirror', 'ghcr.io=mirror.example'];
    const options = { machine: noRegistry };
    assert.equal(
      await planned(['iso', '--hosts', ...mirrors], options),
      // The last one when the trusted root is old.
      '10.5.0.1:6000\nmirror.example\nghcr.io\ntuf-repo-cdn.sigstore.dev\n',
    );
    assert.equal(
      await planned(['iso', '--hosts', '--imager-image', 'registry.example:5000/imager:b'], options),
      'registry.example:5000\n',
    );
    assert.equal(await planned(['iso', '--hosts', '--imager-image', 'oci:/nonexistent'], options), '');
    assert.equal(await planned(['iso', '--hosts', '--offline'], options), '');
    assert.equal(await planned(['iso', '--hosts', '--output-kind', 'cmdline'], options), '');
  });

  test('what cannot be built yet is said, and no error', async () => {
    const plan = JSON.parse(await planned(['iso', '--json', '--no-resolve'])) as Plan;
    const lines = formatPlan({ ...plan, unsupported: ['flying', 'time\ntravel'] }).split('\n');
    assert.deepEqual(lines.slice(-5), ['cannot be built yet:', '  flying', '  time', '  travel', '']);
  });
});

describe('resolved', () => {
  test('inputs have digests', async () => {
    const args = ['metal-uki', '--imager-image', source, '--json'];
    const { inputs } = JSON.parse(await planned(args)) as Plan;
    const directory = space.path('assets/usr/install/amd64');
    const expected = [];
    for (const [role, name] of [
      ['kernel', 'vmlinuz'],
      ['initramfs', 'initramfs.xz'],
      ['systemd-stub', 'systemd-stub.efi'],
    ] as const) {
      const path = `${directory}/${name}`;
      expected.push({ role, path, digest: digestOf(await readFile(path)) });
    }
    assert.deepEqual(inputs, expected);
    const text = await planned(['metal-uki', '--imager-image', source]);
    for (const { role, path, digest } of expected)
      assert.ok(text.includes(`  ${role}: ${path}\n    ${digest}\n`), text);
  });

  test('what is missing is named at once', async () => {
    await writeAssets(space.path('incomplete'));
    await rm(space.path('incomplete/usr/install/amd64/vmlinuz'));
    await rm(space.path('incomplete/usr/install/amd64/systemd-stub.efi'));
    const { code, stderr } = await imager([
      'plan',
      ...COMMON,
      'metal-uki',
      '--imager-image',
      `dir:${space.path('incomplete')}`,
    ]);
    assert.equal(code, 6);
    assert.match(stderr, /vmlinuz.*systemd-stub\.efi/);
  });
});

describe('refused', () => {
  for (const [args, code, message] of [
    [['isoo'], 2, /base profile "isoo": want one of .*\n {2}hint: did you mean iso\?\n$/],
    [['iso', '--arch', 'x86_64'], 2, /arch "x86_64": want amd64 or arm64\n {2}hint: did you mean amd64\?/],
    [['iso', '--platform', 'metl'], 2, /platform "metl": want one of .*\n {2}hint: did you mean metal\?/],
    [['iso', '--output-kind', 'floppy'], 2, /flag --output-kind "floppy": want iso, image,/],
    [['iso', '--image-disk-size', 'large'], 2, /size "large": want a number with a unit, .* or min/],
    [['iso', '--mirror', 'ghcr.io'], 2, /mirror "ghcr\.io": want host=endpoint/],
    [['iso', '--imager-image', 'Bad Reference'], 2, /image reference "Bad Reference"/],
    [['iso', '--imager-image', 'oci:'], 2, /imager image "oci:": want a path after oci:/],
    [['iso', '--secureboot-enroll-keys', 'never'], 2, /flag --secureboot-enroll-keys "never": want if-safe,/],
    [['iso', '--embedded-config-path', '/nonexistent'], 6, /\/nonexistent: no such file/],
    [['metal', '--board', 'rpi'], 3, /flag --board: was removed in Talos 1\.13: .*--overlay-name/],
    [['iso', '--system-extension', 'gvisor'], 1, /--system-extension gvisor: a catalog has its image, and nothing may/],
    [['iso', '--overlay-name', 'board'], 1, /--overlay-name board: .*\n {2}hint: give the image with --overlay-image/],
    [['iso', '--json', '--hosts'], 1, /flags --json and --hosts: want one of them/],
  ] as const) {
    test(args.join(' '), async () => {
      const outcome = await imager(['plan', ...COMMON, '--no-resolve', ...args]);
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, /^imager: /);
      assert.match(outcome.stderr, message);
      assert.equal(outcome.text, '');
    });
  }

  test('a time that is none', async () => {
    const { code, stderr } = await imager(['plan', ...COMMON, 'iso', '--no-resolve'], {
      environment: { SOURCE_DATE_EPOCH: 'now' },
    });
    assert.equal(code, 2);
    assert.match(stderr, /SOURCE_DATE_EPOCH "now": want whole seconds/);
  });

  test('of several network documents the one that is wrong', async () => {
    await writeFile(space.path('bad.yaml'), 'addresses: [{address: nonsense}]\n');
    await writeFile(space.path('good.yaml'), 'addresses: []\n');
    const meta = ['bad', 'good'].flatMap((name) => ['--meta', `0xa=@${space.path(`${name}.yaml`)}`]);
    const { code, stderr } = await imager(['plan', ...COMMON, 'iso', '--no-resolve', ...meta]);
    assert.equal(code, 2);
    assert.match(stderr, /bad\.yaml:1:\d+: addresses\[0\]\.address: "nonsense"/);
  });

  test('a document has overlay options as they were given', async () => {
    await writeFile(space.path('typed.yaml'), 'float: 1.5\ntext: "1.5"\nlarge: 12345678901234567890\n');
    const overlay = ['--overlay-image', 'oci:./none', '--overlay-name', 'board'];
    const options = ['--overlay-option', `@${space.path('typed.yaml')}`];
    const { text, stderr } = await imager(['plan', ...COMMON, 'iso', '--no-resolve', '--yaml', ...overlay, ...options]);
    assert.match(text, /\n {4}float: 1\.5\n {4}large: 12345678901234567890\n {4}text: "1\.5"\n/, stderr);
  });

  test('overlay options that are no text', async () => {
    await writeFile(space.path('binary'), Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xff));
    const { code, stderr } = await imager(['plan', ...COMMON, 'iso', '--overlay-option', `k=@${space.path('binary')}`]);
    assert.equal(code, 2);
    assert.match(stderr, /binary: not valid UTF-8/);
  });

  test('overlay options that are no mapping', async () => {
    await writeFile(space.path('options.yaml'), '- a\n');
    const { code, stderr } = await imager([
      'plan',
      ...COMMON,
      'iso',
      '--no-resolve',
      '--overlay-option',
      `@${space.path('options.yaml')}`,
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /options\.yaml:1:1: /);
  });
});
