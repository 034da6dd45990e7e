/** By what content is known in the store, when something made of it is to be kept. */
import type { Bytes } from '../bytes/bytes.ts';
import { digestOfContent } from './input-digest.ts';
import type { Workplace } from './workplace.ts';

export interface ContentKey {
  readonly source: string;
  /** Where it is a part of stored content. */
  readonly range?: { readonly offset: number; readonly length: number };
}

/** Content of the store is known by digest already; what is not is read for it. */
export async function contentKey(workplace: Workplace, content: Bytes): Promise<ContentKey> {
  const [only] = content.extents;
  if (content.extents.length === 1 && only?.kind === 'range' && only.source.key.startsWith('sha256:')) {
    const { source, offset, length } = only;
    return { source: source.key, range: { offset, length } };
  }
  return { source: await digestOfContent(workplace, content) };
}
