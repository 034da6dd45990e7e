/** Documents against each other. */
import type { Problem } from '../../yaml/diagnostic.ts';
import type { ConfigDocument } from './load.ts';
import type { CheckContext } from './rules/rule.ts';

export function streamRules(_documents: readonly ConfigDocument[], _context: CheckContext): readonly Problem[] {
  return [];
}
