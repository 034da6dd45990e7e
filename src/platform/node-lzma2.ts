/** LZMA2 of the optional native package: there on the systems that have a build of it, and where optional packages were installed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { invalid, stopIfAborted } from '../errors.ts';
import type { Chunks, NativeLzma2 } from './types.ts';

const PACKAGE = '@napi-rs/lzma';

type Library = typeof import('@napi-rs/lzma');

/** `undefined` where the package cannot be loaded. */
export function loadLzma2(): NativeLzma2 | undefined {
  const require = createRequire(import.meta.url);
  try {
    const { lzma2, xz } = require(PACKAGE) as Library;
    return {
      encoder: `${PACKAGE} ${versionOf(require.resolve(PACKAGE))}`,
      // Streams, because only they have the work done by another thread and let the dictionary be chosen.
      async encode(data, { preset, dictionarySize }) {
        const parts: Uint8Array[] = [];
        const stream = lzma2.compressStream(streamOf(data), { preset, dictSize: dictionarySize });
        for await (const part of stream) parts.push(part);
        return Buffer.concat(parts);
      },
      async *decode(chunks, dictionarySize) {
        yield* watched(lzma2.decompressStream(streamOf(chunks), { dictSize: dictionarySize }), 'LZMA2 chunks');
      },
      async unxzAtOnce(stream) {
        try {
          return await xz.decompress(stream);
        } catch (cause) {
          throw damaged('xz stream', cause);
        }
      },
      async *unxz(input, signal) {
        let inputError: { readonly error: unknown } | undefined;
        const source = ReadableStream.from(
          (async function* (): Chunks {
            try {
              yield* input;
            } catch (error) {
              inputError = { error };
              throw error;
            }
          })(),
        );
        try {
          yield* watched(xz.decompressStream(source), 'xz stream', signal);
        } catch (error) {
          throw inputError === undefined ? error : inputError.error;
        }
      },
    };
  } catch {
    return undefined;
  }
}

/** The package does not export its description, which lies beside its entry. */
function versionOf(entry: string): string {
  const { version } = JSON.parse(readFileSync(join(dirname(entry), 'package.json'), 'utf8')) as { version: string };
  return version;
}

function streamOf(data: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (data.length > 0) controller.enqueue(data);
      controller.close();
    },
  });
}

/** What the library does not like is damage: it has no errors of its own kind. */
async function* watched(output: ReadableStream<Uint8Array>, what: string, signal?: AbortSignal): Chunks {
  try {
    for await (const chunk of output) {
      stopIfAborted(signal, 'compression');
      yield chunk;
    }
  } catch (cause) {
    stopIfAborted(signal, 'compression');
    throw damaged(what, cause);
  }
}

function damaged(what: string, cause: unknown): Error {
  return invalid(`damaged ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
