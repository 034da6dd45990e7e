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

/** A value of a node, and the one that was added before it. */
interface ListedValue extends IndexValue {
  readonly previous: ListedValue | undefined;
}

/**
 * A node of the trie; what is below it has the key so far, its prefix and the child's character. Linked, not with arrays: nearly all of a tree's
 * hundred thousand nodes have no child and one value.
 */
interface Node {
  prefix: string;
  /** What leads to it from its parent. */
  character: number;
  /** By ascending characters. */
  firstChild: Node | undefined;
  nextSibling: Node | undefined;
  lastValue: ListedValue | undefined;
  /** Of itself, and of it with all below, bytes. */
  size: number;
  total: number;
  /** Where itself, and where what belongs to it begins. */
  at: number;
  start: number;
}

function nodeOf(prefix: string, character: number, lastValue: ListedValue | undefined): Node {
  return {
    prefix,
    character,
    firstChild: undefined,
    nextSibling: undefined,
    lastValue,
    size: 0,
    total: 0,
    at: 0,
    start: 0,
  };
}

/** Collects keys and values of an index file. */
export class IndexBuilder {
  readonly #root = nodeOf('', 0, undefined);

  /** Of equal priorities the latest is first. Throws `invalid-input` where key or value is not ASCII, as depmod then gives up. */
  add(key: string, value: string, priority: number): void {
    checkAscii(key, value);
    checkAscii(value, value);
    let node = this.#root;
    for (let at = 0; ; at++) {
      const { prefix } = node;
      let length = 0;
      // Past the end of the key there is no number, and so no equal one.
      while (length < prefix.length && prefix.charCodeAt(length) === key.charCodeAt(at + length)) length++;
      if (length < prefix.length) splitNode(node, length);
      at += length;
      if (at === key.length) {
        node.lastValue = { value, priority, previous: node.lastValue };
        return;
      }
      const character = key.charCodeAt(at);
      let before: Node | undefined;
      let child = node.firstChild;
      for (; child !== undefined && child.character < character; child = child.nextSibling) before = child;
      if (child?.character !== character) {
        const leaf = nodeOf(key.slice(at + 1), character, { value, priority, previous: undefined });
        leaf.nextSibling = child;
        if (before === undefined) node.firstChild = leaf;
        else before.nextSibling = leaf;
        return;
      }
      node = child;
    }
  }

  /** Throws `invalid-input` when the file would be larger than its offsets can say. */
  encode(order: NodeOrder): Uint8Array {
    return encodeNodes(inPreOrder(this.#root), order);
  }
}

const ASCII = /^[\0-\x7f]*$/;

function checkAscii(text: string, value: string): void {
  if (ASCII.test(text)) return;
  throw invalid(`module index: ${JSON.stringify(text.slice(0, 60))} of "${value.slice(0, 60)}": want ASCII only`);
}

/** Cuts the prefix: what the node was becomes its only child. */
function splitNode(node: Node, length: number): void {
  const { prefix, firstChild, lastValue } = node;
  const rest = nodeOf(prefix.slice(length + 1), prefix.charCodeAt(length), lastValue);
  rest.firstChild = firstChild;
  node.prefix = prefix.slice(0, length);
  node.firstChild = rest;
  node.lastValue = undefined;
}

/** Each node before all below it. */
function inPreOrder(root: Node): Node[] {
  const nodes: Node[] = [];
  const pending: Node[] = [];
  for (let node: Node | undefined = root; node !== undefined; node = pending.pop()) {
    nodes.push(node);
    if (node.nextSibling !== undefined) pending.push(node.nextSibling);
    if (node.firstChild !== undefined) pending.push(node.firstChild);
  }
  return nodes;
}

function encodeNodes(nodes: readonly Node[], order: NodeOrder): Uint8Array {
  // Children come later in the list: backwards all sizes are known when they are needed.
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index]!;
    node.size = sizeOf(node);
    node.total = node.size;
    for (let child = node.firstChild; child !== undefined; child = child.nextSibling) node.total += child.total;
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
    for (let child = node.firstChild; child !== undefined; child = child.nextSibling) {
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

function sizeOf({ prefix, firstChild, lastValue }: Node): number {
  let size = prefix === '' ? 0 : prefix.length + 1;
  if (firstChild !== undefined) size += 2 + 4 * (lastOf(firstChild) - firstChild.character + 1);
  if (lastValue !== undefined) size += 4;
  for (let one = lastValue; one !== undefined; one = one.previous) size += 4 + one.value.length + 1;
  return size;
}

/** The highest character of a child and its siblings. */
function lastOf(child: Node): number {
  let last = child;
  while (last.nextSibling !== undefined) last = last.nextSibling;
  return last.character;
}

function referenceTo({ prefix, firstChild, lastValue, at }: Node): number {
  const parts =
    (prefix === '' ? 0 : HAS_PREFIX) |
    (firstChild === undefined ? 0 : HAS_CHILDREN) |
    (lastValue === undefined ? 0 : HAS_VALUES);
  return (parts | at) >>> 0;
}

function putNode(data: Uint8Array, view: DataView, { prefix, firstChild, lastValue, at: start }: Node): void {
  let at = start;
  if (prefix !== '') {
    putByteText(data, at, prefix);
    at += prefix.length + 1;
  }
  if (firstChild !== undefined) {
    const first = firstChild.character;
    const last = lastOf(firstChild);
    data[at] = first;
    data[at + 1] = last;
    at += 2;
    for (let child: Node | undefined = firstChild; child !== undefined; child = child.nextSibling) {
      view.setUint32(at + 4 * (child.character - first), referenceTo(child));
    }
    at += 4 * (last - first + 1);
  }
  if (lastValue === undefined) return;
  const values = inOrder(lastValue);
  view.setUint32(at, values.length);
  at += 4;
  for (const { value, priority } of values) {
    view.setUint32(at, priority);
    putByteText(data, at + 4, value);
    at += 4 + value.length + 1;
  }
}

/** By priority; of equal ones the latest is first, as it is in the list. */
function inOrder(last: ListedValue): readonly IndexValue[] {
  const values: IndexValue[] = [];
  for (let one: ListedValue | undefined = last; one !== undefined; one = one.previous) values.push(one);
  return values.sort((a, b) => a.priority - b.priority);
}
