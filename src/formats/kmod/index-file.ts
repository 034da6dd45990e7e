/**
 * Binary index files, `modules.*.bin`: a trie of keys with values in the order of their priority. Numbers are 32 bits, big-endian. Keys have
 * seven-bit characters only. Source: kmod, libkmod/libkmod-index.c, which describes the format.
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { putByteText } from './byte-text.ts';

export const INDEX_MAGIC = 0xb007f457;
/** 2.1 */
export const INDEX_VERSION = 0x00020001;
/** Before the first node, bytes. */
export const INDEX_HEADER_SIZE = 12;

/** High bits of a node's offset: which of its parts are there. */
export const HAS_PREFIX = 0x80000000;
export const HAS_VALUES = 0x40000000;
export const HAS_CHILDREN = 0x20000000;
export const OFFSET_MASK = 0x0fffffff;

/** Characters of keys are below this. */
export const CHARACTER_COUNT = 128;

export interface IndexValue {
  /** Byte text without NUL. */
  readonly value: string;
  /** Lower ones are first. */
  readonly priority: number;
}

/** Where nodes stand: before what is below them as kmod 34 writes, or behind it as earlier releases did. Readers take both. */
export type NodeOrder = 'pre-order' | 'post-order';

/** Collects keys and values of an index file. */
export class IndexBuilder {
  readonly #values = new Map<string, IndexValue[]>();

  /** Of equal priorities the latest is first. Throws `invalid-input` where key or value is not ASCII, as depmod then gives up. */
  add(key: string, value: string, priority: number): void {
    for (const text of [key, value]) {
      if (!isAscii(text))
        throw invalid(`module index: ${JSON.stringify(text.slice(0, 60))} of "${value.slice(0, 60)}": want ASCII only`);
    }
    const known = this.#values.get(key);
    if (known === undefined) this.#values.set(key, [{ value, priority }]);
    else {
      let at = known.length;
      while (at > 0 && known[at - 1]!.priority >= priority) at--;
      known.splice(at, 0, { value, priority });
    }
  }

  /** Throws `invalid-input` when the file would be larger than its offsets can say. */
  encode(order: NodeOrder): Uint8Array {
    return encodeNodes(nodesOf(this.#values), order);
  }
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= CHARACTER_COUNT) return false;
  return true;
}

/** Each node stands before all below it. */
interface Node {
  readonly prefix: string;
  /** By ascending character. */
  readonly children: { readonly character: number; readonly node: Node }[];
  readonly values: readonly IndexValue[];
  /** Of itself, and of it with all below, bytes. */
  size: number;
  total: number;
  /** Where itself, and where what belongs to it begins. */
  at: number;
  start: number;
}

/** Keys `from` up to `to` of the sorted ones, which are equal up to `depth`. */
interface KeyRange {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
  readonly parent: Node | undefined;
}

/** In pre-order; the first is the root, which has no prefix. */
function nodesOf(values: ReadonlyMap<string, readonly IndexValue[]>): Node[] {
  const keys = [...values.keys()].sort();
  const nodes: Node[] = [];
  const pending: KeyRange[] = [{ from: 0, to: keys.length, depth: 0, parent: undefined }];
  for (let range = pending.pop(); range !== undefined; range = pending.pop()) {
    const { from, to, depth, parent } = range;
    const end = parent === undefined ? 0 : commonLength(keys[from]!, keys[to - 1]!, depth);
    const isKey = from < to && keys[from]!.length === end;
    const node: Node = {
      prefix: parent === undefined ? '' : keys[from]!.slice(depth, end),
      children: [],
      values: isKey ? values.get(keys[from]!)! : [],
      size: 0,
      total: 0,
      at: 0,
      start: 0,
    };
    parent?.children.push({ character: keys[from]!.charCodeAt(depth - 1), node });
    nodes.push(node);
    const below: KeyRange[] = [];
    for (let at = isKey ? from + 1 : from; at < to; ) {
      const character = keys[at]!.charCodeAt(end);
      let next = at + 1;
      while (next < to && keys[next]!.charCodeAt(end) === character) next++;
      below.push({ from: at, to: next, depth: end + 1, parent: node });
      at = next;
    }
    pending.push(...below.reverse());
  }
  return nodes;
}

/** How far two keys are equal, which are so up to `depth`. */
function commonLength(a: string, b: string, depth: number): number {
  let length = depth;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

function encodeNodes(nodes: readonly Node[], order: NodeOrder): Uint8Array {
  // Children come later in the list: backwards all sizes are known when they are needed.
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index]!;
    node.size = sizeOf(node);
    node.total = node.children.reduce((sum, { node: child }) => sum + child.total, node.size);
  }
  const root = nodes[0]!;
  root.start = INDEX_HEADER_SIZE;
  const size = INDEX_HEADER_SIZE + root.total;
  if (size > OFFSET_MASK) throw invalid(`module index: ${size} bytes, want at most ${OFFSET_MASK}`);
  const data = new Uint8Array(size);
  const view = viewOf(data);
  for (const node of nodes) {
    node.at = order === 'pre-order' ? node.start : node.start + node.total - node.size;
    let start = order === 'pre-order' ? node.start + node.size : node.start;
    for (const { node: child } of node.children) {
      child.start = start;
      start += child.total;
    }
  }
  for (const node of nodes) putNode(data, view, node);
  view.setUint32(0, INDEX_MAGIC);
  view.setUint32(4, INDEX_VERSION);
  view.setUint32(8, referenceTo(root));
  return data;
}

function sizeOf({ prefix, children, values }: Node): number {
  let size = prefix === '' ? 0 : prefix.length + 1;
  if (children.length > 0) size += 2 + 4 * (children.at(-1)!.character - children[0]!.character + 1);
  if (values.length > 0) size += 4;
  for (const { value } of values) size += 4 + value.length + 1;
  return size;
}

function referenceTo({ prefix, children, values, at }: Node): number {
  const parts =
    (prefix === '' ? 0 : HAS_PREFIX) | (children.length > 0 ? HAS_CHILDREN : 0) | (values.length > 0 ? HAS_VALUES : 0);
  return (parts | at) >>> 0;
}

function putNode(data: Uint8Array, view: DataView, node: Node): void {
  let { at } = node;
  if (node.prefix !== '') {
    putByteText(data, at, node.prefix);
    at += node.prefix.length + 1;
  }
  if (node.children.length > 0) {
    const first = node.children[0]!.character;
    const last = node.children.at(-1)!.character;
    data[at] = first;
    data[at + 1] = last;
    at += 2;
    for (const { character, node: child } of node.children)
      view.setUint32(at + 4 * (character - first), referenceTo(child));
    at += 4 * (last - first + 1);
  }
  if (node.values.length === 0) return;
  view.setUint32(at, node.values.length);
  at += 4;
  for (const { value, priority } of node.values) {
    view.setUint32(at, priority);
    putByteText(data, at + 4, value);
    at += 4 + value.length + 1;
  }
}
