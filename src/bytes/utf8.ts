/** Text of formats that do not say what their bytes mean: names and targets are UTF-8 here, or refused. */
import { invalid } from '../errors.ts';

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws `invalid-input` naming `what` when the bytes are not UTF-8. */
export function decodeUtf8(data: Uint8Array, what: string): string {
  try {
    return DECODER.decode(data);
  } catch (cause) {
    throw invalid(`${what} is not UTF-8`, { cause });
  }
}
