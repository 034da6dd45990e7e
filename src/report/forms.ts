/** Forms a report is written in, and how a file name tells them. */
import { ImagerError } from '../errors.ts';
import { type BuildReport, formatBuildReport, type ReportedAlgorithm } from './build-report.ts';
import { formatChecksums } from './checksums.ts';
import { formatCycloneDx } from './cyclonedx.ts';
import { formatProvenance } from './provenance.ts';
import { formatSpdx } from './spdx.ts';
import type { ShippedSbom } from './spdx-merge.ts';

export const REPORT_FORMS = [
  /** All of it, in a form of our own. */
  'build',
  /** An in-toto statement with SLSA provenance. */
  'provenance',
  /** The same, signed, in an envelope. */
  'attestation',
  'cyclonedx',
  'spdx',
  'sha256sums',
  'sha512sums',
] as const;
/** What a report is written as. */
export type ReportForm = (typeof REPORT_FORMS)[number];

/** A report somebody asked for. */
export interface WantedReport {
  readonly form: ReportForm;
  readonly path: string;
}

/** The first that fits counts. */
const NAMES: readonly (readonly [RegExp, ReportForm])[] = [
  [/\.intoto\.jsonl$/i, 'attestation'],
  [/\.intoto\.json$/i, 'provenance'],
  [/(?:\.cdx|(?:^|\/)bom)\.json$/i, 'cyclonedx'],
  [/\.spdx\.json$/i, 'spdx'],
  [/(?:SHA256SUMS(?:\.txt)?|\.sha256)$/i, 'sha256sums'],
  [/(?:SHA512SUMS(?:\.txt)?|\.sha512)$/i, 'sha512sums'],
  [/\.json$/i, 'build'],
];

/** `FILE`, whose name tells the form, or `FORM=FILE`. Throws `usage`. */
export function parseWantedReport(text: string): WantedReport {
  const cut = text.indexOf('=');
  const named = REPORT_FORMS.find((form) => form === text.slice(0, Math.max(0, cut)));
  const path = named === undefined ? text : text.slice(cut + 1);
  if (path === '' || path === '-' || path.endsWith('/')) {
    throw new ImagerError('usage', `flag --report ${JSON.stringify(text)}: want a file`, { hint: HINT });
  }
  const form = named ?? NAMES.find(([pattern]) => pattern.test(path))?.[1];
  if (form !== undefined) return { form, path };
  throw new ImagerError('usage', `flag --report ${JSON.stringify(text)}: its name does not tell what to write`, {
    hint: HINT,
  });
}

const HINT = `want FILE.json, .intoto.json, .intoto.jsonl, .cdx.json, .spdx.json, SHA256SUMS or SHA512SUMS, or FORM=FILE with ${REPORT_FORMS.join(', ')}`;

/** Whether what inputs ship has to be looked at. */
export function needsSboms(form: ReportForm): boolean {
  return form === 'cyclonedx' || form === 'spdx';
}

/** SHA-256 always; what takes longer only where it is asked for. */
export function neededAlgorithms(forms: readonly ReportForm[]): ReportedAlgorithm[] {
  return forms.includes('sha512sums') ? ['sha256', 'sha512'] : ['sha256'];
}

/** What a form is made from. */
export interface ReportContent {
  readonly report: BuildReport;
  readonly sboms: readonly ShippedSbom[];
  /** How a checksum file names an output. */
  readonly nameOf: (output: BuildReport['outputs'][number]) => string;
}

/** The text of a form; of an attestation what is signed. The same for the same content. */
export function formatReport(form: ReportForm, { report, sboms, nameOf }: ReportContent): string {
  const checksums = (algorithm: ReportedAlgorithm): string =>
    formatChecksums(
      report.outputs.flatMap((output) => {
        const checksum = output.digests[algorithm];
        return checksum === undefined ? [] : [{ name: nameOf(output), checksum }];
      }),
    );
  switch (form) {
    case 'build':
      return formatBuildReport(report);
    case 'provenance':
    case 'attestation':
      return formatProvenance(report);
    case 'cyclonedx':
      return formatCycloneDx(report, sboms);
    case 'spdx':
      return formatSpdx(report, sboms);
    case 'sha256sums':
      return checksums('sha256');
    case 'sha512sums':
      return checksums('sha512');
  }
}
