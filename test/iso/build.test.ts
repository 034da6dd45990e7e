/** What the vectors do not have: no BIOS, images of more than 1 GiB, parts that do not fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildUki } from '../../src/boot/uki.ts';
import { type Bytes, ofSource, slice } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { decodeIso9660 } from '../../src/formats/iso9660/decode.ts';
import { decodeMbr } from '../../src/formats/mbr/mbr.ts';
import { buildIso, type IsoParts } from '../../src/iso/build.ts';
import type { IsoOptions } from '../../src/iso/parts.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { EMPTY_TREE, treeOfLiterals } from '../../src/tree/tree.ts';
import { syntheticInput } from '../support/uki-inputs.ts';

const traits = traitsOf('v1.11.0');
const OPTIONS: IsoOptions = { version: 'v1.11.0', architecture: 'arm64', traits, epoch: 1559424892 };

/** Content that nothing reads: fills with nothing. */
function unread(key: string, size: number): Bytes {
  return ofSource({ key, label: key, size, read: () => Promise.resolve() });
}

function hybrid(initramfsSize: number, others: Partial<IsoParts> = {}): IsoParts {
  const kernel = unread('kernel', 1_000_001);
  const initramfs = unread('initramfs', initramfsSize);
  const uki = buildUki(
    {
      stub: syntheticInput('stub-arm64.efi'),
      architecture: 'arm64',
      osRelease: 'ID=talos\n',
      cmdline: 'x',
      kernelVersion: undefined,
      kernel,
      initramfs,
      traits,
    },
    { timestamp: 0, sharingAlignment: 65536 },
  );
  const systemd = { loader: unread('loader', 100_000), uki };
  return { generator: 'hybrid', kernel, initramfs, cmdline: 'x', systemd, ...others } as IsoParts;
}

test('a hybrid ISO without BIOS starts from UEFI alone', async () => {
  const bytes = buildIso(hybrid(5_000_000), OPTIONS);
  const image = await decodeIso9660(bytes);
  const gpt = await decodeGpt(bytes);
  const esp = partitionRange(gpt, gpt.partitions.get(2)!);
  assert.deepEqual(image.boot?.images, [{ platform: 0xef, sectors: 0, block: esp.offset / 2048 }]);
  assert.ok(decodeMbr(await read(bytes, 0, 512)).bootCode.every((byte) => byte === 0));
  assert.equal(image.tree.byPath.get('boot/vmlinuz')?.kind, 'file');
  assert.equal(image.tree.byPath.has('boot/grub/i386-pc'), false);
});

test('images of more than 1 GiB keep their alignment', async () => {
  const size = 1_600_000_000;
  const bytes = buildIso(hybrid(size), OPTIONS);
  const gpt = await decodeGpt(bytes);
  const esp = partitionRange(gpt, gpt.partitions.get(2)!);
  assert.equal(esp.offset % 2 ** 20, 0);
  assert.ok(bytes.size < size + 2 ** 24, `${bytes.size} bytes`);
  const fat = await decodeFat(slice(bytes, esp.offset, esp.offset + esp.size));
  const image = await decodeIso9660(bytes);
  const uki = fat.files.get('EFI/Linux/Talos-v1.11.0.efi')!;
  assert.deepEqual(image.files.get('EFI/Linux/Talos-v1.11.0.efi'), [
    { offset: esp.offset + uki[0]!.offset, size: uki[0]!.size },
  ]);
  // The last address is the last sector, counted with as many heads as that takes.
  const [head, sector, cylinder] = decodeMbr(await read(bytes, 0, 512)).partitions.get(0)!.last;
  const heads = Math.ceil(bytes.size / 512 / 32768);
  const track = (cylinder! | ((sector! & 0xc0) << 2)) * heads + head!;
  assert.equal(track * 32 + (sector! & 0x3f) - 1, bytes.size / 512 - 1);
});

test('a UKI that was laid out without sharing is stored beside kernel and initramfs', async () => {
  const parts = hybrid(5_000_000);
  assert.ok(parts.generator === 'hybrid');
  const { sections } = parts.systemd.uki;
  const moved = sections.map((section) => ({ ...section, offset: section.offset + 512 }));
  const systemd = { ...parts.systemd, uki: { ...parts.systemd.uki, sections: moved } };
  const image = await decodeIso9660(buildIso({ ...parts, systemd }, OPTIONS));
  assert.ok(image.partitionView!.tree.byPath.has('boot/initramfs.xz'));
  assert.ok(!image.partitionView!.tree.byPath.has('EFI/Linux/Talos-v1.11.0.efi'));
});

test('parts that do not fit are refused', () => {
  for (const epoch of [-5, 2 ** 32, 1.5, Number.NaN]) {
    assert.throws(() => buildIso(hybrid(10), { ...OPTIONS, epoch }), /epoch .*: want whole seconds/);
  }
  assert.throws(() => buildIso(hybrid(10), { ...OPTIONS, version: 'v1.11/x' }), /without slashes/);
  const kernelParts = { kernel: unread('kernel', 5), initramfs: unread('initramfs', 5), cmdline: 'x' };
  assert.throws(() => buildIso({ generator: 'grub', ...kernelParts, efi: [] }, OPTIONS), /no GRUB to start it with/);
  const files = treeOfLiterals({ 'normal.mod': 'x' });
  const bios = { files, elTorito: new Uint8Array(4000), hybridBoot: new Uint8Array(446) };
  assert.throws(() => buildIso(hybrid(10, { bios }), OPTIONS), /boot_hybrid.img: 446 bytes, want 512/);
  const short = { ...bios, hybridBoot: new Uint8Array(512), elTorito: new Uint8Array(100) };
  assert.throws(() => buildIso(hybrid(10, { bios: short }), OPTIONS), /El Torito image: 100 bytes/);
  const efi = [{ platform: 'arm64-efi', files: EMPTY_TREE, core: new Uint8Array(10) }] as const;
  assert.throws(() => buildIso({ generator: 'grub', ...kernelParts, efi }, OPTIONS), /no modules/);
  const large = [{ platform: 'arm64-efi', files, core: new Uint8Array(3_000_000) }] as const;
  assert.throws(() => buildIso({ generator: 'grub', ...kernelParts, efi: large }, OPTIONS), ImagerError);
});
