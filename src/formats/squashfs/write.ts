/**
 * Squashfs images from Trees, as mksquashfs lays them out: contents, inodes, listings, fragments, inode positions by number, identifiers, attributes.
 * Contents are compressed as they come and go to a sink, so that memory stays bounded: of all else there is little.
 */
import { type Bytes, concat, ofMemory, padToMultiple, slice } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import type { StreamSink } from '../../bytes/write.ts';
import { invalid, stopIfAborted } from '../../errors.ts';
import type { Platform } from '../../platform/types.ts';
import type { Tree } from '../../tree/tree.ts';
import { blockEncoder, type CompressorChoice } from './compressor.ts';
import { type ContentServices, Contents, type PlacedContent } from './contents.ts';
import { DataWriter } from './data-writer.ts';
import { checkTime, encodeInodes, ID_SIZE } from './inode-tables.ts';
import { encodeLookupTable } from './lookup-table.ts';
import { storedMetadataBlock } from './metadata.ts';
import { type Node, type Nodes, nodesOf } from './nodes.ts';
import { BLOCK_SIZE, encodeSuperblock, FLAG, SUPERBLOCK_SIZE } from './superblock.ts';

export interface SquashfsOptions {
  readonly compressor: CompressorChoice;
  /** When the image was made, seconds since 1970. Modification times are the entries' own. */
  readonly epoch: number;
  /** Bytes, a power of two from 4096 to 1 MiB; 128 KiB unless given. */
  readonly blockSize?: number;
}

/** What of the machine is needed. */
export type Machine = Pick<Platform, 'compression' | 'hash'>;

/** What a write may be watched and stopped by. */
export interface SquashfsWatch {
  readonly signal?: AbortSignal;
  /** Called with bytes of the files' content as they are dealt with; all of them together are the sum of the files' sizes, hard links counted once. */
  readonly onDone?: (length: number) => void;
}

/** Images end at a multiple of this, so that they can be attached as a disk. Bytes. */
const PADDING = 4096;

/** Revised when the same tree gives another image. */
const REVISION = 1;

/** Names the maker with all that an image depends on, tree and options apart. */
export function squashfsMaker(options: SquashfsOptions, { compression }: Pick<Platform, 'compression'>): string {
  return `squashfs ${REVISION}, ${blockEncoder(options.compressor, compression).identity}`;
}

/** The whole image, in memory: for small trees. Throws as `writeSquashfs` does. */
export async function squashTree(
  tree: Tree,
  options: SquashfsOptions,
  machine: Machine,
  watch: SquashfsWatch = {},
): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  const sink = { write: async (chunk: Uint8Array) => void parts.push(chunk) };
  await writeSquashfs(tree, options, machine, sink, watch);
  return squashfsOf(concat(parts.map(ofMemory)));
}

/** The image, from what `writeSquashfs` wrote. */
export function squashfsOf(written: Bytes): Bytes {
  const end = written.size - SUPERBLOCK_SIZE;
  return padToMultiple(concat([slice(written, end), slice(written, 0, end)]), PADDING);
}

/**
 * Writes all of an image but its padding, the super block last, because it says where everything is: `squashfsOf` puts it first. The same tree and
 * options give the same bytes, whatever the machine does at once. Throws `invalid-input` for names, targets, times, owners and devices that squashfs
 * cannot hold, `unsupported` for attributes other than of user, trusted and security, what the sink and the contents throw, and the signal's reason.
 */
export async function writeSquashfs(
  tree: Tree,
  options: SquashfsOptions,
  machine: Machine,
  sink: StreamSink,
  { signal, onDone = () => undefined }: SquashfsWatch = {},
): Promise<void> {
  const { blockSize = BLOCK_SIZE, epoch } = options;
  checkBlockSize(blockSize);
  const encoder = blockEncoder(options.compressor, machine.compression);
  const nodes = nodesOf(tree);
  const compressorOptions = encoder.options === undefined ? undefined : storedMetadataBlock(encoder.options);
  if (compressorOptions !== undefined) await sink.write(compressorOptions);
  const start = SUPERBLOCK_SIZE + (compressorOptions?.length ?? 0);
  const writer = new DataWriter(sink, start, {
    blockSize,
    pack: encoder.pack,
    parallelism: machine.compression.parallelism,
    signal,
  });
  const { placed, fragments } = await writeContents(nodes, writer, blockSize, {
    hash: () => machine.hash('sha256'),
    onDone,
  });
  const tables = await encodeInodes(nodes, placed, encoder);
  let position = writer.position;
  const append = async (data: Uint8Array): Promise<number> => {
    const at = position;
    position += data.length;
    if (data.length > 0) await sink.write(data);
    return at;
  };
  const appendTable = async (entries: Uint8Array): Promise<number> => {
    const { blocks, positions } = await encodeLookupTable(entries, position, encoder.pack);
    await append(blocks);
    return append(positions);
  };
  const inodeTable = await append(tables.inodes);
  const directoryTable = await append(tables.directories);
  const fragmentTable = await appendTable(joinMemory(fragments));
  const exportTable = await appendTable(tables.references);
  const idTable = await appendTable(tables.ids);
  const attributes = await tables.attributes.finish(position);
  if (attributes !== undefined) await append(attributes.data);
  stopIfAborted(signal, 'packing');
  await sink.write(
    encodeSuperblock({
      inodes: nodes.all.length,
      epoch: checkTime(epoch, 'squashfs image'),
      blockSize,
      fragments: fragments.length,
      compressor: encoder.name,
      flags: FLAG.duplicatesRemoved | FLAG.exportable | (compressorOptions === undefined ? 0 : FLAG.compressorOptions),
      ids: tables.ids.length / ID_SIZE,
      rootInode: tables.root,
      size: position,
      idTable,
      attributeTable: attributes?.header,
      inodeTable,
      directoryTable,
      fragmentTable,
      exportTable,
    }),
  );
}

function checkBlockSize(blockSize: number): void {
  if (Number.isInteger(Math.log2(blockSize)) && blockSize >= 4096 && blockSize <= 1048576) return;
  throw invalid(`squashfs block size ${blockSize}: want a power of two from 4096 to 1048576`);
}

async function writeContents(
  { all }: Nodes,
  writer: DataWriter,
  blockSize: number,
  services: ContentServices,
): Promise<{ readonly placed: ReadonlyMap<Node, PlacedContent>; readonly fragments: readonly Uint8Array[] }> {
  const files = all.flatMap((node) => (node.entry.kind === 'file' ? [{ node, content: node.entry.content }] : []));
  const contents = new Contents(
    writer,
    blockSize,
    files.map(({ content }) => content),
    services,
  );
  const placed = new Map<Node, PlacedContent>();
  for (const { node, content } of files) placed.set(node, await contents.place(content));
  return { placed, fragments: await contents.finish() };
}
