/**
 * Content as compressed pieces, kept in the store: what was compressed for one image is there for every other that has the same content.
 * A kept result is the packed pieces, one after the other, then for each piece its length, CRC and packed size (0: not packed), 32 bits each,
 * little-endian, then the number of pieces.
 */
import { type Bytes, slice } from '../bytes/bytes.ts';
import { structure, viewOf } from '../bytes/field.ts';
import { chunks, read } from '../bytes/read.ts';
import { KIB } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { DerivedKey } from '../oci/store/derived.ts';
import type { Store } from '../oci/store/store.ts';
import { contentKey } from './content-key.ts';
import { type Packer, type Piece, packPiece } from './packer.ts';
import type { Workplace } from './workplace.ts';

/** Smaller content is compressed again in less time than it takes to find and keep. */
const MIN_KEPT: number = 256 * KIB;

export interface PackOptions {
  readonly packer: Packer;
  /** Opened when something is to be kept. */
  readonly store: () => Promise<Store>;
  /** Runs work when there is room for it: pieces of all contents share the processors and the memory. */
  readonly room: <T>(work: () => Promise<T>) => Promise<T>;
  /** Called with bytes of content as they are done. */
  readonly onDone: (length: number) => void;
}

/** The pieces of `content`, in order. Throws what reading, the encoder and the store throw, `canceled`. */
export async function packedPieces(workplace: Workplace, content: Bytes, options: PackOptions): Promise<Piece[]> {
  const { signal } = workplace;
  if (content.size < MIN_KEPT) return Array.fromAsync(packPieces(workplace, content, options));
  const store = await options.store();
  const key = await keyOf(workplace, content, options.packer);
  let isNew = false;
  const kept = await store.derived(
    key,
    async (writer) => {
      isNew = true;
      const table: number[] = [];
      for await (const { length, crc, packed } of packPieces(workplace, content, options)) {
        table.push(length, crc, packed?.size ?? 0);
        if (packed !== undefined) for await (const chunk of chunks(packed)) await writer.write(chunk);
      }
      await writer.write(encodeTable(table));
    },
    signal === undefined ? {} : { signal },
  );
  if (!isNew) options.onDone(content.size);
  return readPieces(kept, content.size, key);
}

async function keyOf(workplace: Workplace, content: Bytes, { identity }: Packer): Promise<DerivedKey> {
  const { source, range } = await contentKey(workplace, content);
  return { source, kind: 'pieces', parameters: { identity, ...range } };
}

/** Pieces made ahead of what is written: enough to keep all processors at work, and no more memory however slow the store is. */
const PIECES_AHEAD = 8;

/** Several are made at once; they come in order. */
async function* packPieces(
  { platform, signal }: Workplace,
  content: Bytes,
  { packer, room, onDone }: PackOptions,
): AsyncGenerator<Piece, void, undefined> {
  let isStopped = false;
  const pack = async (position: number): Promise<Piece> => {
    if (isStopped || signal?.aborted === true) throw new ImagerError('canceled', 'stopped before all was compressed');
    const piece = slice(content, position, Math.min(position + packer.pieceSize, content.size));
    const packed = await packPiece(platform.compression, packer, piece);
    onDone(piece.size);
    return packed;
  };
  const tasks: Promise<Piece>[] = [];
  let next = 0;
  const fill = (): void => {
    for (; next < content.size && tasks.length < PIECES_AHEAD; next += packer.pieceSize) {
      const position = next;
      const task = room(() => pack(position));
      // A rejection is reported when its turn comes, not as an unhandled one before.
      task.catch(() => undefined);
      tasks.push(task);
    }
  };
  try {
    for (fill(); tasks.length > 0; fill()) {
      yield await tasks[0]!;
      tasks.shift();
    }
  } finally {
    isStopped = true;
    await Promise.allSettled(tasks);
  }
}

const FIELD_SIZE = 4;
const ROW_SIZE: number = 3 * FIELD_SIZE;

function encodeTable(fields: readonly number[]): Uint8Array {
  const { data, view } = structure((fields.length + 1) * FIELD_SIZE);
  for (const [index, field] of fields.entries()) view.setUint32(index * FIELD_SIZE, field, true);
  view.setUint32(fields.length * FIELD_SIZE, fields.length / 3, true);
  return data;
}

async function readPieces(kept: Bytes, size: number, { source }: DerivedKey): Promise<Piece[]> {
  const damaged = new ImagerError('io', `compressed form of ${source} in the store: damaged`, {
    hint: 'imager store verify',
  });
  if (kept.size < FIELD_SIZE) throw damaged;
  const count = viewOf(await read(kept, kept.size - FIELD_SIZE)).getUint32(0, true);
  const tableStart = kept.size - FIELD_SIZE - count * ROW_SIZE;
  if (tableStart < 0) throw damaged;
  const table = viewOf(await read(kept, tableStart, count * ROW_SIZE));
  const pieces: Piece[] = [];
  let position = 0;
  let covered = 0;
  for (let row = 0; row < table.byteLength; row += ROW_SIZE) {
    const length = table.getUint32(row, true);
    const crc = table.getUint32(row + FIELD_SIZE, true);
    const packedSize = table.getUint32(row + 2 * FIELD_SIZE, true);
    if (position + packedSize > tableStart) throw damaged;
    const packed = packedSize === 0 ? undefined : slice(kept, position, position + packedSize);
    pieces.push({ length, crc, packed });
    position += packedSize;
    covered += length;
  }
  if (position !== tableStart || covered !== size) throw damaged;
  return pieces;
}
