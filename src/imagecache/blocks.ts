/** Reading much in little memory: two blocks for all of it. 20 GiB in new ones would outrun the garbage collector. */
import type { Bytes } from '../bytes/bytes.ts';
import { CHUNK_SIZE, readInto } from '../bytes/read.ts';
import type { Chunks } from '../platform/types.ts';

export type Blocks = readonly [Uint8Array, Uint8Array];

export function newBlocks(): Blocks {
  return [new Uint8Array(CHUNK_SIZE), new Uint8Array(CHUNK_SIZE)];
}

/** All of `content`; a chunk holds until the next is asked for. One block is filled while the other is looked at. */
export async function* inTurn(content: Bytes, blocks: Blocks): Chunks {
  const fill = async (position: number, block: Uint8Array): Promise<Uint8Array> => {
    const chunk = block.subarray(0, Math.min(block.length, content.size - position));
    await readInto(content, position, chunk);
    return chunk;
  };
  let ahead = content.size > 0 ? fill(0, blocks[0]) : undefined;
  try {
    for (let turn = 1; ahead !== undefined; turn++) {
      const chunk = await ahead;
      const next = turn * CHUNK_SIZE;
      ahead = next < content.size ? fill(next, blocks[turn % 2 === 0 ? 0 : 1]) : undefined;
      // A rejection is reported when its turn comes.
      ahead?.catch(() => undefined);
      yield chunk;
    }
  } finally {
    await ahead?.catch(() => undefined);
  }
}
