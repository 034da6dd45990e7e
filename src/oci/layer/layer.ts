/** A layer's blob to its plain tar: compression told by the first bytes, bombs stopped while they unfold. */

import type { Digest } from '../../bytes/units.ts';
import { GIB, MIB } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { isZstd, unzstd } from '../../formats/zstd/frame-walker.ts';
import type { Chunks, Compression } from '../../platform/types.ts';
import type { Descriptor } from '../image-source.ts';
import type { ImageConfig, ImageManifest } from '../manifest.ts';
import { layerKind } from '../media-types.ts';

export interface UnpackLimits {
  /** Of one uncompressed layer, bytes. */
  readonly bytes: number;
  /** Uncompressed to compressed size; gzip reaches 1032 on zeros, real layers stay below 20. */
  readonly ratio: number;
  /** Below this the ratio does not matter, bytes. */
  readonly ratioFrom: number;
}

export const UNPACK_LIMITS: UnpackLimits = { bytes: 64 * GIB, ratio: 200, ratioFrom: 512 * MIB };

export interface ImageLayer {
  readonly descriptor: Descriptor;
  /** Digest of the plain tar. */
  readonly diffId: Digest;
}

/**
 * The layers of an image, lowest first, with the digests of their plain forms. Throws `unsupported` for a media type that is no layer
 * or one that may not be in registries, `invalid-input` when manifest and configuration disagree on their number, `verification`
 * when the same layer is said to unpack to two things.
 */
export function layersOf(manifest: ImageManifest, config: ImageConfig, what: string): ImageLayer[] {
  for (const { mediaType, digest } of manifest.layers) {
    const kind = layerKind(mediaType);
    if (kind === 'unknown') throw new ImagerError('unsupported', `${what}: layer ${digest} of type ${mediaType}`);
    if (kind === 'foreign') {
      throw new ImagerError('unsupported', `${what}: layer ${digest} is not distributable (${mediaType})`, {
        hint: 'build the image without foreign layers',
      });
    }
  }
  if (manifest.layers.length !== config.diffIds.length) {
    throw invalid(`${what}: ${manifest.layers.length} layers, its config lists ${config.diffIds.length}`);
  }
  const layers = manifest.layers.map((descriptor, index) => ({ descriptor, diffId: config.diffIds[index]! }));
  const plain = new Map<string, Digest>();
  for (const { descriptor, diffId } of layers) {
    const known = plain.get(descriptor.digest) ?? diffId;
    if (known !== diffId) {
      throw new ImagerError(
        'verification',
        `${what}: layer ${descriptor.digest} unpacks to ${known} and to ${diffId}, says its config`,
      );
    }
    plain.set(descriptor.digest, diffId);
  }
  return layers;
}

/**
 * The plain bytes of a layer of `size` compressed bytes. Throws `invalid-input` for damaged compression and above the limits.
 */
export async function* unpackLayer(
  compression: Compression,
  input: Chunks,
  size: number,
  limits: UnpackLimits = UNPACK_LIMITS,
): AsyncGenerator<Uint8Array, void, undefined> {
  const limit = Math.min(limits.bytes, Math.max(limits.ratioFrom, size * limits.ratio));
  let done = 0;
  for await (const chunk of unpack(compression, input)) {
    done += chunk.length;
    if (done > limit) {
      throw invalid(`layer of ${size} bytes unpacks to more than ${limit} bytes`, {
        hint: 'this looks like a decompression bomb',
      });
    }
    yield chunk;
  }
}

async function* unpack(compression: Compression, input: Chunks): Chunks {
  const iterator = input[Symbol.asyncIterator]();
  try {
    const start: Uint8Array[] = [];
    let length = 0;
    while (length < 4) {
      const next = await iterator.next();
      if (next.done === true) break;
      start.push(next.value);
      length += next.value.length;
    }
    const whole = resume(start, iterator);
    const magic = Uint8Array.from(start.flatMap((chunk) => [...chunk.subarray(0, 4)]).slice(0, 4));
    if (magic[0] === 0x1f && magic[1] === 0x8b) yield* compression.gunzip(whole);
    else if (isZstd(magic)) yield* unzstd(compression, whole);
    else yield* whole;
  } finally {
    await iterator.return?.();
  }
}

async function* resume(start: readonly Uint8Array[], iterator: AsyncIterator<Uint8Array>): Chunks {
  yield* start;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}
