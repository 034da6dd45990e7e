import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ofMemory, patch } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { lba } from '../../../src/bytes/units.ts';
import {
  diskBootPatches,
  diskCorePatches,
  elToritoPatches,
  hybridBootPatches,
} from '../../../src/formats/grub/boot-patches.ts';
import { stream } from '../../support/bytes.ts';

const apply = async (image: Uint8Array, patches: ReturnType<typeof diskCorePatches>): Promise<Buffer> =>
  Buffer.from(await read(patch(ofMemory(image), patches)));

describe('El Torito patches', () => {
  test('of the measured example: an image of 46980 bytes at block 598', async () => {
    const image = stream('el torito', 46980);
    const patched = await apply(image, elToritoPatches(image, lba(598)));
    assert.deepEqual(
      [8, 12, 16].map((at) => patched.readUInt32LE(at)),
      [16, 598, 46980],
    );
    assert.ok(patched.subarray(0x18, 0x40).every((byte) => byte === 0));
    assert.equal(patched.readBigUInt64LE(0x9f4), 2397n);
    let sum = 0;
    for (let at = 64; at < patched.length; at += 4) sum = (sum + patched.readUInt32LE(at)) >>> 0;
    assert.equal(patched.readUInt32LE(0x14), sum);
    const untouched = Buffer.from(image);
    patched.copy(untouched, 8, 8, 64);
    patched.copy(untouched, 0x9f4, 0x9f4, 0x9fc);
    assert.deepEqual(patched, untouched);
  });

  test('sum up an image of any length, zero-padded', async () => {
    for (const rest of [1, 2, 3]) {
      const image = stream('odd', 2560 + rest);
      const patched = await apply(image, elToritoPatches(image, lba(20)));
      const padded = Buffer.concat([patched, Buffer.alloc(4 - rest)]);
      let sum = 0;
      for (let at = 64; at < padded.length; at += 4) sum = (sum + padded.readUInt32LE(at)) >>> 0;
      assert.equal(patched.readUInt32LE(0x14), sum);
    }
  });

  test('refuse what cannot be such an image, or lies too far', () => {
    assert.throws(() => elToritoPatches(new Uint8Array(2559), lba(1)), /2559 bytes, want at least 2560/);
    assert.throws(() => elToritoPatches(new Uint8Array(2560), lba(2 ** 32)), /at block 4294967296/);
    assert.throws(() => hybridBootPatches(lba(2 ** 32)), /at block 4294967296/);
  });
});

test('the hybrid boot sector names the sector of diskboot.img', async () => {
  const patched = await apply(new Uint8Array(512).fill(0xee), hybridBootPatches(lba(598)));
  assert.equal(patched.readBigUInt64LE(0x1b0), 2396n);
  assert.ok(patched.subarray(0, 0x1b0).every((byte) => byte === 0xee));
  assert.ok(patched.subarray(0x1b8).every((byte) => byte === 0xee));
});

test('the boot sector of a disk names the core, and believes the BIOS about the drive', async () => {
  const patched = await apply(new Uint8Array(512), diskBootPatches(lba(4304896)));
  assert.equal(patched.readBigUInt64LE(0x5c), 4304896n);
  assert.equal(patched.readUInt16LE(0x66), 0x9090);
  assert.equal(patched.filter((byte) => byte !== 0).length, 4);
});

test('the core of a disk names its second sector', async () => {
  const patched = await apply(new Uint8Array(1024), diskCorePatches(lba(4304896)));
  assert.equal(patched.readBigUInt64LE(0x1f4), 4304897n);
  assert.equal(patched.filter((byte) => byte !== 0).length, 3);
});
