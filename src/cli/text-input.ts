/** Texts from outside: bounded while they come in, and refused when they are no UTF-8. */
import { invalid } from '../errors.ts';
import type { Chunks } from '../platform/types.ts';

/** All of `chunks` as text. `what` names it in messages; `limit` is in bytes. Throws `invalid-input`. */
export async function readText(chunks: Chunks, limit: number, what: string): Promise<string> {
  return decodeText(await readAll(chunks, limit, what), what);
}

/** All of `chunks`. Throws `invalid-input` above `limit` bytes. */
export async function readAll(chunks: Chunks, limit: number, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > limit) throw invalid(`${what}: more than ${limit} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/** A byte order mark stays: it is part of a META value. Throws `invalid-input`. */
export function decodeText(data: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (cause) {
    throw invalid(`${what}: not valid UTF-8, want text`, { cause });
  }
}
