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

/** A node of the trie; what is below it has the key so far, its prefix and the child's character. */
interface Node {
  prefix: string;
  /** Ascending. */
  characters: number[];
  /** One for each character. */
  children: Node[];
  values: IndexValue[];
  /** Of itself, and of it with all below, bytes. */
  size: number;
  total: number;
  /** Where itself, and where what belongs to it begins. */
  at: number;
  start: number;
}

function nodeOf(prefix: string, values: IndexValue[]): Node {
  return { prefix, characters: [], children: [], values, size: 0, total: 0, at: 0, start: 0 };
}

/** Collects keys and values of an index file. */
export class IndexBuilder {
  readonly #root = nodeOf('', []);

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
        insertValue(node.values, { value, priority });
        return;
      }
      const character = key.charCodeAt(at);
      const index = node.characters.indexOf(character);
      if (index < 0) {
        insertChild(node, character, nodeOf(key.slice(at + 1), [{ value, priority }]));
        return;
      }
      node = node.children[index]!;
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
  const { prefix, characters, children, values } = node;
  node.prefix = prefix.slice(0, length);
  node.characters = [prefix.charCodeAt(length)];
  node.children = [{ ...nodeOf(prefix.slice(length + 1), values), characters, children }];
  node.values = [];
}

function insertChild({ characters, children }: Node, character: number, child: Node): void {
  let at = characters.length;
  while (at > 0 && characters[at - 1]! > character) at--;
  characters.splice(at, 0, character);
  children.splice(at, 0, child);
}

function insertValue(values: IndexValue[], value: IndexValue): void {
  let at = values.length;
  while (at > 0 && values[at - 1]!.priority >= value.priority) at--;
  values.splice(at, 0, value);
}

/** Each node before all below it. */
function inPreOrder(root: Node): Node[] {
  const nodes: Node[] = [];
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    nodes.push(node);
    for (let index = node.children.length - 1; index >= 0; index--) pending.push(node.children[index]!);
  }
  return nodes;
}

function encodeNodes(nodes: readonly Node[], order: NodeOrder): Uint8Array {
  // Children come later in the list: backwards all sizes are known when they are needed.
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index]!;
    node.size = sizeOf(node);
    node.total = node.size;
    for (const child of node.children) node.total += child.total;
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
    for (const child of node.children) {
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

function sizeOf({ prefix, characters, values }: Node): number {
  let size = prefix === '' ? 0 : prefix.length + 1;
  if (characters.length > 0) size += 2 + 4 * (characters.at(-1)! - characters[0]! + 1);
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
  const { characters, children } = node;
  if (characters.length > 0) {
    const first = characters[0]!;
    const last = characters.at(-1)!;
    data[at] = first;
    data[at + 1] = last;
    at += 2;
    for (const [index, child] of children.entries()) {
      view.setUint32(at + 4 * (characters[index]! - first), referenceTo(child));
    }
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
