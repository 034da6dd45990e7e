import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { composeDiskCore, composeElToritoImage } from '../../src/boot/grub-image.ts';
import { filter, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { elfFile } from '../support/elf.ts';
import { splitBiosCore } from '../support/grub.ts';

const DISK =
  'part_gpt ext2 fat xfs normal configfile linux boot search search_fs_uuid search_fs_file ls cat echo test help reboot halt all_video';
const ISO = 'biosdisk iso9660 xzio gcry_crc';

const diskBoot = Buffer.alloc(512);
diskBoot.writeUInt16LE(0x820, 510);
const names = [...new Set(`${DISK} ${ISO} part_msdos fshelp`.split(' '))];
const BIOS: Tree = treeOfLiterals({
  'kernel.img': elfFile(32, 3, [{ name: '.text', type: 1, flags: 6, address: 0x9000, data: Buffer.from('kernel') }]),
  'lzma_decompress.img': Buffer.alloc(64),
  'diskboot.img': diskBoot,
  'cdboot.img': Buffer.alloc(2048, 0xcd),
  'moddep.lst': 'xfs: fshelp\niso9660: fshelp\n',
  'partmap.lst': 'part_acorn\npart_gpt\n',
  ...Object.fromEntries(names.map((name) => [`${name}.mod`, `<${name}>`])),
});

/** What stands in the payload, in order. */
const carried = (unpacked: Uint8Array): string => {
  const text = Buffer.from(unpacked).toString('latin1');
  return [...text.matchAll(/<\w+>|insmod \w+|\([\w,]+\)\/grub|\/boot\/grub/g)].join(' ');
};
const marked = (list: string): string => list.replace(/\w+/g, '<$&>');

describe('the GRUB images of an amd64 machine with BIOS', () => {
  test('on CD: the modules to read it, and all partition maps', async () => {
    const { cdBoot, unpacked } = splitBiosCore(await composeElToritoImage(BIOS), { cd: true });
    assert.equal(cdBoot[0], 0xcd);
    const modules = marked(`biosdisk fshelp ${ISO.replace('biosdisk ', '')}`);
    assert.equal(carried(unpacked), `${modules} insmod part_acorn insmod part_gpt /boot/grub`);
  });

  test('on disk: the modules for BOOT and for helping oneself', async () => {
    const { unpacked } = splitBiosCore(await composeDiskCore(BIOS, 'i386-pc'), { cd: false });
    const modules = marked(`${DISK.replace('xfs', 'fshelp xfs')} biosdisk part_msdos`);
    assert.equal(carried(unpacked), `${modules} (hd0,gpt3)/grub`);
  });

  test('need the files they are made of', async () => {
    for (const name of [
      'kernel.img',
      'cdboot.img',
      'diskboot.img',
      'lzma_decompress.img',
      'moddep.lst',
      'fshelp.mod',
    ]) {
      const files = filter(BIOS, ({ path }) => path !== name);
      await assert.rejects(composeElToritoImage(files), {
        code: 'invalid-input',
        message: `GRUB file ${name}: not in the platform directory`,
      });
    }
  });

  test('do without a list of partition maps', async () => {
    const files = filter(BIOS, ({ path }) => path !== 'partmap.lst');
    assert.doesNotMatch(carried(splitBiosCore(await composeElToritoImage(files), { cd: true }).unpacked), /insmod/);
  });
});
