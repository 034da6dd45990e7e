import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { knownXfsFeatures } from '../../../src/formats/grub/xfs-features.ts';
import { stream } from '../../support/bytes.ts';

/** Code around it that has bytes of all kinds, but no such instruction. */
function module(...instruction: readonly number[]): Uint8Array {
  const code = new Uint8Array(64).fill(0x90);
  // A call back by less than 256 bytes, which looks much like the constant.
  code.set([0xe8, 0x12, 0xff, 0xff, 0xff, 0xc0], 4);
  code.set([0x81, 0xe3, 0x00, 0x00, 0x00, 0x10], 12);
  code.set(instruction, 32);
  return code;
}

const CASES: readonly (readonly [name: string, instruction: readonly number[], known: number | undefined])[] = [
  ['2.12 for BIOS: testl $0xc0ffffff,0xdc(%ebx)', [0xf7, 0x83, 0xdc, 0, 0, 0, 0xff, 0xff, 0xff, 0xc0], 0x3f],
  ['2.12 for UEFI: test $0xc0ffffff,%eax', [0xa9, 0xff, 0xff, 0xff, 0xc0], 0x3f],
  ['a register', [0xf7, 0xc1, 0xff, 0xff, 0xff, 0xe0], 0x1f],
  ['a near place', [0xf7, 0x43, 0x10, 0xff, 0xff, 0xff, 0xf8], 0x07],
  ['a place by two registers', [0xf7, 0x44, 0x24, 0x10, 0xff, 0xff, 0xff, 0xf0], 0x0f],
  ['all there are now: test $0x00feffff,%eax', [0xa9, 0xff, 0xff, 0xfe, 0x00], 0x1ff],
  ['another operation', [0xf7, 0xd3, 0xff, 0xff, 0xff, 0xc0], undefined],
  ['other bits', [0xa9, 0xff, 0xff, 0xff, 0x50], undefined],
  ['no bits at all', [0xa9, 0xff, 0xff, 0xff, 0xff], undefined],
  ['nothing', [], undefined],
];

describe('known features', () => {
  for (const [name, instruction, known] of CASES) {
    test(name, () => assert.equal(knownXfsFeatures(module(...instruction)), known));
  }

  test('anything else is no failure', () => {
    assert.equal(knownXfsFeatures(new Uint8Array(0)), undefined);
    assert.equal(knownXfsFeatures(Uint8Array.of(0xf7)), undefined);
    assert.equal(knownXfsFeatures(Uint8Array.of(0xf7, 0x84, 1, 2, 3)), undefined);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
        const known = knownXfsFeatures(data);
        assert.ok(known === undefined || (known >= 7 && known <= 0xffff));
      }),
      { seed: 1 },
    );
    assert.equal(knownXfsFeatures(stream('code', 30_000)), undefined);
  });

  for (const platform of ['i386-pc', 'x86_64-efi']) {
    const path = `/usr/lib/grub/${platform}/xfs.mod`;
    test(`the module of this machine, ${platform}`, { skip: !existsSync(path) && `needs ${path}` }, () => {
      const known = knownXfsFeatures(readFileSync(path));
      // bigtime came with 2.06; what Debian and Ubuntu have knows it since.
      assert.ok(known !== undefined && (known & 0x0f) === 0x0f, String(known));
    });
  }
});
