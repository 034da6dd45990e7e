/** The demonstration system itself: what other boot tests conclude from its report holds only if these pass. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { demoFiles, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { bootInQemu, skipWithoutQemu } from '../support/qemu.ts';

const skip = skipWithoutDemoAssets() || skipWithoutQemu('seabios', 'ovmf', 'aavmf');
const META = '0xa=first line\nsecond line\n;0xc=ü';

test('amd64 under BIOS: everything in the report is as it was sent', { skip }, async (t) => {
  const { vmlinuz: kernel, initramfs } = await demoFiles('amd64');
  const meta = Buffer.from(META).toString('base64');
  const cmdline = `talos.platform=metal console=tty0 panic=1 talos.environment=INSTALLER_META_BASE64=${meta} x="a  b"`;
  const { report, seconds } = await bootInQemu({
    firmware: 'seabios',
    medium: { kind: 'kernel', kernel, initramfs, cmdline },
  });
  t.diagnostic(`${seconds} s`);
  assert.equal(report.cmdline, cmdline);
  assert.equal(report.machine, 'x86_64');
  assert.equal(report.firmware, 'other');
  assert.deepEqual(report.files, { sound: 4, total: 4 });
  assert.deepEqual(report.damaged, []);
  assert.deepEqual(report.extra, {});
  assert.equal(report.meta, META);
});

test('amd64 under UEFI: firmware and its variables are seen', { skip }, async (t) => {
  const { vmlinuz: kernel, initramfs } = await demoFiles('amd64');
  const medium = { kind: 'kernel', kernel, initramfs, cmdline: 'console=ttyS0 panic=1' } as const;
  const { report, seconds } = await bootInQemu({ firmware: 'ovmf', medium });
  t.diagnostic(`${seconds} s`);
  assert.equal(report.firmware, 'uefi');
  assert.equal(report.variables.SecureBoot, '0');
  assert.deepEqual(report.files, { sound: 4, total: 4 });
});

test('arm64', { skip }, async (t) => {
  const { vmlinuz: kernel, initramfs } = await demoFiles('arm64');
  const meta = gzipSync(META).toString('base64');
  const cmdline = `console=ttyAMA0 panic=1 talos.environment=INSTALLER_META_BASE64=${meta}`;
  const { report, seconds } = await bootInQemu({
    firmware: 'aavmf',
    medium: { kind: 'kernel', kernel, initramfs, cmdline },
  });
  t.diagnostic(`${seconds} s`);
  assert.equal(report.machine, 'aarch64');
  assert.equal(report.firmware, 'uefi');
  // The emulator adds where its firmware finds the initramfs.
  assert.equal(report.cmdline, `${cmdline} initrd=initrd`);
  assert.equal(report.meta, META);
  assert.deepEqual(report.files, { sound: 4, total: 4 });
});

test('files from a second archive are told apart, and damage is seen', { skip }, async (t) => {
  const { vmlinuz: kernel, initramfs } = await demoFiles('amd64');
  const second = Buffer.concat([newcFile('demo/ballast', 'other'), newcFile('extra file.txt', 'hello\n'), TRAILER]);
  const both = join(tmpdir(), `bootwright-two-archives-${process.pid}`);
  const first = await readFile(initramfs);
  // The kernel looks for the next archive at a multiple of four.
  await writeFile(both, Buffer.concat([first, Buffer.alloc((4 - (first.length % 4)) % 4), second]));
  t.after(() => rm(both));
  const medium = { kind: 'kernel', kernel, initramfs: both, cmdline: 'panic=1' } as const;
  const { report } = await bootInQemu({ firmware: 'seabios', medium });
  assert.deepEqual(report.files, { sound: 3, total: 4 });
  assert.deepEqual(report.damaged, ['./demo/ballast: FAILED']);
  const sum = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';
  assert.deepEqual(report.extra, { '/extra file.txt': sum });
});

function newcFile(path: string, text: string, mode = 0o100644): Buffer {
  const name = `${path}\0`;
  const fields = [1, mode, 0, 0, 1, 0, text.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}${name}`;
  return Buffer.from(
    header.padEnd(Math.ceil(header.length / 4) * 4, '\0') + text.padEnd(Math.ceil(text.length / 4) * 4, '\0'),
  );
}

const TRAILER = newcFile('TRAILER!!!', '', 0);
