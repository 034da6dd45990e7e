/** Putting a compressed container together from pieces of content that were compressed once. */
import { type Bytes, slice } from '../bytes/bytes.ts';
import { layoutGzip, type MemberPart } from '../formats/gzip/layout-member.ts';
import { layoutSparseTar } from '../formats/tar/sparse-member.ts';
import { layoutXz, type StreamPart } from '../formats/xz/layout-stream.ts';
import { MAX_WINDOW } from '../formats/zstd/block.ts';
import { type FramePart, layoutZstdFrame } from '../formats/zstd/layout-frame.ts';
import { findRepeats } from '../formats/zstd/repeats.ts';
import type { Store } from '../oci/store/store.ts';
import type { CompressedFormat, PlannedCompression } from './compression.ts';
import { type PackOptions, packedPieces } from './packed-content.ts';
import { deflatePacker, lzma2Packer, type Packer, type Piece, zstdPacker } from './packer.ts';
import { cutSegments, type Segment } from './segments.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

/** What goes into a container. */
export interface PlainContent {
  readonly bytes: Bytes;
  /** File name, before the suffix of the container. */
  readonly name: string;
  /** Seconds since 1970. */
  readonly epoch: number;
}

export interface CompressedContent {
  readonly mediaType: string;
  readonly bytes: Bytes;
}

/**
 * `content` in one container any stock decompressor reads whole. Its pieces are compressed once for each content and kept in the store; what is compressed already and
 * runs of zeros are not compressed, in `.zst` repeats are references. The result refers to `content` and to the store. Throws
 * what reading and the store throw, `canceled`.
 */
export async function compressContent(
  workplace: Workplace,
  content: PlainContent,
  { format, level }: Pick<PlannedCompression, 'format' | 'level'>,
): Promise<CompressedContent> {
  const { mediaType, compress } = CONTAINERS[format];
  return { mediaType, bytes: await compress(workplace, content, level) };
}

interface Container {
  readonly mediaType: string;
  readonly compress: (workplace: Workplace, content: PlainContent, level: number) => Promise<Bytes>;
}

const CONTAINERS = {
  '.zst': { mediaType: 'application/zstd', compress: toZstd },
  '.xz': { mediaType: 'application/x-xz', compress: toXz },
  '.gz': {
    mediaType: 'application/gzip',
    compress: (workplace, { bytes, name }, level) => gzipContent(workplace, bytes, gzipPacker(workplace, level), name),
  },
  // Upstream's names: the archive gets none, the disk in it always this one.
  '.tar.gz': {
    mediaType: 'application/gzip',
    compress: (workplace, { bytes, epoch }, level) => {
      const archive = layoutSparseTar({ name: 'disk.raw', content: bytes, mode: 0o644, mtime: epoch });
      return gzipContent(workplace, archive, gzipPacker(workplace, level));
    },
  },
} as const satisfies Record<CompressedFormat, Container>;

async function toZstd(workplace: Workplace, { bytes }: PlainContent, level: number): Promise<Bytes> {
  const spans: (Segment | FramePart)[] = [];
  let position = 0;
  for (const { at, length, distance } of findRepeats(bytes, MAX_WINDOW)) {
    spans.push(...cutSegments(slice(bytes, position, at)), { kind: 'repeat', length, distance });
    position = at + length;
  }
  spans.push(...cutSegments(slice(bytes, position)));
  const packer = zstdPacker(workplace.platform.compression, level);
  const parts = await packSpans<FramePart>(workplace, spans, packer, (content, { length, packed }) =>
    packed === undefined ? { kind: 'raw', content } : { kind: 'segment', length, blocks: packed },
  );
  return layoutZstdFrame(parts);
}

function gzipPacker({ platform }: Workplace, level: number): Packer {
  return deflatePacker(platform.compression, level);
}

