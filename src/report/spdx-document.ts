/** SPDX documents that images bring along: read as hostile input, reduced to the fields a merged document keeps. */
import { invalid } from '../errors.ts';
import { DOCUMENT_FIELDS, type SpdxField, type SpdxFields } from './spdx-fields.ts';

export interface SpdxChecksum {
  readonly algorithm: string;
  readonly checksumValue: string;
}

export interface SpdxExternalReference {
  readonly referenceCategory: string;
  readonly referenceType: string;
  readonly referenceLocator: string;
  readonly comment?: string;
}

/** What a package and a file have in common. */
interface SpdxElement {
  readonly SPDXID: string;
  readonly checksums?: readonly SpdxChecksum[];
  readonly licenseConcluded?: string;
  readonly copyrightText?: string;
  readonly comment?: string;
}

export interface SpdxPackage extends SpdxElement {
  readonly name: string;
  readonly downloadLocation: string;
  readonly versionInfo?: string;
  readonly packageFileName?: string;
  readonly supplier?: string;
  readonly filesAnalyzed?: boolean;
  readonly homepage?: string;
  readonly licenseDeclared?: string;
  readonly licenseInfoFromFiles?: readonly string[];
  readonly description?: string;
  readonly summary?: string;
  readonly externalRefs?: readonly SpdxExternalReference[];
  readonly primaryPackagePurpose?: string;
}

export interface SpdxFile extends SpdxElement {
  readonly fileName: string;
  readonly licenseInfoInFiles?: readonly string[];
}

export interface SpdxRelationship {
  readonly spdxElementId: string;
  readonly relationshipType: string;
  readonly relatedSpdxElement: string;
  readonly comment?: string;
}

export interface SpdxLicense {
  readonly licenseId: string;
  readonly extractedText: string;
  readonly name?: string;
  readonly comment?: string;
  readonly seeAlsos?: readonly string[];
}

export interface SpdxExternalDocument {
  readonly externalDocumentId: string;
  readonly spdxDocument: string;
  readonly checksum: SpdxChecksum;
}

/** Version 2.2 or 2.3, the same in all that is kept. */
export interface SpdxDocument {
  readonly SPDXID: string;
  readonly name: string;
  readonly documentDescribes?: readonly string[];
  readonly packages?: readonly SpdxPackage[];
  readonly files?: readonly SpdxFile[];
  readonly relationships?: readonly SpdxRelationship[];
  readonly hasExtractedLicensingInfos?: readonly SpdxLicense[];
  readonly externalDocumentRefs?: readonly SpdxExternalDocument[];
}

/** Far above those of Talos, whose largest is about a megabyte. Bytes. */
export const SPDX_LIMIT: number = 16 << 20;

/** What identifiers are made of (SPDX 2.3, 3.3 of annex D and clause 7.2). */
const IDENTIFIER = /^SPDXRef-[A-Za-z0-9.-]+$/;

/** Throws `invalid-input` naming `what` and the field that is not as it has to be. */
export function parseSpdx(text: string, what: string): SpdxDocument {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw invalid(`${what}: no JSON`, { cause });
  }
  const document = readObject(value, DOCUMENT_FIELDS, what) as unknown as SpdxDocument;
  const seen = new Map<string, string>([[document.SPDXID, '']]);
  const { packages, files } = document;
  return {
    ...document,
    ...(packages === undefined ? {} : { packages: packages.filter((one) => isNew(one, seen, what)).map(located) }),
    ...(files === undefined ? {} : { files: files.filter((one) => isNew(one, seen, what)) }),
  };
}

/** Some writers leave away what 2.3 demands. */
function located(one: SpdxPackage): SpdxPackage {
  return { ...one, downloadLocation: one.downloadLocation ?? 'NOASSERTION' };
}

/** False for the same thing once more. Throws `invalid-input` for another one of that name. */
function isNew(element: SpdxElement, seen: Map<string, string>, what: string): boolean {
  const { SPDXID } = element;
  if (!IDENTIFIER.test(SPDXID)) {
    throw invalid(`${what}: SPDXID ${shown(SPDXID)}: want SPDXRef- and letters, digits, . or -`);
  }
  const text = JSON.stringify(element);
  const before = seen.get(SPDXID);
  if (before !== undefined && before !== text) throw invalid(`${what}: SPDXID ${shown(SPDXID)}: two things have it`);
  seen.set(SPDXID, text);
  return before === undefined;
}

function readObject(value: unknown, fields: SpdxFields, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unlike(where, value, 'an object');
  const found = value as Readonly<Record<string, unknown>>;
  const result: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const part = Object.hasOwn(found, name) ? found[name] : undefined;
    const place = `${where}: ${name}`;
    if (part !== undefined && part !== null) result[name] = readField(part, field, place);
    else if ('required' in field) throw invalid(`${place}: missing`);
  }
  return result;
}

function readField(value: unknown, field: SpdxField, where: string): unknown {
  switch (field.kind) {
    case 'text':
      return readText(value, where);
    case 'choice':
      return readChoice(value, field.of, where);
    case 'flag':
      if (typeof value !== 'boolean') throw unlike(where, value, 'true or false');
      return value;
    case 'texts':
      return readList(value, where, readText);
    case 'choices':
      return readList(value, where, (item, place) => readChoice(item, field.of, place));
    case 'object':
      return readObject(value, field.fields, where);
    case 'objects':
      return readList(value, where, (item, place) => readObject(item, field.fields, place));
  }
}

function readText(value: unknown, where: string): string {
  if (typeof value !== 'string') throw unlike(where, value, 'text');
  return value;
}

/** SPDX 2.2 and some writers have hyphens where the schema of 2.3 has underscores, and the reverse. */
function readChoice(value: unknown, choices: readonly string[], where: string): string {
  const text = readText(value, where);
  const plain = (one: string): string => one.replaceAll('_', '-').toUpperCase();
  const choice = choices.find((one) => one === text) ?? choices.find((one) => plain(one) === plain(text));
  if (choice === undefined) throw unlike(where, value, `one of ${choices.slice(0, 4).join(', ')}, ...`);
  return choice;
}

function readList<Item>(value: unknown, where: string, readItem: (item: unknown, where: string) => Item): Item[] {
  if (!Array.isArray(value)) throw unlike(where, value, 'a list');
  return value.map((item, index) => readItem(item, `${where}[${index}]`));
}

function unlike(where: string, value: unknown, wish: string): Error {
  return invalid(`${where}: ${shown(value)}: want ${wish}`);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
