/**
 * Where the content of files goes: whole blocks one after the other, files smaller than a block together with others in a fragment block, blocks of zeros
 * nowhere, and what was there before not again.
 */
import { blockRuns, isZero } from '../../bytes/blocks.ts';
import type { Bytes } from '../../bytes/bytes.ts';
import { putU64, structure, toHex } from '../../bytes/field.ts';
import { identityOf } from '../../bytes/identity.ts';
import { digest, readInto } from '../../bytes/read.ts';
import type { Hash } from '../../platform/types.ts';
import type { DataWriter } from './data-writer.ts';
import type { FragmentPlace } from './inode.ts';

/** As the inode of the file says it. */
export interface PlacedContent {
  /** Bytes. */
  readonly size: number;
  /** Of the first block in the image; 0 without one. */
  start: number;
  readonly blocks: Uint32Array;
  readonly fragment: FragmentPlace | undefined;
  /** Bytes of blocks that are zeros. */
  sparse: number;
}

const FRAGMENT_ENTRY_SIZE = 16;

export interface ContentServices {
  /** A digest that tells contents apart. */
  readonly hash: () => Hash;
  /** Called with bytes of content as they are dealt with. */
  readonly onDone: (length: number) => void;
}

/** Writes contents and remembers them. */
export class Contents {
  readonly #writer: DataWriter;
  readonly #blockSize: number;
  readonly #hash: () => Hash;
  readonly #onDone: (length: number) => void;
  /** Sizes that several different contents may have: only there the bytes are looked at. */
  readonly #sharedSizes: ReadonlySet<number>;
  readonly #byIdentity = new Map<string, PlacedContent>();
  readonly #byDigest = new Map<string, PlacedContent>();
  readonly #fragments: Uint8Array[] = [];
  /** The fragment block that is being filled, and how far it is. */
  #pending: Uint8Array | undefined;
  #pendingSize = 0;

  /** `contents` are all that will be placed. */
  constructor(writer: DataWriter, blockSize: number, contents: Iterable<Bytes>, { hash, onDone }: ContentServices) {
    this.#writer = writer;
    this.#blockSize = blockSize;
    this.#hash = hash;
    this.#onDone = onDone;
    this.#sharedSizes = sharedSizes(contents);
  }

  /** Sizes and positions are complete once `finish` has returned. */
  async place(content: Bytes): Promise<PlacedContent> {
    const identity = identityOf(content);
    const same = identity === undefined ? undefined : this.#byIdentity.get(identity);
    if (same !== undefined) {
      this.#onDone(content.size);
      return same;
    }
    const placed = await this.#placeByContent(content);
    if (identity !== undefined) this.#byIdentity.set(identity, placed);
    return placed;
  }

  async #placeByContent(content: Bytes): Promise<PlacedContent> {
    if (!this.#sharedSizes.has(content.size)) return this.#write(content);
    const key = `${content.size} ${toHex(await digest(content, this.#hash()))}`;
    const known = this.#byDigest.get(key);
    if (known !== undefined) {
      this.#onDone(content.size);
      return known;
    }
    const placed = await this.#write(content);
    this.#byDigest.set(key, placed);
    return placed;
  }

  async #write(content: Bytes): Promise<PlacedContent> {
    if (content.size === 0) return { size: 0, start: 0, blocks: new Uint32Array(0), fragment: undefined, sparse: 0 };
    return content.size < this.#blockSize ? this.#writeFragment(content) : this.#writeBlocks(content);
  }

  async #writeFragment(content: Bytes): Promise<PlacedContent> {
    const { size } = content;
    if (this.#pendingSize + size > this.#blockSize) await this.#flush();
    const fragment = { index: this.#fragments.length, offset: this.#pendingSize };
    this.#pending ??= this.#writer.takeBuffer();
    this.#pendingSize += size;
    await readInto(content, 0, this.#pending.subarray(fragment.offset, this.#pendingSize));
    this.#onDone(size);
    return { size, start: 0, blocks: new Uint32Array(0), fragment, sparse: 0 };
  }

  async #flush(): Promise<void> {
    const { data: entry, view } = structure(FRAGMENT_ENTRY_SIZE);
    this.#fragments.push(entry);
    const block = this.#pending!;
    const size = this.#pendingSize;
    this.#pending = undefined;
    this.#pendingSize = 0;
    await this.#writer.push(block, size, (position, sizeField) => {
      putU64(view, 0, position, true);
      view.setUint32(8, sizeField, true);
    });
  }

  async #writeBlocks(content: Bytes): Promise<PlacedContent> {
    const { size } = content;
    const blockSize = this.#blockSize;
    const count = Math.ceil(size / blockSize);
    const placed: PlacedContent = { size, start: 0, blocks: new Uint32Array(count), fragment: undefined, sparse: size };
    let isFirst = true;
    let done = 0;
    // Blocks that the extents show to be zeros are in no run.
    for (const run of blockRuns(content, blockSize)) {
      for (let index = run.first; index < run.first + run.count; index++) {
        const at = index * blockSize;
        const length = Math.min(blockSize, size - at);
        const buffer = this.#writer.takeBuffer();
        await readInto(content, at, buffer.subarray(0, length));
        this.#onDone(at + length - done);
        done = at + length;
        if (isZero(buffer, 0, length)) {
          this.#writer.giveBack(buffer);
          continue;
        }
        placed.sparse -= length;
        const begins = isFirst;
        isFirst = false;
        await this.#writer.push(buffer, length, (position, sizeField) => {
          if (begins) placed.start = position;
          placed.blocks[index] = sizeField;
        });
      }
    }
    this.#onDone(size - done);
    return placed;
  }

  /** Waits for all that is under way; gives the entries of the fragment table. */
  async finish(): Promise<readonly Uint8Array[]> {
    if (this.#pendingSize > 0) await this.#flush();
    await this.#writer.settle();
    return this.#fragments;
  }
}

/** Content that is known to be the same counts once. */
function sharedSizes(contents: Iterable<Bytes>): Set<number> {
  const seen = new Map<number, string | undefined>();
  const shared = new Set<number>();
  for (const content of contents) {
    const identity = identityOf(content);
    if (!seen.has(content.size)) seen.set(content.size, identity);
    else if (identity === undefined || seen.get(content.size) !== identity) shared.add(content.size);
  }
  return shared;
}