/** One gzip member of pieces that `packer` makes raw deflate of. Throws as `compressContent`. */
export async function gzipContent(workplace: Workplace, bytes: Bytes, packer: Packer, name?: string): Promise<Bytes> {
  const parts = await packWhole<MemberPart>(workplace, bytes, packer, (stretch, { length, crc }) => {
    return { kind: 'deflated', length, crc, stretch };
  });
  return layoutGzip(parts, name === undefined ? {} : { name });
}

async function toXz(workplace: Workplace, { bytes }: PlainContent, level: number): Promise<Bytes> {
  const parts = await packWhole<StreamPart>(workplace, bytes, lzma2Packer(level), (chunks, { length, crc }) => {
    return { kind: 'compressed', length, crc, chunks };
  });
  return layoutXz(parts);
}

interface StoredPart {
  readonly kind: 'stored';
  readonly content: Bytes;
  readonly crc: number;
}

/** The parts of all of `bytes`: what does not shrink is stored. */
function packWhole<Part extends { readonly kind: string }>(
  workplace: Workplace,
  bytes: Bytes,
  packer: Packer,
  packedPart: (packed: Bytes, piece: Piece) => Part,
): Promise<(Part | StoredPart)[]> {
  return packSpans<Part | StoredPart>(workplace, cutSegments(bytes), packer, (content, piece) => {
    const { crc, packed } = piece;
    return packed === undefined ? { kind: 'stored', content, crc } : packedPart(packed, piece);
  });
}

/** As many as libuv's pool has threads; each piece may hold a few MiB. */
const PIECES_AT_ONCE = 4;
const CONTENTS_AT_ONCE = 4;

type ContentSpan = Extract<Segment, { readonly kind: 'content' }>;

/** The parts of a container: content by its pieces, as `partOf` makes one of each; all else as it is. The first failure stops the rest. */
async function packSpans<Part extends { readonly kind: string }>(
  workplace: Workplace,
  spans: readonly (Part | Segment)[],
  packer: Packer,
  partOf: (content: Bytes, piece: Piece) => Part,
): Promise<Part[]> {
  const failed = new AbortController();
  const signals = [failed.signal, ...(workplace.signal === undefined ? [] : [workplace.signal])];
  const stoppable = { ...workplace, signal: AbortSignal.any(signals) };
  const options = packOptions(stoppable, packer, spans);
  const inTurn = limit(CONTENTS_AT_ONCE);
  let failure: unknown;
  const packed = spans.map((span) => {
    if (!isContent(span)) return [span as Part];
    return inTurn(async () => {
      const pieces = await packedPieces(stoppable, span.content, options);
      return partsOfContent(span.content, pieces, partOf);
    }).catch((error: unknown) => {
      failure ??= error;
      failed.abort();
      return [];
    });
  });
  const parts = (await Promise.all(packed)).flat();
  if (failure !== undefined) throw failure;
  return parts;
}

function packOptions(
  workplace: Workplace,
  packer: Packer,
  spans: readonly ({ readonly kind: string } | Segment)[],
): PackOptions {
  const total = spans.reduce((sum, span) => sum + (isContent(span) ? span.content.size : 0), 0);
  let done = 0;
  let store: Promise<Store> | undefined;
  return {
    packer,
    store() {
      store ??= openWorkplaceStore(workplace);
      return store;
    },
    room: limit(PIECES_AT_ONCE),
    onDone(length) {
      done += length;
      workplace.onProgress?.({ task: 'compressing', done, total, unit: 'bytes' });
    },
  };
}

function isContent(span: { readonly kind: string }): span is ContentSpan {
  return span.kind === 'content';
}

function partsOfContent<Part>(
  content: Bytes,
  pieces: readonly Piece[],
  partOf: (content: Bytes, piece: Piece) => Part,
): Part[] {
  let position = 0;
  return pieces.map((piece) => {
    const start = position;
    position += piece.length;
    return partOf(slice(content, start, position), piece);
  });
}

/** Runs at most `count` pieces of work at once, the others when it is their turn. */
function limit(count: number): PackOptions['room'] {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running === count) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      // Whoever waits longest takes over the place.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
