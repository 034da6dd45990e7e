/** What tells that two contents are the same without reading either. */
import type { Bytes } from './bytes.ts';

/** Equal texts, equal bytes; `undefined` where memory is in it. */
export function identityOf({ extents }: Bytes): string | undefined {
  const parts: (string | number)[] = [];
  for (const extent of extents) {
    if (extent.kind === 'memory') return undefined;
    if (extent.kind === 'zeros') parts.push(extent.length);
    else parts.push(extent.source.key, extent.offset, extent.length);
  }
  return JSON.stringify(parts);
}
