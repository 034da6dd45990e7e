/** Reading binary index files: for inspecting a tree, and for judging what is written. The format is described in `index-file.ts`. */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { byteTextOf } from './byte-text.ts';
import {
  CHARACTER_COUNT,
  HAS_CHILDREN,
  HAS_PREFIX,
  HAS_VALUES,
  INDEX_HEADER_SIZE,
  INDEX_MAGIC,
  INDEX_VERSION,
  type IndexValue,
  OFFSET_MASK,
} from './index-file.ts';

/** Longer keys are refused: kmod has no room for them. */
const MAX_KEY = 4096;

/**
 * All keys with their values, in the order of the keys' bytes; texts are of one character a byte. Throws `invalid-input` for what is no index
 * file, where a part lies outside, and where nodes overlap, which would make a small file endless.
 */
export function decodeIndexFile(data: Uint8Array): Map<string, readonly IndexValue[]> {
  const view = viewOf(data);
  if (data.length < INDEX_HEADER_SIZE || view.getUint32(0) !== INDEX_MAGIC)
    throw invalid('module index: not an index file');
  // A minor number says that readers of the major one can go on.
  if (view.getUint32(4) >>> 16 !== INDEX_VERSION >>> 16) {
    throw invalid(`module index: version 0x${view.getUint32(4).toString(16)}, want 0x${INDEX_VERSION.toString(16)}`);
  }
  const found = new Map<string, readonly IndexValue[]>();
  let left = data.length;
  const pending = [{ key: '', reference: view.getUint32(8) }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { key, reference } = next;
    const reader = new NodeReader(data, reference & OFFSET_MASK);
    const prefixed = (reference & HAS_PREFIX) === 0 ? key : key + reader.text();
    if (prefixed.length > MAX_KEY) throw invalid(`module index: a key of more than ${MAX_KEY} bytes`);
    const below = (reference & HAS_CHILDREN) === 0 ? [] : readChildren(reader);
    if ((reference & HAS_VALUES) !== 0) found.set(prefixed, readValues(reader));
    left -= reader.position - (reference & OFFSET_MASK);
    if (left < 0) throw invalid('module index: nodes overlap');
    for (const { character, reference: child } of below.reverse()) {
      pending.push({ key: prefixed + String.fromCharCode(character), reference: child });
    }
  }
  return found;
}

function readChildren(reader: NodeReader): { readonly character: number; readonly reference: number }[] {
  const [first, last] = [reader.u8(), reader.u8()];
  if (first > last || last >= CHARACTER_COUNT) throw invalid(`module index: children ${first} to ${last}, want 0..127`);
  const all = Array.from({ length: last - first + 1 }, (_, index) => ({
    character: first + index,
    reference: reader.u32(),
  }));
  return all.filter(({ reference }) => reference !== 0);
}

function readValues(reader: NodeReader): IndexValue[] {
  const count = reader.u32();
  const values: IndexValue[] = [];
  // Ends with the data, however large the count is.
  while (values.length < count) values.push({ priority: reader.u32(), value: reader.text() });
  return values;
}

class NodeReader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  position: number;

  constructor(data: Uint8Array, position: number) {
    this.#data = data;
    this.#view = viewOf(data);
    this.position = position;
  }

  u8(): number {
    return this.#data[this.#take(1)]!;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  text(): string {
    const start = this.position;
    const end = this.#data.indexOf(0, start);
    if (end < 0) throw invalid(`module index: text at ${start} without an end`);
    this.position = end + 1;
    return byteTextOf(this.#data.subarray(start, end));
  }

  #take(size: number): number {
    const start = this.position;
    if (start + size > this.#data.length) throw invalid(`module index: ends at ${this.#data.length}, in a node`);
    this.position = start + size;
    return start;
  }
}
