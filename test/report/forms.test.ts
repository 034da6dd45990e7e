/** Every form of a report before the public validators of its format. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import type { BuildReport } from '../../src/report/build-report.ts';
import { formatReport, neededAlgorithms, parseWantedReport, type ReportForm } from '../../src/report/forms.ts';
import { REPORT, SBOMS } from '../support/build-report.ts';
import { cycloneDxObjections, slsaObjections, spdxObjections } from '../support/report-judges.ts';

function format(form: ReportForm, report: BuildReport = REPORT, sboms = SBOMS): string {
  return formatReport(form, { report, sboms, nameOf: ({ name }) => name });
}

describe('names', () => {
  const cases: readonly (readonly [string, ReportForm, string?])[] = [
    ['_out/build.json', 'build'],
    ['iso.intoto.json', 'provenance'],
    ['iso.intoto.jsonl', 'attestation'],
    ['iso.cdx.json', 'cyclonedx'],
    ['reports/bom.json', 'cyclonedx'],
    ['my-bom.json', 'build'],
    ['ISO.SPDX.JSON', 'spdx'],
    ['_out/SHA256SUMS', 'sha256sums'],
    ['_out/SHA512SUMS.txt', 'sha512sums'],
    ['metal.iso.sha256', 'sha256sums'],
    ['spdx=report', 'spdx', 'report'],
    ['build=a=b.spdx.json', 'build', 'a=b.spdx.json'],
    ['a=b.spdx.json', 'spdx'],
  ];
  for (const [text, form, path = text] of cases) {
    test(text, () => assert.deepEqual(parseWantedReport(text), { form, path }));
  }

  for (const text of ['report', '', '-', 'spdx=', 'spdx=-', 'reports/', 'sbom=x', 'x.jsonl']) {
    test(`refused: ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseWantedReport(text),
        (error) => error instanceof ImagerError && error.code === 'usage' && error.hint?.includes('FORM=FILE') === true,
      );
    });
  }

  test('SHA-512 is made only for its own file', () => {
    assert.deepEqual(neededAlgorithms(['build', 'sha256sums']), ['sha256']);
    assert.deepEqual(neededAlgorithms(['spdx', 'sha512sums']), ['sha256', 'sha512']);
  });
});

describe('validators', () => {
  test('provenance', () => {
    assert.deepEqual(slsaObjections(format('provenance')), []);
    const { subject, predicate } = JSON.parse(format('provenance'));
    assert.deepEqual(subject, [{ name: 'metal-amd64.iso', digest: REPORT.outputs[0]!.digests }]);
    const [image, layout, file] = predicate.buildDefinition.resolvedDependencies;
    assert.equal(
      image.uri,
      `pkg:oci/imager@sha256%3A${'02'.repeat(32)}?repository_url=ghcr.io/siderolabs/imager&tag=v1.13.0`,
    );
    assert.deepEqual(image.digest, { sha256: '02'.repeat(32) });
    assert.equal(image.annotations.verification.logIndex, 18_304_044);
    assert.equal(image.annotations.verification.subject, 'releases@example.com');
    assert.equal(layout.uri, undefined);
    assert.equal(file.uri, 'file:///srv/kernels/mine%20%26%20yours');
    assert.equal(predicate.runDetails.builder.id, 'https://ci.example/pipelines/7');
  });

  test('provenance without its builder is none', () => {
    const statement = JSON.parse(format('provenance'));
    statement.predicate.runDetails = {};
    assert.notDeepEqual(slsaObjections(JSON.stringify(statement)), []);
  });

  test('SPDX', () => {
    const text = format('spdx');
    assert.deepEqual(spdxObjections(text), []);
    const { packages, files, hasExtractedLicensingInfos, relationships, creationInfo } = JSON.parse(text);
    assert.equal(packages.length, 1 + 3 + 2 * 2);
    assert.equal(files.length, 2);
    assert.equal(creationInfo.created, '2019-06-01T21:34:52Z');
    const licenses = hasExtractedLicensingInfos.map(({ licenseId }: { licenseId: string }) => licenseId);
    assert.deepEqual(licenses, ['LicenseRef-1-talos-amd64-own', 'LicenseRef-2-driver-own']);
    assert.equal(packages[4].licenseDeclared, 'MIT AND LicenseRef-1-talos-amd64-own');
    const edges = relationships.map(Object.values).map((edge: string[]) => edge.slice(0, 3).join(' '));
    assert.ok(edges.includes('SPDXRef-output-1 GENERATED_FROM SPDXRef-input-2'));
    assert.ok(edges.includes('SPDXRef-input-2 CONTAINS SPDXRef-2-driver-DocumentRoot-Directory-talos'));
  });

  test('CycloneDX', async () => {
    const text = format('cyclonedx');
    assert.deepEqual(await cycloneDxObjections(text), []);
    const { components, dependencies, compositions } = JSON.parse(text);
    const library = components.find((one: { name: string }) => one.name === 'github.com/example/talos-lib');
    assert.equal(library.purl, 'pkg:golang/github.com/example/talos-lib@v1.2.3');
    assert.equal(library.cpe, 'cpe:2.3:a:example:lib:v1.2.3:*:*:*:*:*:*:*');
    assert.deepEqual(library.licenses, [{ expression: 'MIT AND LicenseRef-1-talos-amd64-own' }]);
    assert.deepEqual(library.supplier, { name: 'Example' });
    assert.deepEqual(library.hashes, [{ alg: 'SHA-256', content: 'ab'.repeat(32) }]);
    assert.deepEqual(compositions, [{ aggregate: 'unknown', assemblies: ['input-3'] }]);
    const root = 'spdx-1-talos-amd64-DocumentRoot-Directory-talos';
    assert.deepEqual(
      dependencies.find(({ ref }: { ref: string }) => ref === root),
      { ref: root, dependsOn: ['spdx-1-talos-amd64-Package-go-module-talos-lib'] },
    );
  });

  test('what nobody ships an SBOM of', async () => {
    assert.deepEqual(spdxObjections(format('spdx', REPORT, [])), []);
    assert.deepEqual(await cycloneDxObjections(format('cyclonedx', REPORT, [])), []);
  });

  test('strange texts in documents: no licence expressions, no URLs, no CPEs', async () => {
    const { document, ...rest } = SBOMS[0]!;
    const [library] = document.packages!;
    const strange = {
      ...library!,
      licenseDeclared: 'see the file "COPYING"',
      homepage: 'http://exa mple/ <here>',
      downloadLocation: 'git+https://example.com/x@main',
      checksums: [{ algorithm: 'ADLER32', checksumValue: '03da0195' }],
      externalRefs: [{ referenceCategory: 'SECURITY', referenceType: 'cpe23Type', referenceLocator: 'cpe:2.3:x' }],
    };
    const sboms = [{ ...rest, document: { ...document, packages: [strange] } }];
    assert.deepEqual(await cycloneDxObjections(format('cyclonedx', REPORT, sboms)), []);
    assert.deepEqual(spdxObjections(format('spdx', REPORT, sboms)), []);
  });
});

test('a report is the same bytes each time, and another one for another output', () => {
  const [output] = REPORT.outputs;
  const other = { ...REPORT, outputs: [{ ...output!, digests: { sha256: 'ef'.repeat(32) } }] };
  const elsewhere = { ...REPORT, outputs: [{ ...output!, path: '/other/metal-amd64.iso' }] };
  for (const form of ['build', 'provenance', 'cyclonedx', 'spdx', 'sha256sums'] as const) {
    assert.equal(format(form), format(form));
    assert.equal(format(form), format(form, elsewhere));
    assert.notEqual(format(form), format(form, other));
  }
  const names = (text: string): unknown => JSON.parse(text).serialNumber ?? JSON.parse(text).documentNamespace;
  assert.notEqual(names(format('cyclonedx')), names(format('cyclonedx', other)));
  assert.notEqual(names(format('spdx')), names(format('spdx', other)));
});

test('checksum files list what has that checksum', () => {
  const [output] = REPORT.outputs;
  const two = { ...REPORT, outputs: [output!, { ...output!, name: 'a\\b', digests: { sha256: '00' } }] };
  assert.equal(format('sha256sums', two), `${'ab'.repeat(32)}  metal-amd64.iso\n\\00  a\\\\b\n`);
  assert.equal(format('sha512sums', two), `${'cd'.repeat(64)}  metal-amd64.iso\n`);
});
