/** Digests of everything in an image cache: what it is checked by, and what names its content. */
import type { Bytes } from '../bytes/bytes.ts';
import { type Digest, parseDigest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { digestOf, finishDigest, type Hasher } from '../oci/digest-check.ts';
import { throwIfCanceled } from '../oci/store/receive.ts';
import type { Tree } from '../tree/tree.ts';
import { inTurn, newBlocks } from './blocks.ts';
import type { FileDigests } from './check.ts';

export interface DigestOptions {
  readonly signal?: AbortSignal;
  /** Bytes read, and of all files. */
  readonly onBytes?: (done: number, total: number) => void;
}

/** Reads every file once. Throws `io`, `canceled`. */
export async function digestFiles(hasher: Hasher, tree: Tree, options: DigestOptions = {}): Promise<FileDigests> {
  const { signal, onBytes } = options;
  const total = sizeOfFiles(tree);
  const digests = new Map<string, Digest>();
  const blocks = newBlocks();
  let done = 0;
  for (const { path, content } of filesOf(tree)) {
    const hash = hasher.hash('sha256');
    for await (const chunk of inTurn(content, blocks)) {
      throwIfCanceled(signal);
      hash.update(chunk);
      done += chunk.length;
      onBytes?.(done, total);
    }
    digests.set(path, finishDigest(hash));
  }
  return digests;
}

/** Of all files together, bytes. */
export function sizeOfFiles(tree: Tree): number {
  return filesOf(tree).reduce((sum, { content }) => sum + content.size, 0);
}

function filesOf(tree: Tree): { readonly path: string; readonly content: Bytes }[] {
  return tree.entries.flatMap((entry) => (entry.kind === 'file' ? [entry] : []));
}

/** Names the content of a cache: a JSON line for each entry in tree order, directories too, as empty ones are part of the output. */
export function digestOfCache(hasher: Hasher, tree: Tree, digests: FileDigests): Digest {
  const lines = tree.entries.map(({ kind, path }) => `${JSON.stringify([kind, path, digests.get(path)])}\n`);
  return digestOf(hasher, new TextEncoder().encode(lines.join('')));
}

/** As JSON, to be kept beside a cache that nobody changes. */
export function encodeFileDigests(digests: FileDigests): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([...digests]));
}

/** Throws `invalid-input` for anything but what `encodeFileDigests` makes. */
export function decodeFileDigests(data: Uint8Array): FileDigests {
  try {
    const pairs = JSON.parse(new TextDecoder().decode(data)) as [string, string][];
    return new Map(pairs.map(([path, digest]) => [path, parseDigest(digest)]));
  } catch (cause) {
    throw invalid('digests of an image cache: not readable', { cause });
  }
}
