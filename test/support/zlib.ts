/** The zlib streams of tests: a real library in both directions, with our errors. */
import { deflateSync, inflateSync } from 'node:zlib';
import { invalid } from '../../src/errors.ts';
import type { Inflate } from '../../src/formats/vmdk/decode.ts';
import type { Deflate } from '../../src/formats/vmdk/zlib-stream.ts';

export const deflate: Deflate = (data) => new Uint8Array(deflateSync(data, { level: 9 }));

export const inflate: Inflate = (data, limit) => {
  try {
    return new Uint8Array(inflateSync(data, { maxOutputLength: limit }));
  } catch (cause) {
    throw invalid('damaged zlib stream', { cause });
  }
};
