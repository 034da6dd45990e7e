import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeBaseRelocations } from '../../../src/formats/grub/base-relocations.ts';

describe('base relocations', () => {
  test('are nothing for nothing', () => {
    assert.equal(encodeBaseRelocations([]).length, 0);
  });

  test('are a block for each run of addresses on one page, in their order, the last padded to a page', () => {
    const data = Buffer.from(encodeBaseRelocations([0x1008, 0x1000, 0x2ff8, 0x1010]));
    assert.equal(data.length, 4096);
    assert.equal(
      data.subarray(0, 48).toString('hex'),
      `${'00100000' + '10000000' + '08a000a0' + '00000000'}${'00200000' + '10000000' + 'f8af0000' + '00000000'}` +
        `${'00100000' + 'e00f0000' + '10a00000' + '00000000'}`,
    );
    assert.ok(data.subarray(48).every((byte) => byte === 0));
  });

  test('take another page where one does not hold them', () => {
    const many = Array.from({ length: 2100 }, (_, index) => 0x5000 + index);
    assert.equal(encodeBaseRelocations(many.slice(0, 2044)).length, 4096);
    assert.equal(encodeBaseRelocations(many).length, 8192);
  });
});
