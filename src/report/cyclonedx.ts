/** The report as a CycloneDX 1.6 document: the same as in SPDX, but for single files. Source: CycloneDX JSON reference 1.6. */
import { allInputs, type BuildReport, type ReportedInput, type ReportedOutput, reportTime } from './build-report.ts';
import { type JsonValue, uuidOfText } from './json.ts';
import { packageUrlOf } from './package-url.ts';
import type { SpdxChecksum, SpdxPackage } from './spdx-document.ts';
import { isPartOf, partsOf, type SbomPart, type ShippedSbom } from './spdx-merge.ts';

const ROOT = 'talos';

/** JSON in two-space indents. The serial number is derived from the content. */
export function formatCycloneDx(report: BuildReport, sboms: readonly ShippedSbom[]): string {
  const { tool, builds, outputs } = report;
  const inputs = allInputs(report);
  const parts = partsOf(sboms);
  const unknown = inputs.flatMap((input, index) =>
    parts.some((part) => isPartOf(part, input)) ? [] : [inputRef(index)],
  );
  const content = {
    version: 1,
    metadata: {
      timestamp: reportTime(report),
      tools: { components: [{ type: 'application', name: tool.name, version: tool.version }] },
      component: {
        type: 'operating-system',
        'bom-ref': ROOT,
        name: 'talos',
        ...(builds[0] === undefined ? {} : { version: builds[0].talosVersion }),
        components: outputs.map(outputComponent),
      },
    },
    components: [
      ...inputs.map(inputComponent),
      ...parts.flatMap((part) => part.packages.map((one) => packageComponent(one, part))),
    ],
    dependencies: dependenciesOf(inputs, parts),
    ...(unknown.length === 0 ? {} : { compositions: [{ aggregate: 'unknown', assemblies: unknown }] }),
  };
  const serialNumber = `urn:uuid:${uuidOfText(JSON.stringify(content))}`;
  return `${JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber, ...content }, null, 2)}\n`;
}

function inputRef(index: number): string {
  return `input-${index + 1}`;
}

function refOf(id: string): string {
  return id.replace(/^SPDXRef-/, 'spdx-');
}

function outputComponent({ name, mediaType, digests }: ReportedOutput, index: number): JsonValue {
  return {
    type: 'file',
    'bom-ref': `output-${index + 1}`,
    'mime-type': mediaType.replace(/;.*$/, ''),
    name,
    hashes: hashesOf(
      Object.entries(digests).map(([algorithm, checksumValue]) => ({
        algorithm: algorithm.toUpperCase(),
        checksumValue,
      })),
    ),
  };
}

function inputComponent(input: ReportedInput, index: number): JsonValue {
  const { role, from, digest, image } = input;
  const [algorithm = '', checksumValue = ''] = digest.split(':');
  const purl = packageUrlOf(input);
  const verification = Object.entries(image?.verification ?? {});
  return {
    type: image === undefined ? 'file' : 'container',
    'bom-ref': inputRef(index),
    name: image?.repository ?? from,
    ...(image?.tag === undefined ? {} : { version: image.tag }),
    hashes: hashesOf([{ algorithm: algorithm.toUpperCase(), checksumValue }]),
    ...(purl === undefined ? {} : { purl }),
    properties: [
      { name: 'bootwright:role', value: role },
      { name: 'bootwright:from', value: from },
      ...verification.map(([name, value]) => ({ name: `bootwright:verification:${name}`, value: String(value) })),
    ],
  };
}

const TYPES: Readonly<Record<string, string>> = {
  APPLICATION: 'application',
  CONTAINER: 'container',
  DEVICE: 'device',
  FILE: 'file',
  FIRMWARE: 'firmware',
  FRAMEWORK: 'framework',
  OPERATING_SYSTEM: 'operating-system',
};

function packageComponent(one: SpdxPackage, { file }: SbomPart): JsonValue {
  const { SPDXID, name, versionInfo, supplier, description = one.summary, copyrightText, checksums = [] } = one;
  const reference = (type: string): string | undefined =>
    one.externalRefs?.find(({ referenceType }) => referenceType === type)?.referenceLocator;
  const purl = reference('purl');
  const cpe = one.externalRefs?.map(({ referenceLocator }) => referenceLocator).find((text) => CPE.test(text));
  const supplierName = /^(?:Organization|Person): (.+)$/.exec(supplier ?? '')?.[1];
  const hashes = hashesOf(checksums);
  const licenses = licensesOf(one);
  const links = linksOf(one);
  return {
    type: TYPES[one.primaryPackagePurpose ?? ''] ?? 'library',
    'bom-ref': refOf(SPDXID),
    ...(supplierName === undefined ? {} : { supplier: { name: supplierName } }),
    name,
    ...(versionInfo === undefined ? {} : { version: versionInfo }),
    ...(description === undefined ? {} : { description }),
    ...(hashes.length === 0 ? {} : { hashes }),
    ...(licenses === undefined ? {} : { licenses }),
    ...(isSaid(copyrightText) ? { copyright: copyrightText } : {}),
    ...(cpe === undefined ? {} : { cpe }),
    ...(purl === undefined ? {} : { purl }),
    ...(links.length === 0 ? {} : { externalReferences: links }),
    properties: [{ name: 'bootwright:sbom', value: file }],
  };
}

