import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { formatCycloneDx } from '../../src/report/cyclonedx.ts';
import { formatSpdx } from '../../src/report/spdx.ts';
import { parseSpdx } from '../../src/report/spdx-document.ts';
import { partOfDocument } from '../../src/report/spdx-merge.ts';
import { REPORT, SBOMS } from '../support/build-report.ts';
import { cycloneDxObjections, spdxObjections } from '../support/report-judges.ts';
import { spdxDocument } from '../support/spdx-documents.ts';
import { FUZZ_RUNS, vectorFile } from '../support/vectors.ts';

describe('refused', () => {
  const broken = (change: (document: Record<string, unknown>) => void): string => {
    const document = JSON.parse(spdxDocument()) as Record<string, unknown>;
    change(document);
    return JSON.stringify(document);
  };
  const firstPackage = (fields: object): string =>
    broken((document) => Object.assign((document.packages as object[])[0]!, fields));
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['no JSON', '{', /^x: no JSON$/],
    ['a list', '[]', /^x: \[\]: want an object$/],
    [
      'another version',
      broken((one) => {
        one.spdxVersion = 'SPDX-3.0';
      }),
      /^x: spdxVersion: "SPDX-3\.0": want one of/,
    ],
    [
      'no packages but a number',
      broken((one) => {
        one.packages = 1;
      }),
      /^x: packages: 1: want a list$/,
    ],
    ['a package without a name', firstPackage({ name: undefined }), /^x: packages\[0\]: name: missing$/],
    ['a number for a text', firstPackage({ versionInfo: 1 }), /^x: packages\[0\]: versionInfo: 1: want text$/],
    ['an identifier that is none', firstPackage({ SPDXID: 'SPDXRef-a b' }), /^x: SPDXID "SPDXRef-a b": want SPDXRef-/],
    [
      'two things of one name',
      firstPackage({ SPDXID: 'SPDXRef-File-init' }),
      /^x: SPDXID "SPDXRef-File-init": two things have it$/,
    ],
    [
      'an unknown algorithm',
      firstPackage({ checksums: [{ algorithm: 'CRC', checksumValue: '' }] }),
      /^x: packages\[0\]: checksums\[0\]: algorithm: "CRC": want one of/,
    ],
  ];
  for (const [name, text, message] of cases) {
    test(name, () => {
      assert.throws(
        () => parseSpdx(text, 'x'),
        (error) => error instanceof ImagerError && error.code === 'invalid-input' && message.test(error.message),
      );
    });
  }
});

test('what is not known is left out, what is written otherwise is made right', () => {
  const document = JSON.parse(spdxDocument()) as { packages: Record<string, unknown>[] };
  Object.assign(document.packages[0]!, { unheardOf: 1, annotations: [{}], hasFiles: ['x'] });
  const parsed = parseSpdx(JSON.stringify({ ...document, spdxVersion: 'SPDX-2.2', snippets: [{}] }), 'x');
  assert.equal('snippets' in parsed, false);
  assert.deepEqual(
    parsed.packages![0]!.externalRefs!.map(({ referenceCategory }) => referenceCategory),
    ['SECURITY', 'PACKAGE-MANAGER'],
  );
  assert.equal('annotations' in parsed.packages![0]!, false);
});

test("the specification's own example is merged into valid documents", async () => {
  const text = vectorFile('report/SPDXJSONExample-v2.2.spdx.json').toString();
  const sboms = [{ ...SBOMS[0]!, document: parseSpdx(text, 'example') }, SBOMS[1]!];
  const spdx = formatSpdx(REPORT, sboms);
  assert.deepEqual(spdxObjections(spdx), []);
  assert.match(spdx, /"externalDocumentId": "DocumentRef-1-talos-amd64-spdx-tool-1\.2"/);
  assert.deepEqual(await cycloneDxObjections(formatCycloneDx(REPORT, sboms)), []);
});

test('a package that does not say where it is from', () => {
  const document = JSON.parse(spdxDocument()) as { packages: { downloadLocation?: string }[] };
  delete document.packages[0]!.downloadLocation;
  assert.equal(parseSpdx(JSON.stringify(document), 'x').packages![0]!.downloadLocation, 'NOASSERTION');
});

test('the same thing twice is there once', () => {
  const document = JSON.parse(spdxDocument()) as { packages: object[]; files: object[] };
  const doubled = {
    ...document,
    packages: [...document.packages, document.packages[0]],
    files: [...document.files, ...document.files],
  };
  assert.deepEqual(parseSpdx(JSON.stringify(doubled), 'x'), parseSpdx(JSON.stringify(document), 'x'));
});

test('names of other documents are kept apart, and edges that lead nowhere go', () => {
  const document = parseSpdx(
    spdxDocument({
      more: {
        externalDocumentRefs: [
          {
            externalDocumentId: 'DocumentRef-other',
            spdxDocument: 'https://example.com/other',
            checksum: { algorithm: 'SHA1', checksumValue: 'ab'.repeat(20) },
          },
        ],
        relationships: [
          {
            spdxElementId: 'SPDXRef-File-init',
            relationshipType: 'COPY_OF',
            relatedSpdxElement: 'DocumentRef-other:SPDXRef-init',
          },
          { spdxElementId: 'SPDXRef-File-init', relationshipType: 'COPY_OF', relatedSpdxElement: 'SPDXRef-gone' },
          { spdxElementId: 'SPDXRef-File-init', relationshipType: 'DEPENDS_ON', relatedSpdxElement: 'NONE' },
        ],
      },
    }),
    'x',
  );
  const part = partOfDocument(document, '1');
  assert.deepEqual(
    part.relationships.map(({ spdxElementId, relatedSpdxElement }) => [spdxElementId, relatedSpdxElement]),
    [
      ['SPDXRef-1-File-init', 'DocumentRef-1-other:SPDXRef-init'],
      ['SPDXRef-1-File-init', 'NONE'],
    ],
  );
  assert.deepEqual(part.externalDocuments[0]!.externalDocumentId, 'DocumentRef-1-other');
  assert.equal(part.described.length, 2);
});

test('mutated documents are refused as such, or come out valid', () => {
  const text = spdxDocument();
  fc.assert(
    fc.property(
      fc.nat(text.length - 1),
      fc.constantFrom('', '0', '"', '{', 'null', '[]', '-', 'SPDXRef-', 'x'),
      fc.nat(12),
      (at, put, drop) => {
        const mutated = text.slice(0, at) + put + text.slice(at + drop);
        try {
          const document = parseSpdx(mutated, 'x');
          const merged = formatSpdx(REPORT, [{ ...SBOMS[0]!, document }, SBOMS[1]!]);
          assert.deepEqual(spdxObjections(merged), []);
        } catch (error) {
          if (!(error instanceof ImagerError)) throw error;
          assert.equal(error.code, 'invalid-input');
        }
      },
    ),
    { numRuns: Math.min(FUZZ_RUNS, 5000), seed: 20261121 },
  );
});
