/** The report as an SPDX 2.3 document: outputs, inputs, and what the documents of inputs say they consist of. Source: SPDX specification 2.3. */
import {
  allInputs,
  type BuildReport,
  type ReportedInput,
  type ReportedOutput,
  type ReportedVerification,
  reportTime,
} from './build-report.ts';
import { uuidOfText } from './json.ts';
import { packageUrlOf } from './package-url.ts';
import type { SpdxChecksum, SpdxPackage, SpdxRelationship } from './spdx-document.ts';
import { isPartOf, partsOf, type SbomPart, type ShippedSbom } from './spdx-merge.ts';

const DOCUMENT = 'SPDXRef-DOCUMENT';

/** The site the specification gives to documents whose makers have none. */
const NAMESPACE = 'https://spdx.org/spdxdocs/';

/** JSON in two-space indents. The namespace is derived from the content. */
export function formatSpdx(report: BuildReport, sboms: readonly ShippedSbom[]): string {
  const { tool, outputs } = report;
  const inputs = allInputs(report);
  const parts = partsOf(sboms);
  const name = outputs.map((output) => output.name).join(', ');
  const content = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name,
    creationInfo: { created: reportTime(report), creators: [`Tool: ${tool.name}-${tool.version}`] },
    packages: [
      ...outputs.map((output, index) => outputPackage(output, index, report)),
      ...inputs.map((input, index) => inputPackage(input, index, parts)),
      ...parts.flatMap(({ packages }) => packages),
    ],
    ...unlessEmpty(
      'files',
      parts.flatMap(({ files }) => files),
    ),
    relationships: [
      ...outputs.map((_, index) => relationship(DOCUMENT, 'DESCRIBES', outputId(index))),
      ...outputs.flatMap((_, output) =>
        inputs.map((_, input) => relationship(outputId(output), 'GENERATED_FROM', inputId(input))),
      ),
      ...inputs.flatMap((input, index) =>
        parts
          .filter((part) => isPartOf(part, input))
          .flatMap(({ described }) => described.map((id) => relationship(inputId(index), 'CONTAINS', id))),
      ),
      ...parts.flatMap(({ relationships }) => relationships),
    ],
    ...unlessEmpty(
      'hasExtractedLicensingInfos',
      parts.flatMap(({ licenses }) => licenses),
    ),
    ...unlessEmpty(
      'externalDocumentRefs',
      parts.flatMap(({ externalDocuments }) => externalDocuments),
    ),
  };
  const { spdxVersion, dataLicense, SPDXID, ...rest } = content;
  const documentNamespace = `${NAMESPACE}${tool.name}-${uuidOfText(JSON.stringify(content))}`;
  return `${JSON.stringify({ spdxVersion, dataLicense, SPDXID, documentNamespace, ...rest }, null, 2)}\n`;
}

function unlessEmpty<Item>(name: string, list: readonly Item[]): Readonly<Record<string, readonly Item[]>> {
  return list.length === 0 ? {} : { [name]: list };
}

function outputId(index: number): string {
  return `SPDXRef-output-${index + 1}`;
}

function inputId(index: number): string {
  return `SPDXRef-input-${index + 1}`;
}

function relationship(from: string, relationshipType: string, to: string): SpdxRelationship {
  return { spdxElementId: from, relationshipType, relatedSpdxElement: to };
}

function outputPackage(
  { name, mediaType, digests }: ReportedOutput,
  index: number,
  { builds }: BuildReport,
): SpdxPackage {
  return {
    name,
    SPDXID: outputId(index),
    ...(builds[0] === undefined ? {} : { versionInfo: builds[0].talosVersion }),
    packageFileName: name,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    checksums: Object.entries(digests).map(([algorithm, checksumValue]) => ({
      algorithm: algorithm.toUpperCase(),
      checksumValue,
    })),
    licenseConcluded: 'NOASSERTION',
    copyrightText: 'NOASSERTION',
    primaryPackagePurpose: 'OPERATING_SYSTEM',
    comment: `media type ${mediaType}`,
  };
}

function inputPackage(input: ReportedInput, index: number, parts: readonly SbomPart[]): SpdxPackage {
  const { role, from, digest, image } = input;
  const purl = packageUrlOf(input);
  const files = parts.filter((part) => isPartOf(part, input)).map(({ file }) => file);
  return {
    name: image?.repository ?? from,
    SPDXID: inputId(index),
    ...(image?.tag === undefined ? {} : { versionInfo: image.tag }),
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    checksums: [checksumOf(digest)],
    licenseConcluded: 'NOASSERTION',
    copyrightText: 'NOASSERTION',
    primaryPackagePurpose: image === undefined ? 'OTHER' : 'CONTAINER',
    comment: [
      `input ${role}`,
      files.length === 0 ? 'what it consists of is not known' : `what it consists of: ${files.join(', ')}`,
      ...(image?.verification === undefined ? [] : [verificationText(image.verification)]),
    ].join('; '),
    ...(purl === undefined
      ? {}
      : { externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }] }),
  };
}

function checksumOf(digest: string): SpdxChecksum {
  const [algorithm = '', checksumValue = ''] = digest.split(':');
  return { algorithm: algorithm.toUpperCase(), checksumValue };
}

/** `signed by releases@example.com (https://accounts.example.com), log index 12, 2026-01-01T00:00:00Z`. */
export function verificationText({ status, mode, subject, issuer, logIndex, signedAt }: ReportedVerification): string {
  if (status === 'not verified') return 'not verified';
  const signer = mode === 'key' || subject === undefined ? 'the key' : `${subject} (${issuer ?? 'unknown issuer'})`;
  const log = logIndex === undefined ? '' : `, log index ${logIndex}`;
  return `signed by ${signer}${log}${signedAt === undefined ? '' : `, ${signedAt}`}`;
}
