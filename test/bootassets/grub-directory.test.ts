import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildGrubDirectory } from '../../src/boot/grub-directory.ts';
import type { GrubPlatform } from '../../src/boot/grub-modules.ts';
import { ofText } from '../../src/bytes/bytes.ts';
import { readText } from '../../src/bytes/read.ts';
import { fileAt, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';

const PC: Tree = treeOfLiterals({
  'normal.mod': 'normal',
  'xfs.mod': { link: 'elsewhere/xfs.mod' },
  'elsewhere/xfs.mod': 'xfs',
  'gone.mod': { link: 'nowhere' },
  'moddep.lst': 'moddep',
  'modinfo.sh': 'modinfo',
  'efiemu64.o': 'efiemu',
  'kernel.img': 'kernel',
  'eltorito.img': 'not ours',
  'fdt.lst': '',
  'config.h': '',
});

const paths = (tree: Tree): string[] => tree.entries.map(({ path }) => path);

describe('the GRUB directory of an ISO', () => {
  test('has modules and lists of each platform, and places for fonts and firmware', async () => {
    const platforms = new Map<GrubPlatform, Tree>([
      ['i386-pc', PC],
      ['x86_64-efi', treeOfLiterals({ 'fat.mod': 'fat', 'fs.lst': 'fs' })],
    ]);
    const tree = buildGrubDirectory(platforms);
    assert.deepEqual(paths(tree), [
      '',
      'boot',
      'boot/grub',
      'boot/grub/fonts',
      'boot/grub/i386-pc',
      'boot/grub/i386-pc/efiemu64.o',
      'boot/grub/i386-pc/moddep.lst',
      'boot/grub/i386-pc/modinfo.sh',
      'boot/grub/i386-pc/normal.mod',
      'boot/grub/i386-pc/xfs.mod',
      'boot/grub/roms',
      'boot/grub/x86_64-efi',
      'boot/grub/x86_64-efi/fat.mod',
      'boot/grub/x86_64-efi/fs.lst',
    ]);
    assert.equal(await readText(fileAt(tree, 'boot/grub/i386-pc/xfs.mod')!, 'x', 10), 'xfs');
  });

  test('has the font and the El Torito image it is given, all at one time', () => {
    const options = { font: ofText('font'), elTorito: ofText('image'), mtime: 1559424892 };
    const tree = buildGrubDirectory(new Map([['i386-pc', PC]]), options);
    assert.equal(fileAt(tree, 'boot/grub/fonts/unicode.pf2'), options.font);
    assert.equal(fileAt(tree, 'boot/grub/i386-pc/eltorito.img'), options.elTorito);
    const [, ...entries] = tree.entries;
    assert.ok(entries.every(({ mtime, uid, gid }) => mtime === 1559424892 && uid === 0 && gid === 0));
    assert.deepEqual([...new Set(entries.map(({ kind, mode }) => `${kind} ${mode.toString(8)}`))].sort(), [
      'directory 755',
      'file 644',
    ]);
  });

  test('is refused where there are no modules', () => {
    assert.throws(() => buildGrubDirectory(new Map([['arm64-efi', treeOfLiterals({ 'fs.lst': '' })]])), {
      code: 'invalid-input',
      message: 'GRUB directory of arm64-efi: no modules in it',
    });
  });
});
