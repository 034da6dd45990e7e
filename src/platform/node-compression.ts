import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { Transform, TransformOptions } from 'node:stream';
import { promisify } from 'node:util';
import {
  constants,
  crc32,
  createGunzip,
  createGzip,
  createZstdDecompress,
  deflateRaw,
  gunzip,
  gunzipSync,
  inflate,
  inflateSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdCompress,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import { invalid, stopIfAborted } from '../errors.ts';
import { loadLzma2 } from './node-lzma2.ts';
import type { Chunks, Compression, NativeLzma2 } from './types.ts';

/** 1 MiB output buffers: with Node's default of 16 KiB decoding is three times slower (DEPENDENCIES.md). */
const CHUNK = 1 << 20;
/** Decoding goes on while what was decoded before is put away: that far. */
const AHEAD: ZlibOptions & TransformOptions = { chunkSize: CHUNK, readableHighWaterMark: 2 * CHUNK };

/** Loaded when first asked for: few commands need it. */
let lzma2: { readonly library: NativeLzma2 | undefined } | undefined;

/** Blocks up to this size take less time to decode than a turn through the thread pool does. Bytes. */
const AT_ONCE = 64 << 10;

/** What hardly any content is larger than, to its compressed form. */
const USUAL_RATIO = 16;

const DECODERS = {
  zlib: { atOnce: inflateSync, later: promisify<Uint8Array, ZlibOptions, Buffer>(inflate) },
  gzip: { atOnce: gunzipSync, later: promisify<Uint8Array, ZlibOptions, Buffer>(gunzip) },
  zstd: { atOnce: zstdDecompressSync, later: promisify<Uint8Array, ZstdOptions, Buffer>(zstdDecompress) },
};

/** One-shot calls run in libuv's pool, as many at once as it has threads. */
export const nodeCompression: Compression = {
  gunzip: (input, signal) => through(input, createGunzip(AHEAD), 'gzip stream', signal),
  gzip: (input, { level }, signal) => through(input, createGzip({ level, chunkSize: CHUNK }), 'gzip stream', signal),
  unzstdFrame: (input, signal) =>
    through(
      input,
      createZstdDecompress({ chunkSize: CHUNK, params: { [constants.ZSTD_d_windowLogMax]: 27 } }),
      'zstd frame',
      signal,
    ),
  deflateStretch: (data, level) =>
    promisify(deflateRaw)(data, { level, chunkSize: CHUNK, finishFlush: constants.Z_SYNC_FLUSH }),
  // Never with workers: asynchronous calls then resolve with nothing (nodejs/node#59899).
  zstdFrame: (data, level) =>
    promisify(zstdCompress)(data, {
      chunkSize: Math.min(CHUNK, zstdBound(data.length)),
      pledgedSrcSize: data.length,
      params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 },
    }),
  async unpackBlock(format, data, limit, declared = limit) {
    const { atOnce, later } = DECODERS[format];
    const expected = Math.min(declared, limit);
    // One buffer for all where the expectation is not absurd, and room for more than is there: a decoder that fills its buffer takes another one.
    const chunkSize = Math.min(expected + 64, Math.max(CHUNK, data.length * USUAL_RATIO));
    try {
      if (expected <= AT_ONCE) return atOnce(data, { chunkSize, maxOutputLength: Math.max(1, expected) });
    } catch (error) {
      // More than expected is an error only where it is more than the limit.
      if (expected === limit || !isTooLarge(error)) throw damagedBlock(format, error);
    }
    try {
      return await later(data, { chunkSize, maxOutputLength: limit });
    } catch (error) {
      throw damagedBlock(format, error);
    }
  },
  get lzma2() {
    lzma2 ??= { library: loadLzma2() };
    return lzma2.library;
  },
  parallelism: availableParallelism(),
  encoders: { deflate: `zlib ${process.versions.zlib}`, zstd: `zstd ${process.versions.zstd}` },
  crc32: (data, previous = 0) => crc32(data, previous),
};

/** What zstd needs at most for `size` bytes, and a little: one output buffer of the right size, where a piece is small. */
function zstdBound(size: number): number {
  return size + (size >>> 8) + 1024;
}

/**
 * `input` through a transform; a decoding error becomes `invalid-input`, an error of the input stays what it is. While a chunk of
 * it is used, the next one is asked for, and no further.
 */
async function* through(input: Chunks, transform: Transform, what: string, signal?: AbortSignal): Chunks {
  let inputError: { readonly error: unknown } | undefined;
  const feed = async (): Promise<void> => {
    try {
      let used: Promise<void> | undefined;
      for await (const chunk of input) {
        await used;
        if (transform.destroyed) return;
        // Called back with an error when the transform is destroyed: whoever destroyed it knows.
        used = new Promise((resolve) => transform.write(chunk, () => resolve()));
      }
      transform.end();
    } catch (error) {
      inputError = { error };
      transform.destroy();
    }
  };
  // Not waited for: it may be waiting for input that does not come.
  void feed();
  try {
    for await (const chunk of transform) {
      stopIfAborted(signal, 'compression');
      yield chunk as Uint8Array;
    }
  } catch (error) {
    if (inputError !== undefined) throw (inputError as { readonly error: unknown }).error;
    if (isZlibError(error)) throw invalid(`damaged ${what}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    transform.destroy();
  }
}

function damagedBlock(format: string, error: unknown): unknown {
  if (!isZlibError(error) && !isTooLarge(error)) return error;
  return invalid(`damaged ${format} block: ${error.message}`, { cause: error });
}

function isTooLarge(error: unknown): error is Error {
  return error instanceof RangeError && 'code' in error;
}

function isZlibError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(Z_|ZSTD_|ERR_ZSTD|ERR_STREAM_PREMATURE)/.test(error.code)
  );
}
