/**
 * Several SPDX documents as parts of one: what names something within its document gets a prefix, so that no two are the same. Snippets and annotations
 * are not carried over.
 */
import type { ReportedInput } from './build-report.ts';
import type {
  SpdxDocument,
  SpdxExternalDocument,
  SpdxFile,
  SpdxLicense,
  SpdxPackage,
  SpdxRelationship,
} from './spdx-document.ts';

/** A document that came with an input. */
export interface ShippedSbom {
  /** As the report has it. */
  readonly input: Pick<ReportedInput, 'role' | 'from' | 'digest'>;
  /** File name without directories. */
  readonly file: string;
  readonly document: SpdxDocument;
}

/** What of a document goes into the merged one. */
export interface SpdxPart {
  readonly packages: readonly SpdxPackage[];
  readonly files: readonly SpdxFile[];
  /** Between elements of the part, and to those of other documents. */
  readonly relationships: readonly SpdxRelationship[];
  readonly licenses: readonly SpdxLicense[];
  readonly externalDocuments: readonly SpdxExternalDocument[];
  /** Identifiers of the packages the document is about; of all, where it does not say. */
  readonly described: readonly string[];
}

/** `prefix` has letters, digits, `.` and `-`. A relationship to something that is not there is left out. */
export function partOfDocument(document: SpdxDocument, prefix: string): SpdxPart {
  const { packages = [], files = [], relationships = [], documentDescribes = [] } = document;
  const { hasExtractedLicensingInfos = [], externalDocumentRefs = [] } = document;
  const known = new Set([...packages, ...files].map(({ SPDXID }) => SPDXID));
  const names = namesWith(prefix);
  const isAbout = ({ spdxElementId, relationshipType }: SpdxRelationship): boolean =>
    spdxElementId === document.SPDXID && relationshipType === 'DESCRIBES';
  const about = [...documentDescribes, ...relationships.filter(isAbout).map((one) => one.relatedSpdxElement)];
  // Of an input whose files nobody looked at no single file is a part (clause 7.8).
  const described = packages.map(({ SPDXID }) => SPDXID).filter((id) => about.includes(id));
  const isKnown = (id: string): boolean => known.has(id) || /^(?:DocumentRef-|NONE$|NOASSERTION$)/.test(id);
  return {
    packages: packages.map((one) => ({ ...one, ...names.licensesOf(one), SPDXID: names.element(one.SPDXID) })),
    files: files.map((one) => ({ ...one, ...names.licensesOf(one), SPDXID: names.element(one.SPDXID) })),
    relationships: relationships
      .filter((one) => known.has(one.spdxElementId) && isKnown(one.relatedSpdxElement))
      .map((one) => ({
        ...one,
        spdxElementId: names.element(one.spdxElementId),
        relatedSpdxElement: names.element(one.relatedSpdxElement),
      })),
    licenses: hasExtractedLicensingInfos.map((one) => ({ ...one, licenseId: names.license(one.licenseId) })),
    externalDocuments: externalDocumentRefs.map((one) => ({
      ...one,
      externalDocumentId: names.document(one.externalDocumentId),
    })),
    described: (described.length > 0 ? described : packages.map(({ SPDXID }) => SPDXID)).map(names.element),
  };
}

interface Licensed {
  readonly licenseConcluded?: string;
  readonly licenseDeclared?: string;
  readonly licenseInfoFromFiles?: readonly string[];
  readonly licenseInfoInFiles?: readonly string[];
}

interface Names {
  readonly element: (id: string) => string;
  readonly document: (id: string) => string;
  /** A licence, or an expression of several. */
  readonly license: (expression: string) => string;
  readonly licensesOf: (element: Licensed) => Licensed;
}

function namesWith(prefix: string): Names {
  const document = (id: string): string => id.replace(/^DocumentRef-/, `DocumentRef-${prefix}-`);
  const element = (id: string): string =>
    id.startsWith('SPDXRef-') ? id.replace(/^SPDXRef-/, `SPDXRef-${prefix}-`) : document(id);
  const license = (expression: string): string =>
    expression.replace(/(DocumentRef-[A-Za-z0-9.-]{1,200}:)?LicenseRef-/g, (_, other: string | undefined) =>
      other === undefined ? `LicenseRef-${prefix}-` : `${document(other)}LicenseRef-`,
    );
  return {
    element,
    document,
    license,
    licensesOf: ({ licenseConcluded, licenseDeclared, licenseInfoFromFiles, licenseInfoInFiles }) => ({
      ...(licenseConcluded === undefined ? {} : { licenseConcluded: license(licenseConcluded) }),
      ...(licenseDeclared === undefined ? {} : { licenseDeclared: license(licenseDeclared) }),
      ...(licenseInfoFromFiles === undefined ? {} : { licenseInfoFromFiles: licenseInfoFromFiles.map(license) }),
      ...(licenseInfoInFiles === undefined ? {} : { licenseInfoInFiles: licenseInfoInFiles.map(license) }),
    }),
  };
}

/** A part of the merged document, and which of the inputs it came with. */
export interface SbomPart extends SpdxPart {
  readonly input: ShippedSbom['input'];
  readonly file: string;
  readonly name: string;
}

/** In the order given; names of elements tell the file they come from. */
export function partsOf(sboms: readonly ShippedSbom[]): SbomPart[] {
  return sboms.map(({ input, file, document }, index) => {
    const title = file.replace(/\.spdx\.json$/, '').replace(/[^A-Za-z0-9.-]+/g, '-');
    return { ...partOfDocument(document, `${index + 1}-${title}`), input, file, name: document.name };
  });
}

/** Whether the part came with this input. */
export function isPartOf({ input }: SbomPart, { role, from, digest }: ReportedInput): boolean {
  return input.role === role && input.from === from && input.digest === digest;
}
