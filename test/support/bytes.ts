/** Bytes for tests: sources in memory that count their reads, and the same content in every representation. */
import { hash } from 'node:crypto';
import { type Bytes, concat, ofMemory, ofSource, slice, zeros } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import type { Source } from '../../src/platform/types.ts';

export interface CountingSource extends Source {
  readonly reads: { position: number; length: number }[];
}

let made = 0;

/** A source over memory; each call gives a source of its own identity. */
export function memorySource(data: Uint8Array): CountingSource {
  made++;
  const reads: { position: number; length: number }[] = [];
  return {
    key: `memory ${made}`,
    label: `memory ${made}`,
    size: data.length,
    reads,
    async read(position, into) {
      reads.push({ position, length: into.length });
      if (position + into.length > data.length) throw new ImagerError('io', `memory ${made}: too short`);
      into.set(data.subarray(position, position + into.length));
    },
  };
}

/** As `memorySource`, with a signal that is aborted by the first read from `position` on. */
export function abortingSource(
  data: Uint8Array,
  position = 0,
): { readonly source: CountingSource; readonly signal: AbortSignal } {
  const controller = new AbortController();
  const source = memorySource(data);
  const read: Source['read'] = async (at, into) => {
    if (at >= position) controller.abort();
    await source.read(at, into);
  };
  return { source: { ...source, read }, signal: controller.signal };
}

/** The first `size` bytes of SHA-256(seed || 0), SHA-256(seed || 1), ... with 64-bit big-endian counters. */
export function stream(seed: string, size: number): Uint8Array {
  const out = new Uint8Array(size);
  const input = Buffer.concat([Buffer.from(seed), Buffer.alloc(8)]);
  for (let at = 0; at < size; at += 32) {
    input.writeUIntBE(at / 32, input.length - 6, 6);
    out.set(hash('sha256', input, 'buffer').subarray(0, size - at), at);
  }
  return out;
}

/** `data` as each kind of Bytes there is: contract tests run over all of them. */
export function representations(data: Uint8Array): Readonly<Record<string, Bytes>> {
  const source = memorySource(data);
  const bytewise = Array.from(data, (_, index) => ofSource(source, index, 1));
  const mixed: Bytes[] = [];
  for (let at = 0; at < data.length; ) {
    const end = Math.min(data.length, at + 1 + (at % 7));
    const piece = data.subarray(at, end);
    if (piece.every((byte) => byte === 0)) mixed.push(zeros(piece.length));
    else mixed.push(at % 2 === 0 ? ofMemory(piece) : ofSource(source, at, end - at));
    at = end;
  }
  const padded = new Uint8Array(data.length + 20);
  padded.set(data, 10);
  return {
    memory: ofMemory(data),
    'range of a source': ofSource(source),
    'one range per byte': concat(bytewise),
    'mixed extents': concat(mixed),
    'slice of something larger': slice(ofSource(memorySource(padded)), 10, 10 + data.length),
  };
}
