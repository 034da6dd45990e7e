/** SecureBoot, from firmware without keys to a system that was started because its signature is right. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { imager } from '../support/command-line.ts';
import { DEMO_TAG, demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { bootInQemu, skipWithoutQemu } from '../support/qemu.ts';
import { writeTestKeys } from '../support/secureboot.ts';

const skip = skipWithoutDemoAssets() || skipWithoutQemu('ovmf-secureboot');

let directory = '';
before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-secureboot-'));
  await writeTestKeys(directory);
});
after(async () => {
  if (directory !== '') await rm(directory, { recursive: true });
});

describe('keys are enrolled by the medium itself, then it starts as the one it has signed', { skip }, () => {
  for (const [name, kind, output] of [
    ['ISO', 'cd', 'kind: iso\n  isoOptions:\n    sdBootEnrollKeys: force'],
    [
      'disk',
      'virtio',
      'kind: image\n  imageOptions:\n    diskSize: 1306525696\n    diskFormat: raw\n    sdBootEnrollKeys: force',
    ],
  ] as const) {
    test(name, async () => {
      const image = await build(output, join(directory, name));
      const { report, serial } = await bootInQemu({
        firmware: 'ovmf-secureboot',
        medium: { kind, image },
        timeoutSeconds: 240,
      });
      assert.equal(report.variables.SecureBoot, '1', serial);
      assert.equal(report.variables.SetupMode, '0');
      assert.match(report.cmdline, /lockdown=confidentiality/);
      assert.equal(report.files.sound, report.files.total);
    });
  }
});

/** The one file that comes out. */
async function build(output: string, target: string): Promise<string> {
  const profile = `arch: amd64
platform: metal
secureboot: true
version: ${DEMO_TAG}
customization:
  extraKernelArgs: [console=ttyS0]
input:
  secureboot:
    secureBootSigner:
      keyPath: ${join(directory, 'uki-test-key.pem')}
      certPath: ${join(directory, 'uki-test-cert.pem')}
    pcrSigner:
      keyPath: ${join(directory, 'pcr-test-key.pem')}
output:
  outFormat: raw
  ${output}
`;
  const args = ['-', '--imager-image', `oci:${await demoLayout()}`, '-o', target, '--store', join(directory, 'store')];
  const { code, stderr } = await imager(args, { stdin: profile });
  assert.equal(code, 0, stderr);
  const [file] = await readdir(target);
  return join(target, file!);
}
