/** Core images against grub-mkimage, with whatever releases of GRUB are installed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { composeDiskCore, composeElToritoImage, composeIsoEfiCore } from '../../src/boot/grub-image.ts';
import type { EfiPlatform } from '../../src/boot/grub-modules.ts';
import { ofMemory, patch } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { lba } from '../../src/bytes/units.ts';
import { composeBiosCore } from '../../src/formats/grub/bios-core.ts';
import { elToritoPatches, hybridBootPatches } from '../../src/formats/grub/boot-patches.ts';
import { composeEfiCore } from '../../src/formats/grub/efi-core.ts';
import type { EfiMachine } from '../../src/formats/grub/efi-kernel.ts';
import { parseModuleDependencies, resolveModules } from '../../src/formats/grub/module-dependencies.ts';
import { encodeLzma } from '../../src/formats/lzma/encode.ts';
import { efiKernel } from '../support/efi-kernel.ts';
import {
  grubDirectories,
  grubMakeImage,
  grubTree,
  skipWithoutGrub,
  splitBiosCore,
  withoutCompressedSize,
} from '../support/grub.ts';
import { skipWithout } from '../support/tools.ts';

const DISK_MODULES =
  'part_gpt ext2 fat xfs normal configfile linux boot search search_fs_uuid search_fs_file ls cat echo test help reboot halt all_video'.split(
    ' ',
  );

describe('i386-pc', { skip: skipWithoutGrub('i386-pc', 'grub-mkimage') }, () => {
  for (const directory of grubDirectories('i386-pc')) {
    test(`core of a disk, ${directory}`, async () => {
      const ours = await composeDiskCore(grubTree(directory), 'i386-pc');
      const theirs = grubMakeImage({
        directory,
        format: 'i386-pc',
        prefix: '(hd0,gpt3)/grub',
        modules: [...DISK_MODULES, 'biosdisk', 'part_msdos'],
      });
      sameCore(ours, theirs, { cd: false });
    });

    test(`El Torito image, ${directory}`, async () => {
      const ours = await composeElToritoImage(grubTree(directory));
      const maps = readFileSync(join(directory, 'partmap.lst'), 'utf8').trimEnd().split('\n');
      const theirs = grubMakeImage({
        directory,
        format: 'i386-pc-eltorito',
        prefix: '/boot/grub',
        config: maps.map((name) => `insmod ${name}\n`).join(''),
        modules: ['biosdisk', 'iso9660', 'xzio', 'gcry_crc'],
      });
      sameCore(ours, theirs, { cd: true });
    });

    test(`memdisk, configuration and prefix of odd lengths, ${directory}`, () => {
      const file = (name: string): Buffer => readFileSync(join(directory, name));
      for (const size of [1, 511, 512, 513]) {
        const memdisk = new Uint8Array(size).fill(size & 0xff);
        const config = `echo ${'x'.repeat(size % 4)}\n`;
        const prefix = `(memdisk)/${'p'.repeat(size % 5)}`;
        const modules = ['memdisk', 'tar', 'regexp'];
        const names = resolveModules(parseModuleDependencies(file('moddep.lst').toString('latin1')), modules);
        const ours = composeBiosCore(
          { kernel: file('kernel.img'), decompressor: file('lzma_decompress.img'), diskBoot: file('diskboot.img') },
          { modules: names.map((name) => file(`${name}.mod`)), prefix, config, memdisk },
        );
        const theirs = grubMakeImage({ directory, format: 'i386-pc', prefix, config, memdisk, modules });
        sameCore(ours, theirs, { cd: false });
      }
    });

    test(`every module alone is resolved as grub-mkimage does, ${directory}`, () => {
      const dependencies = parseModuleDependencies(readFileSync(join(directory, 'moddep.lst'), 'latin1'));
      const names = [...dependencies.keys()].filter((_, index) => index % 23 === 0);
      for (const name of names) {
        const image = grubMakeImage({ directory, format: 'i386-pc', prefix: '/', modules: [name] });
        const { unpacked } = splitBiosCore(image, { cd: false });
        const modules = resolveModules(dependencies, [name]).map((one) => readFileSync(join(directory, `${one}.mod`)));
        let at = Buffer.from(unpacked).lastIndexOf('mimg') + 12;
        for (const module of modules) {
          assert.deepEqual(Buffer.from(unpacked.subarray(at + 8, at + 8 + module.length)), module, name);
          at += Buffer.from(unpacked).readUInt32LE(at + 4);
        }
      }
    });
  }
});

test('the patches are those that xorriso writes', { skip: skipWithoutGrub('i386-pc', 'xorriso') }, async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-grub-'));
  t.after(() => rmSync(scratch, { recursive: true }));
  const directory = grubDirectories('i386-pc')[0]!;
  const image = await composeElToritoImage(grubTree(directory));
  mkdirSync(join(scratch, 'root'));
  writeFileSync(join(scratch, 'root/eltorito.img'), image);
  const options = '-no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info --protective-msdos-label';
  const hybrid = join(directory, 'boot_hybrid.img');
  const command = ['-as', 'mkisofs', '-quiet', '-o', join(scratch, 'x.iso'), '-b', 'eltorito.img'];
  execFileSync('xorriso', [...command, ...options.split(' '), '--grub2-mbr', hybrid, join(scratch, 'root')], {
    stdio: 'pipe',
  });
  const iso = readFileSync(join(scratch, 'x.iso'));
  const catalog = iso.readUInt32LE(17 * 2048 + 71);
  const at = lba(iso.readUInt32LE(catalog * 2048 + 32 + 8));
  const patched = await read(patch(ofMemory(image), elToritoPatches(image, at)));
  assert.deepEqual(iso.subarray(at * 2048, at * 2048 + image.length), Buffer.from(patched));
  const sector = await read(patch(ofMemory(readFileSync(hybrid)), hybridBootPatches(at)));
  assert.deepEqual(iso.subarray(0, 440), Buffer.from(sector.subarray(0, 440)));
});

test('xz reads our LZMA streams', { skip: skipWithout('xz') }, () => {
  for (const size of [0, 1, 2, 3, 1023, 1024, 1025, 70000]) {
    const data = Uint8Array.from({ length: size }, (_, index) => (index * index * 7 + (index >> 9)) & 0xff);
    const header = Buffer.alloc(13);
    header[0] = 0x5d;
    header.writeUInt32LE(0x10000, 1);
    header.writeBigUInt64LE(BigInt(size), 5);
    const input = Buffer.concat([header, encodeLzma(data)]);
    assert.deepEqual(execFileSync('xz', ['--format=lzma', '-dc'], { input }), Buffer.from(data));
  }
});

const EFI = { 'x86_64-efi': 'x86_64', 'arm64-efi': 'aarch64' } as const satisfies Record<EfiPlatform, EfiMachine>;

for (const platform of ['x86_64-efi', 'arm64-efi'] as const) {
  describe(platform, { skip: skipWithoutGrub(platform, 'grub-mkimage') }, () => {
    for (const directory of grubDirectories(platform)) {
      test(`core of a disk, ${directory}`, async () => {
        const ours = await composeDiskCore(grubTree(directory), platform);
        const request = { directory, format: platform, prefix: '(hd0,gpt3)/grub', modules: DISK_MODULES };
        // Compression is what upstream asks for; EFI images take no notice.
        sameProgram(ours, grubMakeImage({ ...request, compression: 'xz' }));
      });

      test(`core of an ISO, ${directory}`, async () => {
        const ours = await composeIsoEfiCore(grubTree(directory), platform, '2019-06-01-21-34-52-00');
        const maps = readFileSync(join(directory, 'partmap.lst'), 'utf8').trimEnd().split('\n');
        const theirs = grubMakeImage({
          directory,
          format: platform,
          prefix: '/boot/grub',
          config: [
            'search --set=root --file /.disk/2019-06-01-21-34-52-00.uuid\n',
            'set prefix=($root)/boot/grub\n'.replace('$root', '$' + '{root}'),
            ...maps.map((name) => `insmod ${name}\n`),
          ].join(''),
          modules: [
            ...['part_gpt', 'part_msdos', 'fat', 'ntfs'],
            ...(platform === 'x86_64-efi' ? ['part_apple'] : []),
            ...['search', 'iso9660', 'xzio', 'gcry_crc'],
          ],
        });
        sameProgram(ours, theirs);
      });
    }
  });

  describe(`${platform} made up`, { skip: skipWithout('grub-mkimage') }, () => {
    test('kernels of all kinds', (t) => {
      const scratch = mkdtempSync(join(tmpdir(), 'bootwright-grub-'));
      t.after(() => rmSync(scratch, { recursive: true }));
      writeFileSync(join(scratch, 'moddep.lst'), 'one:\n');
      writeFileSync(join(scratch, 'one.mod'), 'module one');
      fc.assert(
        fc.property(efiKernel(EFI[platform]), (kernel) => {
          writeFileSync(join(scratch, 'kernel.img'), kernel);
          const payload = { modules: [Buffer.from('module one')], prefix: '/p' };
          const theirs = grubMakeImage({ directory: scratch, format: platform, prefix: '/p', modules: ['one'] });
          assert.deepEqual(Buffer.from(composeEfiCore(kernel, payload, EFI[platform])), theirs);
        }),
        { seed: 5, numRuns: 60 },
      );
    });
  });
}

/** Byte for byte; but that the kernel protects its pages is only told by grub-mkimage from 2.14 on. */
function sameProgram(ours: Uint8Array, theirs: Buffer): void {
  const left = Buffer.from(ours);
  const dllCharacteristics = 0x80 + 24 + 70;
  const protectsPages = left.includes('grub_update_mem_attrs');
  assert.equal(left.readUInt16LE(dllCharacteristics), protectsPages ? 0x100 : 0);
  left.writeUInt16LE(theirs.readUInt16LE(dllCharacteristics), dllCharacteristics);
  assert.ok(left.equals(theirs), 'the images differ');
}

/** All that compression does not touch is equal, and ours is at most 5 % larger. */
function sameCore(ours: Uint8Array, theirs: Uint8Array, options: { readonly cd: boolean }): void {
  const left = splitBiosCore(ours, options);
  const right = splitBiosCore(theirs, options);
  assert.deepEqual(left.cdBoot, right.cdBoot);
  assert.deepEqual(Buffer.from(left.unpacked), Buffer.from(right.unpacked));
  assert.deepEqual(withoutCompressedSize(left.decompressor), withoutCompressedSize(right.decompressor));
  assert.deepEqual(left.diskBoot.subarray(0, 0x1fc), right.diskBoot.subarray(0, 0x1fc));
  const sectors = Math.ceil((left.decompressor.length + left.packed.length) / 512);
  assert.equal(left.diskBoot.readUInt16LE(0x1fc), sectors);
  assert.deepEqual(left.diskBoot.subarray(0x1fe), right.diskBoot.subarray(0x1fe));
  // Ours is chosen for speed: the first build of a GRUB waits for it.
  assert.ok(left.packed.length <= right.packed.length * 1.08, `${left.packed.length} for ${right.packed.length} bytes`);
}
