/** The fields of an SPDX 2.2 or 2.3 document in JSON that a merged one keeps, as data (SPDX specification 2.3, schemas/spdx-schema.json). */

export type SpdxField =
  | { readonly kind: 'text' | 'flag'; readonly required?: true }
  | { readonly kind: 'choice'; readonly of: readonly string[]; readonly required?: true }
  | { readonly kind: 'texts' }
  | { readonly kind: 'choices'; readonly of: readonly string[] }
  | { readonly kind: 'object'; readonly fields: SpdxFields; readonly required?: true }
  | { readonly kind: 'objects'; readonly fields: SpdxFields; readonly required?: true };

export type SpdxFields = Readonly<Record<string, SpdxField>>;

const TEXT = { kind: 'text' } as const;
const NEEDED = { kind: 'text', required: true } as const;
const TEXTS = { kind: 'texts' } as const;

const CHECKSUM: SpdxFields = {
  algorithm: {
    kind: 'choice',
    // biome-ignore format: as the schema has them
    of: ['SHA1', 'BLAKE3', 'SHA3-384', 'SHA256', 'SHA384', 'BLAKE2b-512', 'BLAKE2b-256', 'SHA3-512', 'MD2', 'ADLER32',
      'MD4', 'SHA3-256', 'BLAKE2b-384', 'SHA512', 'MD6', 'MD5', 'SHA224'],
    required: true,
  },
  checksumValue: NEEDED,
};

const EXTERNAL_REFERENCE: SpdxFields = {
  referenceCategory: {
    kind: 'choice',
    of: ['OTHER', 'PERSISTENT-ID', 'SECURITY', 'PACKAGE-MANAGER'],
    required: true,
  },
  referenceType: NEEDED,
  referenceLocator: NEEDED,
  comment: TEXT,
};

export const PACKAGE_FIELDS: SpdxFields = {
  SPDXID: NEEDED,
  name: NEEDED,
  versionInfo: TEXT,
  packageFileName: TEXT,
  supplier: TEXT,
  originator: TEXT,
  downloadLocation: TEXT,
  filesAnalyzed: { kind: 'flag' },
  packageVerificationCode: {
    kind: 'object',
    fields: { packageVerificationCodeValue: NEEDED, packageVerificationCodeExcludedFiles: TEXTS },
  },
  checksums: { kind: 'objects', fields: CHECKSUM },
  homepage: TEXT,
  sourceInfo: TEXT,
  licenseConcluded: TEXT,
  licenseInfoFromFiles: TEXTS,
  licenseDeclared: TEXT,
  licenseComments: TEXT,
  copyrightText: TEXT,
  summary: TEXT,
  description: TEXT,
  comment: TEXT,
  externalRefs: { kind: 'objects', fields: EXTERNAL_REFERENCE },
  attributionTexts: TEXTS,
  primaryPackagePurpose: {
    kind: 'choice',
    // biome-ignore format: as the schema has them
    of: ['OTHER', 'INSTALL', 'ARCHIVE', 'FIRMWARE', 'APPLICATION', 'FRAMEWORK', 'LIBRARY', 'CONTAINER', 'SOURCE',
      'DEVICE', 'OPERATING_SYSTEM', 'FILE'],
  },
  releaseDate: TEXT,
  builtDate: TEXT,
  validUntilDate: TEXT,
};

export const FILE_FIELDS: SpdxFields = {
  SPDXID: NEEDED,
  fileName: NEEDED,
  fileTypes: {
    kind: 'choices',
    // biome-ignore format: as the schema has them
    of: ['OTHER', 'DOCUMENTATION', 'IMAGE', 'VIDEO', 'ARCHIVE', 'SPDX', 'APPLICATION', 'SOURCE', 'BINARY', 'TEXT', 'AUDIO'],
  },
  checksums: { kind: 'objects', fields: CHECKSUM, required: true },
  licenseConcluded: TEXT,
  licenseInfoInFiles: TEXTS,
  licenseComments: TEXT,
  copyrightText: TEXT,
  comment: TEXT,
  noticeText: TEXT,
  fileContributors: TEXTS,
  attributionTexts: TEXTS,
};

export const LICENSE_FIELDS: SpdxFields = {
  licenseId: NEEDED,
  extractedText: NEEDED,
  name: TEXT,
  comment: TEXT,
  seeAlsos: TEXTS,
};

export const RELATIONSHIP_FIELDS: SpdxFields = {
  spdxElementId: NEEDED,
  relationshipType: {
    kind: 'choice',
    // biome-ignore format: as the schema has them
    of: ['VARIANT_OF', 'COPY_OF', 'PATCH_FOR', 'TEST_DEPENDENCY_OF', 'CONTAINED_BY', 'DATA_FILE_OF',
      'OPTIONAL_COMPONENT_OF', 'ANCESTOR_OF', 'GENERATES', 'CONTAINS', 'OPTIONAL_DEPENDENCY_OF', 'FILE_ADDED',
      'REQUIREMENT_DESCRIPTION_FOR', 'DEV_DEPENDENCY_OF', 'DEPENDENCY_OF', 'BUILD_DEPENDENCY_OF', 'DESCRIBES',
      'PREREQUISITE_FOR', 'HAS_PREREQUISITE', 'PROVIDED_DEPENDENCY_OF', 'DYNAMIC_LINK', 'DESCRIBED_BY',
      'METAFILE_OF', 'DEPENDENCY_MANIFEST_OF', 'PATCH_APPLIED', 'RUNTIME_DEPENDENCY_OF', 'TEST_OF', 'TEST_TOOL_OF',
      'DEPENDS_ON', 'SPECIFICATION_FOR', 'FILE_MODIFIED', 'DISTRIBUTION_ARTIFACT', 'AMENDS', 'DOCUMENTATION_OF',
      'GENERATED_FROM', 'STATIC_LINK', 'OTHER', 'BUILD_TOOL_OF', 'TEST_CASE_OF', 'PACKAGE_OF', 'DESCENDANT_OF',
      'FILE_DELETED', 'EXPANDED_FROM_ARCHIVE', 'DEV_TOOL_OF', 'EXAMPLE_OF'],
    required: true,
  },
  relatedSpdxElement: NEEDED,
  comment: TEXT,
};

export const EXTERNAL_DOCUMENT_FIELDS: SpdxFields = {
  externalDocumentId: NEEDED,
  spdxDocument: NEEDED,
  checksum: { kind: 'object', fields: CHECKSUM, required: true },
};

export const DOCUMENT_FIELDS: SpdxFields = {
  spdxVersion: { kind: 'choice', of: ['SPDX-2.2', 'SPDX-2.3'], required: true },
  SPDXID: NEEDED,
  name: NEEDED,
  documentDescribes: TEXTS,
  packages: { kind: 'objects', fields: PACKAGE_FIELDS },
  files: { kind: 'objects', fields: FILE_FIELDS },
  relationships: { kind: 'objects', fields: RELATIONSHIP_FIELDS },
  hasExtractedLicensingInfos: { kind: 'objects', fields: LICENSE_FIELDS },
  externalDocumentRefs: { kind: 'objects', fields: EXTERNAL_DOCUMENT_FIELDS },
};
