/** Directories made by `imager pxe`, booted over the network by iPXE: the guest tells what it was given. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatIpxeScript } from '../../src/pxe/ipxe-script.ts';
import { DEMO_TAG, demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { runImager, startImager } from '../support/imager-process.ts';
import { type BootResult, bootInQemu, type Firmware, skipWithoutIpxe, skipWithoutQemu } from '../support/qemu.ts';

const NETWORK = fileURLToPath(new URL('../../examples/network.yaml', import.meta.url));

/** All that iPXE would take for its own, the last one at the end of the line. */
const SPECIALS = ['#comment', ';', '||', '&&', 'open=${x', 'q="a #b"', 'last=\\'];

const skip = skipWithoutDemoAssets() || skipWithoutQemu('seabios', 'ovmf') || skipWithoutIpxe();

let directory = '';
let args: readonly string[] = [];
let cmdline = '';
let document = '';

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-pxe-'));
  document = await readFile(NETWORK, 'utf8');
  args = [
    ...['--imager-image', `oci:${await demoLayout()}`, '--store', join(directory, 'store')],
    ...['--arch', 'amd64', '--talos-version', DEMO_TAG, '--meta', `0xa=@${NETWORK}`, '--quiet'],
    ...['console=ttyS0', ...SPECIALS].flatMap((one) => ['--extra-kernel-arg', one]),
  ];
  const { code, stderr } = await runImager(['pxe', join(directory, 'pxe'), ...args]);
  assert.equal(code, 0, stderr);
  cmdline = await readFile(join(directory, 'pxe/cmdline-metal-amd64'), 'utf8');
  assert.ok(cmdline.endsWith(SPECIALS.join(' ')), cmdline);
});

after(async () => {
  if (directory !== '') await rm(directory, { recursive: true });
});

describe('the directory from a plain HTTP server', { skip }, () => {
  for (const firmware of ['seabios', 'ovmf'] as const) {
    test(firmware, async () => {
      await using server = await servePlainly(join(directory, 'pxe'));
      checkReport(firmware, await bootOver(firmware, server.port), 'kernel-amd64', 'initrd=initramfs-metal-amd64.xz ');
      assert.deepEqual(server.asked, ['boot.ipxe', 'kernel-amd64', 'initramfs-metal-amd64.xz']);
    });
  }

  test('ovmf, the UKI as a script with SecureBoot has it', async () => {
    const uki = 'metal-amd64-uki.efi';
    const script = formatIpxeScript({ boot: { kind: 'uki', uki }, cmdline });
    await using server = await servePlainly(join(directory, 'pxe'), { 'boot.ipxe': script });
    checkReport('ovmf', await bootOver('ovmf', server.port), uki, '');
  });
});

test('seabios, from imager pxe --serve, with nothing written', { skip }, async () => {
  const { child, finished } = startImager(['pxe', '--serve', '127.0.0.1:0', ...args], { timeout: 240_000 });
  try {
    const port = await servedPort(child.stderr);
    checkReport('seabios', await bootOver('seabios', port), '', 'initrd=initramfs-metal-amd64.xz ');
  } finally {
    child.kill('SIGINT');
  }
  const { code, stderr } = await finished;
  assert.equal(code, 0, stderr);
});

function servedPort(stderr: Readable): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = '';
    stderr.on('data', (chunk: string) => {
      said += chunk;
      const [, found] = /^serving http:\/\/127\.0\.0\.1:(\d+)\/boot\.ipxe$/m.exec(said) ?? [];
      if (found !== undefined) resolve(Number(found));
    });
    stderr.once('close', () => reject(new Error(`ended before it served: ${said}`)));
  });
}

function bootOver(firmware: Firmware, port: number): Promise<BootResult> {
  return bootInQemu({ firmware, medium: { kind: 'network', script: `http://10.0.2.2:${port}/boot.ipxe` } });
}

/** iPXE gives a UEFI program its own name as the first word. */
function checkReport(firmware: Firmware, { report }: BootResult, program: string, initrd: string): void {
  const isUefi = firmware === 'ovmf';
  assert.equal(report.cmdline, `${isUefi ? `${program} ` : ''}${initrd}${cmdline}`);
  assert.equal(report.firmware, isUefi ? 'uefi' : 'other');
  assert.equal(report.meta, `0xa=${document}`);
  assert.deepEqual(report.damaged, []);
  assert.equal(report.files.sound, report.files.total);
}

interface PlainServer extends AsyncDisposable {
  readonly port: number;
  readonly asked: readonly string[];
}

/** Whole files and nothing else. */
async function servePlainly(root: string, instead: Readonly<Record<string, string>> = {}): Promise<PlainServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = basename(request.url!);
    asked.push(name);
    const content = name in instead ? Promise.resolve(instead[name]!) : readFile(join(root, name));
    content.then(
      (data) => response.end(data),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
