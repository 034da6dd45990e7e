/**
 * The report as provenance: an in-toto Statement v1 with a SLSA provenance v1 predicate. Sources: in-toto attestation spec v1 (statement, resource
 * descriptor), slsa.dev/spec/v1.1/provenance.
 */
import { allInputs, type BuildReport, type ReportedBuild, type ReportedInput } from './build-report.ts';
import type { JsonValue } from './json.ts';
import { packageUrlOf } from './package-url.ts';

/** Who builds, unless somebody says: whoever runs this package. */
export const DEFAULT_BUILDER = 'pkg:npm/bootwright';

/** What the parameters mean; raised when that changes. */
const BUILD_TYPE = 'pkg:npm/bootwright#build/v1';

export const IN_TOTO_TYPE = 'application/vnd.in-toto+json';

/** One line of JSON. Times of the run are left out: they would make every report another one. */
export function formatProvenance(report: BuildReport): string {
  return `${JSON.stringify(provenanceOf(report))}\n`;
}

function provenanceOf(report: BuildReport): JsonValue {
  const { tool, builder, builds, outputs } = report;
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: outputs.map(({ name, digests }) => ({ name, digest: { ...digests } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { builds: builds.map(externalOf) },
        internalParameters: { builds: builds.map(({ planDigest, cmdline }) => ({ planDigest, cmdline })) },
        resolvedDependencies: allInputs(report).map(dependencyOf),
      },
      runDetails: {
        builder: { id: builder, version: { [tool.name]: tool.version } },
        metadata: { invocationId: builds.map(({ planDigest }) => planDigest).join(' ') },
      },
    },
  };
}

function externalOf({ kind, architecture, talosVersion, epoch, parameters }: ReportedBuild): JsonValue {
  return { kind, architecture, talosVersion, sourceDateEpoch: epoch, ...parameters };
}

/** By digest, never by what a name means today: the name is an annotation. */
function dependencyOf(input: ReportedInput): JsonValue {
  const { role, from, digest, image } = input;
  const uri = uriOf(input);
  const [algorithm = '', hex = ''] = digest.split(':');
  return {
    ...(uri === undefined ? {} : { uri }),
    digest: { [algorithm]: hex },
    name: role,
    annotations: {
      from,
      ...(image?.verification === undefined ? {} : { verification: { ...image.verification } }),
    },
  };
}

function uriOf(input: ReportedInput): string | undefined {
  if (input.image !== undefined) return packageUrlOf(input);
  return input.from.startsWith('/') ? `file://${input.from.split('/').map(encodeURIComponent).join('/')}` : undefined;
}
