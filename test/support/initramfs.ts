/** An initramfs taken apart again: what lies before a known base and behind it. */
import assert from 'node:assert/strict';
import { type Bytes, ofMemory, slice } from '../../src/bytes/bytes.ts';
import { chunks, equals } from '../../src/bytes/read.ts';
import { decodeCpio } from '../../src/formats/cpio/decode-cpio.ts';
import { unxz } from '../../src/formats/xz/unxz.ts';
import { unzstd } from '../../src/formats/zstd/frame-walker.ts';
import type { Compression } from '../../src/platform/types.ts';
import { EMPTY_TREE, type Tree } from '../../src/tree/tree.ts';

export interface TakenApart {
  /** The archive that is not compressed; empty where there is none. */
  readonly early: Tree;
  /** Bytes before the base. */
  readonly earlySize: number;
  readonly late: Tree;
  readonly lateSize: number;
}

/** The base has to be there byte for byte. */
export async function takeApart(initramfs: Bytes, base: Bytes, compression: Compression): Promise<TakenApart> {
  const isFirst = await equals(slice(initramfs, 0, base.size), base);
  const begins = isFirst ? { tree: EMPTY_TREE, end: 0 } : await decodeCpio(initramfs);
  const at = begins.end;
  assert.ok(await equals(slice(initramfs, at, at + base.size), base), 'the base is another');
  const packed = slice(initramfs, at + base.size);
  const isXz = Buffer.from(await firstBytes(packed)).toString('hex') === 'fd377a585a00';
  const unpacked = isXz ? unxz(chunks(packed), compression.lzma2) : unzstd(compression, chunks(packed));
  const archive = ofMemory(Buffer.concat(await Array.fromAsync(unpacked)));
  const { tree, end } = await decodeCpio(archive);
  assert.equal(end, archive.size);
  return { early: begins.tree, earlySize: at, late: tree, lateSize: archive.size };
}

async function firstBytes(bytes: Bytes): Promise<Uint8Array> {
  for await (const chunk of chunks(slice(bytes, 0, 6))) return chunk;
  return new Uint8Array();
}
