/** `scripts/quickstart`: the main job on a demonstration system, from a layout and from a registry, booted four ways. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEMO_TAG, demoLayout } from '../../test/support/demo-assets.ts';
import { startDockerRegistry } from '../../test/support/docker-registry.ts';
import { bootInQemu, type Firmware, skipWithoutQemu } from '../../test/support/qemu.ts';
import { skipWithout } from '../../test/support/tools.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NETWORK = 'examples/network.yaml';
/** The serial line is what we read; machines of flesh and iron do without these. */
const SERIAL = { amd64: 'console=ttyS0', arm64: 'console=ttyAMA0' } as const;

type Architecture = keyof typeof SERIAL;

interface Built {
  readonly image: string;
  readonly cmdline: string;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  say('1. Demonstration system: kernel, busybox, systemd-boot and GRUB from Debian packages, as an OCI layout');
  const layout = await demoLayout();
  say(`   oci:${layout}`);

  say('2. ISO with a static network configuration inside');
  const amd64 = await buildIso(`oci:${layout}`, 'amd64', 'layout');
  await sameFromRegistry(layout, amd64);
  const arm64 = await buildIso(`oci:${layout}`, 'arm64', 'layout');

  say('3. Boot it');
  const document = await readFile(join(ROOT, NETWORK), 'utf8');
  await boot(amd64, 'seabios', 'cd', document);
  await boot(amd64, 'seabios', 'disk', document);
  await boot(amd64, 'ovmf', 'cd', document);
  await boot(amd64, 'ovmf', 'disk', document);
  await boot(arm64, 'aavmf', 'cd', document);

  say(`
Done. The images are in _out/. With the real Talos images:

  bin/imager.js iso --meta 0xa=@my-network.yaml
  bin/imager.js plan iso --meta 0xa=@my-network.yaml     what it would build, and from what
  bin/imager.js --help`);
}

/** Runs the command a user would type, and shows it. */
async function imager(...args: string[]): Promise<string> {
  say(`   $ imager ${args.join(' ')}`);
  const child = spawn(process.execPath, [join(ROOT, 'bin/imager.js'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`imager ended with exit ${code}`);
  return Buffer.concat(parts).toString('utf8');
}

async function buildIso(source: string, architecture: Architecture, directory: string): Promise<Built> {
  const flags = [
    'iso',
    '--arch',
    architecture,
    '--imager-image',
    source,
    '--talos-version',
    DEMO_TAG,
    '--meta',
    `0xa=@${NETWORK}`,
  ];
  flags.push('--extra-kernel-arg', SERIAL[architecture]);
  const output = `_out/${directory}`;
  await mkdir(join(ROOT, output), { recursive: true });
  await imager(...flags, '--output', output, '--quiet');
  const { cmdline, outputs } = JSON.parse(await imager('plan', ...flags, '--json')) as {
    cmdline: string;
    outputs: { path: string }[];
  };
  return { image: join(ROOT, output, outputs[0]!.path), cmdline };
}

async function sameFromRegistry(layout: string, built: Built): Promise<void> {
  const skip = skipWithout('docker-registry', 'skopeo');
  if (skip !== false) return say(`   (not built from a registry too: ${skip})`);
  const registry = await startDockerRegistry();
  let again: Built;
  try {
    await registry.push(layout, DEMO_TAG, 'demo/imager', DEMO_TAG);
    again = await buildIso(`${registry.host}/demo/imager:${DEMO_TAG}`, 'amd64', 'registry');
  } finally {
    await registry.close();
  }
  const [first, second] = await Promise.all([sha256(built.image), sha256(again.image)]);
  if (first !== second) throw new Error(`from the registry the ISO is ${second}, from the layout ${first}`);
  say(`   from layout and registry the same: sha256:${first}`);
}

async function boot(
  { image, cmdline }: Built,
  firmware: Firmware,
  kind: 'cd' | 'disk',
  document: string,
): Promise<void> {
  const skip = skipWithoutQemu(firmware);
  if (skip !== false) return say(`   ${firmware} ${kind}: left out, ${skip}`);
  const { report, seconds } = await bootInQemu({ firmware, medium: { kind, image } });
  // GRUB puts the file it loaded before everything else.
  if (report.cmdline.replace(/^BOOT_IMAGE=\S+ /, '') !== cmdline)
    throw new Error(`${firmware} ${kind}: booted with "${report.cmdline}", want "${cmdline}"`);
  if (report.meta !== `0xa=${document}`) throw new Error(`${firmware} ${kind}: META is ${JSON.stringify(report.meta)}`);
  say(
    `   ${firmware} ${kind}: up in ${seconds.toFixed(1)} s on ${report.machine}, command line and network configuration as planned`,
  );
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

await main().catch((error: unknown) => {
  process.stderr.write(`quickstart: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
