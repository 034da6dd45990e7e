/** SPDX documents in the shape the release of Talos and extensions ship them: by syft, with packages, files and licences of their own. */

export interface SpdxFields {
  readonly name?: string;
  readonly packages?: readonly object[];
  readonly more?: Readonly<Record<string, unknown>>;
}

/** With one package, one file and a licence that has the same name in every document. */
export function spdxDocument({ name = 'talos', packages = [], more = {} }: SpdxFields = {}): string {
  const root = `SPDXRef-DocumentRoot-Directory-${name}`;
  const library = `SPDXRef-Package-go-module-${name}-lib`;
  return JSON.stringify({
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `https://anchore.com/syft/dir/${name}-6d1a4f0a`,
    creationInfo: {
      licenseListVersion: '3.27',
      creators: ['Organization: Anchore, Inc', 'Tool: syft-1.30.0'],
      created: '2026-01-01T00:00:00Z',
    },
    packages: [
      {
        name: `github.com/example/${name}-lib`,
        SPDXID: library,
        versionInfo: 'v1.2.3',
        supplier: 'Organization: Example',
        downloadLocation: 'https://example.com/lib.tar.gz',
        filesAnalyzed: false,
        checksums: [{ algorithm: 'SHA256', checksumValue: 'ab'.repeat(32) }],
        sourceInfo: 'acquired package info from go module information: usr/bin/init',
        licenseConcluded: 'NOASSERTION',
        licenseDeclared: 'MIT AND LicenseRef-own',
        copyrightText: 'NOASSERTION',
        externalRefs: [
          {
            referenceCategory: 'SECURITY',
            referenceType: 'cpe23Type',
            referenceLocator: 'cpe:2.3:a:example:lib:v1.2.3:*:*:*:*:*:*:*',
          },
          {
            referenceCategory: 'PACKAGE_MANAGER',
            referenceType: 'purl',
            referenceLocator: `pkg:golang/github.com/example/${name}-lib@v1.2.3`,
          },
        ],
      },
      {
        name,
        SPDXID: root,
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        licenseConcluded: 'NOASSERTION',
        licenseDeclared: 'MPL-2.0',
        copyrightText: 'NOASSERTION',
        primaryPackagePurpose: 'FILE',
      },
      ...packages,
    ],
    files: [
      {
        fileName: 'usr/bin/init',
        SPDXID: 'SPDXRef-File-init',
        fileTypes: ['APPLICATION', 'BINARY'],
        checksums: [{ algorithm: 'SHA1', checksumValue: 'cd'.repeat(20) }],
        licenseConcluded: 'NOASSERTION',
        licenseInfoInFiles: ['NOASSERTION'],
        copyrightText: 'NOASSERTION',
        comment: 'layerID: none',
      },
    ],
    hasExtractedLicensingInfos: [{ licenseId: 'LicenseRef-own', extractedText: `licence of ${name}`, name: 'own' }],
    relationships: [
      { spdxElementId: root, relatedSpdxElement: library, relationshipType: 'CONTAINS' },
      {
        spdxElementId: library,
        relatedSpdxElement: 'SPDXRef-File-init',
        relationshipType: 'OTHER',
        comment: 'evident-by: indicates the package is evident by a file',
      },
      { spdxElementId: 'SPDXRef-DOCUMENT', relatedSpdxElement: root, relationshipType: 'DESCRIBES' },
    ],
    ...more,
  });
}
