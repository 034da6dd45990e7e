/** xorriso, sgdisk, dosfstools and mtools judge whole ISOs, with the GRUB that is installed here. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { composeElToritoImage, composeIsoEfiCore, isoIdentifier } from '../../src/boot/grub-image.ts';
import { type Bytes, ofSource, slice } from '../../src/bytes/bytes.ts';
import { digest, read } from '../../src/bytes/read.ts';
import { decodeIso9660 } from '../../src/formats/iso9660/decode.ts';
import { buildIso, type IsoParts } from '../../src/iso/build.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { CMDLINE, EPOCH, initramfs, kernel, loader, testUki } from '../support/boot-parts.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { grubDirectories, grubTree, skipWithoutGrub } from '../support/grub.ts';
import { imageFiles } from '../support/image-files.ts';
import { run, skipWithout } from '../support/tools.ts';

const skip = skipWithout('xorriso', 'sgdisk', 'fsck.fat', 'mcopy');
const skipGrub = skip || skipWithoutGrub('i386-pc') || skipWithoutGrub('x86_64-efi');
const { platform, directory, written } = imageFiles();

const VERSION = 'v1.13.0';
const blob = ofSource(memorySource(stream('blob', 500_000)));
const traits = traitsOf(VERSION);

const systemd = { loader, uki: testUki(traits) };

async function partsOf(generator: IsoParts['generator']): Promise<IsoParts> {
  if (generator === 'uefi') return { generator, systemd };
  const files = grubTree(grubDirectories('i386-pc')[0]!);
  const hybridBoot = files.byPath.get('boot_hybrid.img');
  assert.ok(hybridBoot?.kind === 'file');
  const bios = { files, elTorito: await composeElToritoImage(files), hybridBoot: await read(hybridBoot.content) };
  const common = { kernel, initramfs, cmdline: CMDLINE, bios };
  if (generator === 'hybrid') return { generator, ...common, systemd };
  const efiFiles = grubTree(grubDirectories('x86_64-efi')[0]!);
  const core = await composeIsoEfiCore(efiFiles, 'x86_64-efi', isoIdentifier(EPOCH));
  return { generator, ...common, efi: [{ platform: 'x86_64-efi', files: efiFiles, core }] };
}

const imageCache = treeOfLiterals({ 'blob/sha256-x': blob, 'manifests/docker.io/library/x/reference/latest': '{}' });

async function isoOf(generator: IsoParts['generator']): Promise<Bytes> {
  const options = { version: VERSION, architecture: 'amd64', traits, epoch: EPOCH, imageCache } as const;
  return buildIso(await partsOf(generator), options);
}

/** Lines of a report, runs of blanks as one. */
function report(image: string, ...args: readonly string[]): string[] {
  return run('xorriso', '-indev', image, ...args)
    .split('\n')
    .map((line) => line.trim().replace(/ +/g, ' '));
}

/** Every file xorriso extracts has the digest it has in our tree. */
async function assertExtracts(image: string, bytes: Bytes): Promise<void> {
  const target = `${image}.files`;
  run('xorriso', '-osirrox', 'on', '-indev', image, '-extract', '/', target);
  try {
    for (const entry of (await decodeIso9660(bytes)).tree.entries) {
      if (entry.kind !== 'file') continue;
      const found = createHash('sha256')
        .update(readFileSync(join(target, entry.path)))
        .digest('hex');
      const wanted = Buffer.from(await digest(entry.content, platform.hash('sha256'))).toString('hex');
      assert.equal(found, wanted, entry.path);
    }
    for (const [path, content] of [
      ['boot/vmlinuz', kernel],
      ['boot/initramfs.xz', initramfs],
    ] as const) {
      if (image.endsWith('uefi.iso')) continue;
      assert.ok(readFileSync(join(target, path)).equals(await read(content)), path);
    }
    assert.ok(readFileSync(join(target, 'imagecache/blob/sha256-x')).equals(await read(blob)));
  } finally {
    execFileSync('chmod', ['-R', 'u+w', target]);
    rmSync(target, { recursive: true });
  }
}

/** The FAT image is sound, and mtools finds the UKI in it. */
async function assertEsp(bytes: Bytes, offset: number, size: number): Promise<void> {
  const path = await written(slice(bytes, offset, offset + size));
  run('fsck.fat', '-n', path);
  run('mcopy', '-n', '-i', path, `::/EFI/Linux/Talos-${VERSION}.efi`, `${path}.uki`);
  assert.ok(readFileSync(`${path}.uki`).equals(await read(systemd.uki.bytes)));
  rmSync(`${path}.uki`);
}

