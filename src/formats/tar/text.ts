/** Names in tar archives: bytes, which we take as UTF-8 or not at all (two names must not become one by replacement). */
import { invalid } from '../../errors.ts';

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws `invalid-input` naming `what` where the bytes are no UTF-8. */
export function decodeUtf8(data: Uint8Array, what: string): string {
  try {
    return DECODER.decode(data);
  } catch (cause) {
    throw invalid(`${what}: not valid UTF-8`, { cause });
  }
}
