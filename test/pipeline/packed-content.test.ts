import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ofMemory } from '../../src/bytes/bytes.ts';
import type { Store } from '../../src/oci/store/store.ts';
import { packedPieces } from '../../src/pipeline/packed-content.ts';
import type { Packer } from '../../src/pipeline/packer.ts';
import { testWorkplace } from '../support/pipeline.ts';

const PIECE = 64 << 10;

test('a store that is slow holds the packers up: few pieces wait for it', async () => {
  await using workplace = await testWorkplace();
  let [packed, written, most] = [0, 0, 0];
  const packer: Packer = {
    identity: 'test',
    pieceSize: PIECE,
    needsCrc: false,
    pack: async (data) => {
      packed++;
      most = Math.max(most, packed - written);
      return ofMemory(data.slice(0, data.length / 2));
    },
  };
  const derived = (async (_key, make) => {
    await make({
      write: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        written++;
      },
    });
    throw new Error('all was written');
  }) as Store['derived'];
  const store = async (): Promise<Store> => ({ derived }) as unknown as Store;
  const content = Buffer.from('Compressible. '.repeat(PIECE * 8)).subarray(0, 100 * PIECE);
  const packing = packedPieces(workplace, ofMemory(content), {
    packer,
    store,
    room: (work) => work(),
    onDone: () => {},
  });
  await assert.rejects(packing, { message: 'all was written' });
  assert.equal(packed, 100);
  assert.ok(most <= 10, `${most} pieces waited`);
});
