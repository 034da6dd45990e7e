import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  composeDiskCore,
  composeElToritoImage,
  composeIsoEfiCore,
  isoIdentifier,
  isoMarker,
} from '../../src/boot/grub-image.ts';
import { filter, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { elfFile, symbolSections } from '../support/elf.ts';
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

const CODE = { name: '.text', type: 1, flags: 6, data: Buffer.from('kernel') };
const efi = (machine: number): Tree =>
  treeOfLiterals({
    'kernel.img': elfFile(64, machine, [CODE, ...symbolSections([{ name: '_start', section: 1, value: 0n }], 3)]),
    'moddep.lst': 'xfs: fshelp\niso9660: fshelp\n',
    'partmap.lst': 'part_acorn\npart_gpt\n',
    ...Object.fromEntries([...names, 'ntfs', 'part_apple'].map((name) => [`${name}.mod`, `<${name}>`])),
  });

describe('the GRUB programs of machines with UEFI', () => {
  const platforms = [
    { platform: 'x86_64-efi', machine: 62, apple: 'part_apple ' },
    { platform: 'arm64-efi', machine: 183, apple: '' },
  ] as const;

  for (const { platform, machine, apple } of platforms) {
    test(`on ${platform} look for the ISO by its marker`, async () => {
      const core = await composeIsoEfiCore(efi(machine), platform, '2019-06-01-21-34-52-00');
      const modules = marked(`part_gpt part_msdos fat ntfs ${apple}search fshelp iso9660 xzio gcry_crc`);
      const config =
        'search --set=root --file /.disk/2019-06-01-21-34-52-00.uuid\nset prefix=($' + '{root})/boot/grub\n';
      assert.ok(Buffer.from(core).includes(`${config}insmod part_acorn\ninsmod part_gpt\n\0`));
      assert.equal(carried(core), `${modules} /boot/grub insmod part_acorn insmod part_gpt /boot/grub`);
    });

    test(`on ${platform} find BOOT as the third partition`, async () => {
      const core = await composeDiskCore(efi(machine), platform);
      assert.equal(carried(core), `${marked(DISK.replace('xfs', 'fshelp xfs'))} (hd0,gpt3)/grub`);
    });
  }

  test('are for one machine only', async () => {
    await assert.rejects(composeDiskCore(efi(62), 'arm64-efi'), { code: 'invalid-input', message: /ELF machine 62/ });
  });
});

describe('the identifier of an ISO', () => {
  test('is its time', () => {
    assert.equal(isoIdentifier(1559424892), '2019-06-01-21-34-52-00');
    assert.equal(isoIdentifier(0), '1970-01-01-00-00-00-00');
    assert.equal(isoMarker(isoIdentifier(1559424892)), '.disk/2019-06-01-21-34-52-00.uuid');
    for (const epoch of [0.5, Number.NaN, 2 ** 53 - 1, 253402300800]) {
      assert.throws(() => isoIdentifier(epoch), { code: 'invalid-input', message: /^time .*: want whole seconds/ });
    }
  });

  test('is nothing that GRUB would take for more than a name', () => {
    for (const identifier of ['', 'a b', '../x', '-a', 'x;reboot', 'a$b', 'a\nb']) {
      assert.throws(() => isoMarker(identifier), { code: 'invalid-input', message: /^ISO identifier / });
    }
  });
});
