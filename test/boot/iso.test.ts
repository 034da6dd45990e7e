/** ISOs made by the command line, started by every firmware they are for: the guest tells what it was given. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DEMO_TAG, demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { startImager } from '../support/imager-process.ts';
import { type Answer, bootInQemu, type Firmware, type Medium, skipWithoutQemu } from '../support/qemu.ts';

const NETWORK = fileURLToPath(new URL('../../examples/network.yaml', import.meta.url));

interface IsoCase {
  readonly name: string;
  readonly flags: readonly string[];
  readonly boots: readonly (readonly [Firmware, Exclude<Medium['kind'], 'kernel' | 'network'>])[];
}

const CASES: readonly IsoCase[] = [
  {
    name: 'hybrid, amd64',
    flags: ['--arch', 'amd64', '--talos-version', DEMO_TAG],
    boots: [
      ['seabios', 'cd'],
      ['seabios', 'disk'],
      ['ovmf', 'cd'],
      ['ovmf', 'usb'],
    ],
  },
  {
    name: 'GRUB, amd64',
    flags: ['--arch', 'amd64', '--talos-version', 'v1.9.5'],
    boots: [
      ['seabios', 'cd'],
      ['seabios', 'disk'],
      ['ovmf', 'cd'],
      ['ovmf', 'disk'],
    ],
  },
  {
    name: 'UEFI, arm64',
    flags: ['--arch', 'arm64', '--talos-version', DEMO_TAG],
    boots: [
      ['aavmf', 'cd'],
      ['aavmf', 'disk'],
    ],
  },
  {
    name: 'GRUB, arm64',
    flags: ['--arch', 'arm64', '--talos-version', 'v1.9.5'],
    boots: [['aavmf', 'cd']],
  },
];

const skip = skipWithoutDemoAssets() || skipWithoutQemu('seabios', 'ovmf', 'aavmf');

let directory = '';
let common: string[] = [];
let document = '';

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-iso-'));
  common = ['--imager-image', `oci:${await demoLayout()}`, '--store', join(directory, 'store')];
  document = await readFile(NETWORK, 'utf8');
});

after(async () => {
  if (directory !== '') await rm(directory, { recursive: true });
});

for (const { name, flags, boots } of CASES) {
  describe(name, { skip }, () => {
    let built: Promise<Built> | undefined;
    for (const [firmware, kind] of boots) {
      test(`${firmware} ${kind}`, async (t) => {
        built ??= buildIso(name, ['iso', ...flags, '--meta', `0xa=@${NETWORK}`]);
        const { image, cmdline } = await built;
        const { report, seconds } = await bootInQemu({ firmware, medium: { kind, image } });
        t.diagnostic(`${seconds.toFixed(1)} s`);
        assert.equal(withoutLoader(report.cmdline), cmdline);
        assert.equal(report.meta, `0xa=${document}`);
        assert.equal(report.firmware, firmware === 'seabios' ? 'other' : 'uefi');
        assert.deepEqual(report.damaged, []);
        assert.equal(report.files.sound, report.files.total);
      });
    }
  });
}

describe('UEFI alone, amd64, by profile', { skip }, () => {
  /** Down once, then Enter: the second entry of systemd-boot's menu. */
  const secondEntry: Answer = { when: /Boot in \d+ s/, type: '\x1b[B\r' };
  let built: Promise<Built> | undefined;
  const build = (): Promise<Built> => (built ??= buildIso('uefi', ['-'], profile()));

  for (const kind of ['cd', 'disk'] as const) {
    test(`ovmf ${kind}`, async () => {
      const { image, cmdline } = await build();
      const { report } = await bootInQemu({ firmware: 'ovmf', medium: { kind, image } });
      assert.equal(report.cmdline, cmdline);
    });
  }

  test('the reset profile of the UKI starts with its own command line', async () => {
    const { image, cmdline } = await build();
    const { report } = await bootInQemu({ firmware: 'ovmf', medium: { kind: 'cd', image }, answers: [secondEntry] });
    assert.equal(report.cmdline, `${cmdline} talos.experimental.wipe=system`);
  });
});

function profile(): string {
  return JSON.stringify({
    baseProfileName: 'iso',
    arch: 'amd64',
    version: DEMO_TAG,
    output: { isoOptions: { bootloader: 'sd-boot' } },
  });
}

interface Built {
  readonly image: string;
  readonly cmdline: string;
}

async function buildIso(name: string, args: readonly string[], stdin = ''): Promise<Built> {
  const output = join(directory, name.replaceAll(/[^a-z0-9]+/gi, '-'));
  const built = await run([...args, ...common, '--output', output, '--quiet', '--json'], stdin);
  const { path } = JSON.parse(built) as { path: string };
  const plan = await run(['plan', ...args, ...common, '--json'], stdin);
  return { image: path, cmdline: (JSON.parse(plan) as { cmdline: string }).cmdline };
}

async function run(args: readonly string[], stdin: string): Promise<string> {
  const file = join(directory, 'stdin');
  await writeFile(file, stdin);
  const { finished } = startImager(args, { before: `exec <"${file}"` });
  const { code, stdout, stderr } = await finished;
  assert.equal(code, 0, stderr);
  return stdout.toString('utf8');
}

/** GRUB puts the file it loaded before everything else. */
function withoutLoader(cmdline: string): string {
  return cmdline.replace(/^BOOT_IMAGE=\S+ /, '');
}
