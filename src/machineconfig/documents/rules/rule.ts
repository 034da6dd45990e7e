/** What rules are, and what several kinds have in common. */
import { quoted } from '../../../yaml/diagnostic.ts';
import type { LocatedObject } from '../../decode.ts';
import { integerOf, type Report, textOf } from '../../located.ts';
import type { ConfigMode } from '../check.ts';

export interface CheckContext {
  /** Minor version of the Talos 1.x that will read the document. */
  readonly minor: number;
  readonly mode: ConfigMode;
  /** Image tags are not checked. */
  readonly local: boolean;
  /** Warnings of the root document are errors. */
  readonly strict: boolean;
}

/** Reports what is wrong with a decoded document, or a part of one. */
export type Rule = (document: LocatedObject, report: Report, context: CheckContext) => void;

/** The text of `field`, if it says something, must pass. */
export function textMust(field: string, passes: (text: string) => boolean, wish: string): Rule {
  return (document, report) => {
    const text = textOf(document, field);
    if (text !== undefined && text !== '' && !passes(text))
      report(document.fields.get(field)!, `${quoted(text)}: want ${wish}`);
  };
}

/** The number or duration of `field`, if set, must lie between the two. */
export function numberMust(field: string, least: bigint, most: bigint, wish: string): Rule {
  return (document, report) => {
    const value = integerOf(document, field);
    if (value !== undefined && (value < least || value > most)) report(document.fields.get(field)!, `want ${wish}`);
  };
}

export const NO_LIMIT: bigint = 2n ** 64n;
export const TEN_SECONDS = 10_000_000_000n;
