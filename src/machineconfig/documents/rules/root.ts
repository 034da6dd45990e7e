/** The root document. */
import type { Rule } from './rule.ts';

export const ROOT_RULES: readonly Rule[] = [];
