/**
 * A compressed file as a `Source` over its plain content, without a plain copy: it is unpacked again up to where somebody reads. Several
 * streams stay open where they are, so that readers who each go forward do not make each other start over.
 */
import { ofSource } from '../../bytes/bytes.ts';
import { chunks } from '../../bytes/read.ts';
import { MIB } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks, Compression, Source } from '../../platform/types.ts';
import { unpackLayer } from '../layer/layer.ts';

/** As many as a pull fetches layers at once, and one for documents. */
const MAX_STREAMS = 5;

/** Unpacking this much costs less than a reader that has to start over, bytes. */
const SHORT_WAY: number = 4 * MIB;

interface Stream {
  chunks: AsyncIterator<Uint8Array>;
  /** Content that has been unpacked but not read yet, and where it begins. */
  rest: Uint8Array;
  position: number;
  busy: boolean;
}

/** The plain content of a compressed source, one stream from start to end. Throws `invalid-input` for damage. */
export function unpackedChunks(compression: Compression, packed: Source): Chunks {
  return unpackLayer(compression, chunks(ofSource(packed)), packed.size);
}

/** `size` is that of the plain content. */
export function unpackedSource(compression: Compression, packed: Source, size: number): Source {
  const streams: Stream[] = [];
  const wake: (() => void)[] = [];
  return {
    key: `${packed.key} unpacked`,
    label: packed.label,
    size,
    async read(position, into) {
      if (position + into.length > size) {
        throw new ImagerError('io', `${packed.label}: ends at ${size}, want ${position + into.length}`);
      }
      let stream = await acquire(compression, packed, streams, position);
      while (stream === undefined) {
        await new Promise<void>((resolve) => wake.push(resolve));
        stream = await acquire(compression, packed, streams, position);
      }
      try {
        await readFrom(stream, position, into, packed.label);
      } catch (error) {
        streams.splice(streams.indexOf(stream), 1);
        throw error;
      } finally {
        stream.busy = false;
        for (const resolve of wake.splice(0)) resolve();
      }
    },
  };
}

/**
 * A stream that stands at `position` or shortly before; else a new one, as another reader may want to go on where an idle stream is;
 * else the idle one nearest before. `undefined` when all are busy.
 */
async function acquire(
  compression: Compression,
  packed: Source,
  streams: Stream[],
  position: number,
): Promise<Stream | undefined> {
  const begin = (): Omit<Stream, 'busy'> => {
    const iterator = unpackedChunks(compression, packed)[Symbol.asyncIterator]();
    return { chunks: iterator, rest: new Uint8Array(), position: 0 };
  };
  const idle = streams.filter(({ busy }) => !busy).sort((a, b) => b.position - a.position);
  const before = idle.find((stream) => stream.position <= position);
  const full = streams.length === MAX_STREAMS;
  if (before !== undefined && (full || position - before.position <= SHORT_WAY)) {
    before.busy = true;
    return before;
  }
  if (full) {
    const given = idle[0];
    if (given === undefined) return undefined;
    // It keeps its place while it ends: there are never more than so many. What goes wrong at its end is nobody's any more.
    given.busy = true;
    await given.chunks.return?.()?.catch(() => undefined);
    return Object.assign(given, begin());
  }
  const stream: Stream = { ...begin(), busy: true };
  streams.push(stream);
  return stream;
}

async function readFrom(stream: Stream, position: number, into: Uint8Array, label: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    if (stream.rest.length === 0) {
      const next = await stream.chunks.next();
      if (next.done === true) throw new ImagerError('io', `${label}: ends at ${stream.position}`);
      stream.rest = next.value;
      continue;
    }
    const ahead = Math.min(position + done - stream.position, stream.rest.length);
    const piece = stream.rest.subarray(ahead, ahead + into.length - done);
    into.set(piece, done);
    done += piece.length;
    stream.rest = stream.rest.subarray(ahead + piece.length);
    stream.position += ahead + piece.length;
  }
}
