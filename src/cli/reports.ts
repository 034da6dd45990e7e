/** `--report`: what a build says of itself, gathered on its way and written when all else is done. */
import { dirname, relative, resolve } from 'node:path';
import { ImagerError } from '../errors.ts';
import type { Artifact } from '../pipeline/artifact.ts';
import { describeBuild } from '../pipeline/describe-build.ts';
import { watchDigests } from '../pipeline/output-digests.ts';
import type { Plan, PlanRequest } from '../pipeline/plan.ts';
import { collectSboms } from '../pipeline/shipped-sboms.ts';
import type { Workplace } from '../pipeline/workplace.ts';
import { reportPaths, writeReports } from '../pipeline/write-reports.ts';
import type { SigningKey } from '../platform/types.ts';
import type { ReportedBuild, ReportedInput, ReportedOutput } from '../report/build-report.ts';
import { neededAlgorithms, needsSboms, parseWantedReport, type WantedReport } from '../report/forms.ts';
import { DEFAULT_BUILDER } from '../report/provenance.ts';
import { redactUrls } from '../report/redact.ts';
import type { ShippedSbom } from '../report/spdx-merge.ts';
import { VERSION } from '../version.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { removeAbandoned, TEMPORARY_SUFFIX } from './output-file.ts';
import { KEY_LIMIT } from './trust-flags.ts';

const TOOL = { name: 'bootwright', version: VERSION } as const;

/** Cosign's name for it, so that one variable serves both. */
const PASSPHRASE_VARIABLE = 'COSIGN_PASSWORD';

/** One output being written. */
export interface WatchedOutput {
  readonly observe: (chunk: Uint8Array) => void;
  /** `path` of the finished file; none where it was streamed. */
  readonly done: (path?: string) => void;
}

export interface Reporting {
  /** Names in `directory` that will be written. Throws `usage` for a report in the place of one. */
  readonly reserve: (directory: string, names: readonly string[]) => void;
  /** Before the build, so that nothing is written when an SBOM is broken. */
  readonly gather: (workplace: Workplace, request: PlanRequest, plan: Plan) => Promise<void>;
  readonly watch: (artifact: Artifact) => WatchedOutput;
  /** What was written by its digest. */
  readonly add: (output: ReportedOutput) => void;
  /** Returns the paths. Throws what `writeReports` throws. */
  readonly write: () => Promise<readonly string[]>;
}

/** Checks all that can be checked before anything is fetched. Throws `usage`, `invalid-input` and `unsupported` for the key, `io`. */
export async function startReporting(flags: FlagValues, io: Io): Promise<Reporting> {
  const { platform, signal } = io;
  const wanted = (flags.lists.get('report') ?? []).map(parseWantedReport);
  const key = await readKey(flags, io);
  checkWanted(wanted, key);
  const builder = builderOf(flags);
  const algorithms = neededAlgorithms(wanted.map(({ form }) => form));
  const wantsSboms = wanted.some(({ form }) => needsSboms(form));
  const builds: ReportedBuild[] = [];
  const sboms: ShippedSbom[] = [];
  const outputs: ReportedOutput[] = [];
  return {
    reserve: (directory, names) => checkPlaces(wanted, directory, names, key !== undefined),
    async gather(workplace, request, plan) {
      const build = describeBuild(plan);
      const known = new Set(builds.flatMap(({ inputs }) => inputs.map(originOf)));
      builds.push(build);
      // Files of one directory are made of the same things.
      if (!wantsSboms || (known.size > 0 && build.inputs.every((input) => known.has(originOf(input))))) return;
      sboms.push(...(await collectSboms(workplace, request, plan)));
    },
    watch({ name, mediaType, bytes }) {
      const { observe, digests } = watchDigests(platform, algorithms);
      const done = (path?: string): void => {
        const place = path === undefined ? {} : { path };
        outputs.push({ name, ...place, mediaType, size: bytes.size, digests: digests() });
      };
      return { observe, done };
    },
    add: (output) => void outputs.push(output),
    async write() {
      const report = { tool: TOOL, builder, builds, outputs };
      for (const path of reportPaths(wanted, key !== undefined)) {
        await removeAbandoned(platform.files, dirname(path), path.slice(path.lastIndexOf('/') + 1));
      }
      return writeReports(
        platform.files,
        wanted,
        ({ path: file }) => ({ report, sboms, nameOf: ({ name, path }) => nameFrom(file, name, path) }),
        {
          ...(key === undefined ? {} : { key }),
          sync: flags.switches.has('sync'),
          signal,
          temporarySuffix: TEMPORARY_SUFFIX,
        },
      );
    },
  };
}

/** As seen from the directory of `file`, so that `sha256sum --check` there finds it. */
function nameFrom(file: string, name: string, path: string | undefined): string {
  return path === undefined ? name : relative(dirname(resolve(file)), resolve(path));
}

async function readKey({ text }: FlagValues, { platform }: Io): Promise<SigningKey | undefined> {
  const path = text.get('report-key');
  if (path === undefined) return undefined;
  const pem = new TextDecoder().decode(await platform.files.read(path, KEY_LIMIT));
  const passphrase = platform.environment[PASSPHRASE_VARIABLE];
  try {
    return await platform.signing.signingKey(pem, path, passphrase);
  } catch (error) {
    if (!(error instanceof ImagerError) || !/passphrase/.test(error.message)) throw error;
    throw new ImagerError(error.code, error.message, { cause: error, hint: `it is read from ${PASSPHRASE_VARIABLE}` });
  }
}

function checkWanted(wanted: readonly WantedReport[], key: SigningKey | undefined): void {
  const paths = reportPaths(wanted, key !== undefined).map((path) => resolve(path));
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new ImagerError('usage', `flag --report: ${twice} twice, want one report in a file`);
  const signed = wanted.find(({ form }) => form === 'attestation');
  if (signed !== undefined && key === undefined) {
    throw new ImagerError('usage', `flag --report ${signed.path}: an attestation is signed, want --report-key`, {
      hint: 'without a signature the statement is FILE.intoto.json',
    });
  }
}

function checkPlaces(
  wanted: readonly WantedReport[],
  directory: string,
  names: readonly string[],
  isSigned: boolean,
): void {
  const taken = new Set(names.map((name) => resolve(directory, name)));
  const clash = reportPaths(wanted, isSigned).find((path) => taken.has(resolve(path)));
  if (clash === undefined) return;
  throw new ImagerError('usage', `flag --report ${clash}: the build writes that file itself, want another name`);
}

function originOf({ role, from, digest }: ReportedInput): string {
  return JSON.stringify([role, from, digest]);
}

function builderOf({ text }: FlagValues): string {
  const builder = text.get('report-builder') ?? DEFAULT_BUILDER;
  if (!URL.canParse(builder)) {
    throw new ImagerError('usage', `flag --report-builder ${JSON.stringify(builder)}: want a URI`, {
      hint: 'like https://ci.example/pipelines/images',
    });
  }
  return redactUrls(builder);
}