test('a hybrid ISO is what xorriso, sgdisk and mtools expect', { skip: skipGrub }, async () => {
  const bytes = await isoOf('hybrid');
  const image = await written(bytes, join(directory, 'hybrid.iso'));
  await assertExtracts(image, bytes);
  const elTorito = report(image, '-report_el_torito', 'plain');
  assert.ok(elTorito.includes('El Torito img path : 1 /boot/grub/i386-pc/eltorito.img'));
  assert.ok(elTorito.includes('El Torito img opts : 1 boot-info-table grub2-boot-info'));
  assert.match(
    elTorito.join('\n'),
    /boot img : 1 BIOS y none 0x0000 0x00 4 \d+\nEl Torito boot img : 2 UEFI y none 0x0000 0x00 0 \d+/,
  );
  const area = report(image, '-report_system_area', 'plain');
  assert.ok(area.includes('System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT'));
  assert.ok(area.includes('Partition offset : 16'));
  assert.ok(area.includes(`ISO image size/512 : ${bytes.size / 512}`));
  assert.ok(area.includes('GPT entry array : 2 248 separated'));
  assert.deepEqual(
    area.filter((line) => line.startsWith('GPT partname local')),
    ['GPT partname local : 1 ISO9660', 'GPT partname local : 2 Appended2', 'GPT partname local : 3 Gap1'],
  );
  assert.match(run('sgdisk', '-v', image), /No problems found/);
  const [, start, size] = /GPT start and size : 2 (\d+) (\d+)/.exec(area.join('\n'))!;
  await assertEsp(bytes, Number(start) * 512, Number(size) * 512);
});

test('a UEFI ISO is what xorriso and mtools expect', { skip }, async () => {
  const bytes = await isoOf('uefi');
  const image = await written(bytes, join(directory, 'uefi.iso'));
  await assertExtracts(image, bytes);
  const lines = report(image, '-report_el_torito', 'plain', '-report_system_area', 'plain');
  assert.match(lines.join('\n'), /boot img : 1 UEFI y none 0x0000 0x00 0 \d+/);
  assert.ok(lines.includes('Partition offset : 16'));
  const text = lines.join('\n');
  assert.match(text, /MBR partition : 1 0x00 0x83 64 \d+/);
  const [, start, size] = /MBR partition : 2 0x00 0xef (\d+) (\d+)/.exec(text)!;
  assert.equal((Number(start) * 512) % 2 ** 20, 0);
  await assertEsp(bytes, Number(start) * 512, Number(size) * 512);
});

test('a GRUB ISO is what xorriso, sgdisk and mtools expect', { skip: skipGrub }, async () => {
  const bytes = await isoOf('grub');
  const image = await written(bytes, join(directory, 'grub.iso'));
  await assertExtracts(image, bytes);
  const lines = report(image, '-report_el_torito', 'plain', '-report_system_area', 'plain');
  assert.ok(lines.includes('El Torito img path : 1 /boot/grub/i386-pc/eltorito.img'));
  assert.ok(lines.includes('El Torito img opts : 1 boot-info-table grub2-boot-info'));
  assert.ok(lines.includes('El Torito img path : 2 /efi.img'));
  assert.ok(lines.includes('GPT partition path : 2 /efi.img'));
  assert.match(lines.join('\n'), /boot img : 2 UEFI y none 0x0000 0x00 5760 \d+/);
  assert.match(run('sgdisk', '-v', image), /No problems found/);
  const { offset, size } = (await decodeIso9660(bytes)).files.get('efi.img')![0]!;
  const path = await written(slice(bytes, offset, offset + size));
  run('fsck.fat', '-n', path);
  run('mcopy', '-n', '-i', path, '::/efi/boot/bootx64.efi', `${path}.core`);
  assert.equal(readFileSync(`${path}.core`).subarray(0, 2).toString('latin1'), 'MZ');
});

test('two builds give the same bytes', { skip: skipGrub }, async () => {
  for (const generator of ['hybrid', 'uefi', 'grub'] as const) {
    const [one, other] = [await isoOf(generator), await isoOf(generator)];
    assert.deepEqual(await digest(one, platform.hash('sha256')), await digest(other, platform.hash('sha256')));
  }
});