/** CPE 2.3 as formatted string (NIST IR 7695, 6.2), as far as the schema takes it. */
const CPE = /^cpe:2\.3:[aho](?::(?:\*|(?:[A-Za-z0-9._-]|\\[!"#$%&'()+,/:;<=>@[\]^`{|}~])+)){10}$/;

function isSaid(text: string | undefined): text is string {
  return text !== undefined && text !== '' && text !== 'NONE' && text !== 'NOASSERTION';
}

/** Names of SPDX's licences and what they are combined with. */
const EXPRESSION = /^[A-Za-z0-9.+:() -]+$/;

function licensesOf({ licenseConcluded, licenseDeclared }: SpdxPackage): JsonValue | undefined {
  const text = isSaid(licenseConcluded) ? licenseConcluded : licenseDeclared;
  if (!isSaid(text)) return undefined;
  return EXPRESSION.test(text) ? [{ expression: text }] : [{ license: { name: text } }];
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  MD5: 'MD5',
  SHA1: 'SHA-1',
  SHA256: 'SHA-256',
  SHA384: 'SHA-384',
  SHA512: 'SHA-512',
  'SHA3-256': 'SHA3-256',
  'SHA3-384': 'SHA3-384',
  'SHA3-512': 'SHA3-512',
  'BLAKE2b-256': 'BLAKE2b-256',
  'BLAKE2b-384': 'BLAKE2b-384',
  'BLAKE2b-512': 'BLAKE2b-512',
  BLAKE3: 'BLAKE3',
};

function hashesOf(checksums: readonly SpdxChecksum[]): JsonValue[] {
  return checksums.flatMap(({ algorithm, checksumValue }) => {
    const alg = ALGORITHMS[algorithm];
    const isHex = /^(?:[A-Fa-f0-9]{32}|[A-Fa-f0-9]{40}|[A-Fa-f0-9]{64}|[A-Fa-f0-9]{96}|[A-Fa-f0-9]{128})$/;
    return alg === undefined || !isHex.test(checksumValue) ? [] : [{ alg, content: checksumValue }];
  });
}

function linksOf({ homepage, downloadLocation }: SpdxPackage): JsonValue[] {
  return [
    { type: 'website', url: homepage },
    { type: 'distribution', url: downloadLocation },
  ].flatMap(({ type, url }) =>
    url !== undefined && /^https?:\/\//.test(url) && URL.canParse(url) ? [{ type, url: new URL(url).href }] : [],
  );
}

/** Of which kind an edge is: what is named first needs the second, or the reverse. */
const EDGES: Readonly<Record<string, 'forward' | 'backward'>> = {
  CONTAINS: 'forward',
  DEPENDS_ON: 'forward',
  CONTAINED_BY: 'backward',
  DEPENDENCY_OF: 'backward',
  RUNTIME_DEPENDENCY_OF: 'backward',
};

function dependenciesOf(inputs: readonly ReportedInput[], parts: readonly SbomPart[]): JsonValue {
  const graph = new Map<string, Set<string>>([[ROOT, new Set(inputs.map((_, index) => inputRef(index)))]]);
  const add = (from: string, to: string): void => {
    graph.set(from, (graph.get(from) ?? new Set()).add(to));
  };
  for (const [index, input] of inputs.entries()) {
    for (const { described } of parts.filter((part) => isPartOf(part, input))) {
      for (const id of described) add(inputRef(index), refOf(id));
    }
  }
  for (const { packages, relationships } of parts) {
    const known = new Set(packages.map(({ SPDXID }) => SPDXID));
    for (const { spdxElementId: from, relationshipType, relatedSpdxElement: to } of relationships) {
      const direction = EDGES[relationshipType];
      if (direction === undefined || !known.has(from) || !known.has(to)) continue;
      if (direction === 'forward') add(refOf(from), refOf(to));
      else add(refOf(to), refOf(from));
    }
  }
  return [...graph].map(([ref, dependsOn]) => ({ ref, dependsOn: [...dependsOn] }));
}
