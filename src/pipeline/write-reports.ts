/** Reports as files: all of them or none. */
import { stopIfAborted } from '../errors.ts';
import type { Files, SigningKey } from '../platform/types.ts';
import { BUNDLE_SUFFIX, formatBlobBundle, formatEnvelope } from '../report/blob-bundle.ts';
import { formatReport, type ReportContent, type WantedReport } from '../report/forms.ts';
import { IN_TOTO_TYPE } from '../report/provenance.ts';

/** How reports are written. */
export interface WriteReportsOptions {
  /** Signs every report; attestations cannot do without. */
  readonly key?: SigningKey;
  readonly sync?: boolean;
  readonly signal?: AbortSignal;
  /** Distinguishes temporary names of writers at work at once. */
  readonly temporarySuffix?: string;
}

/** What lies where a report and its signature go, which a build that fails must not leave to be taken for its own. */
export function reportPaths(wanted: readonly WantedReport[], isSigned: boolean): string[] {
  return wanted.flatMap(({ path }) => (isSigned ? [path, `${path}${BUNDLE_SUFFIX}`] : [path]));
}

/**
 * Writes each report, and its signature beside it when there is a key, and returns their paths. Directories are made where they are not there. When one fails none is left, those
 * of earlier builds neither: they would speak of something else. Throws `io`, `canceled`, `RangeError` for an attestation without a key.
 *
 * @example
 * const sboms = await collectSboms(workplace, request, plan);
 * const { observe, digests } = watchDigests(platform, ['sha256']);
 * const { name, mediaType, bytes } = artifact;
 * const path = await writeArtifact(platform, artifact, '_out', { observe });
 * const outputs = [{ name, path, mediaType, size: bytes.size, digests: digests() }];
 * const report = { tool: { name: 'my-builder', version: '1' }, builder: 'https://ci.example', builds: [describeBuild(plan)], outputs };
 * const content = { report, sboms, nameOf: (output) => output.name };
 * await writeReports(platform.files, [parseWantedReport('_out/iso.spdx.json')], () => content);
 */
export async function writeReports(
  files: Files,
  wanted: readonly WantedReport[],
  contentOf: (report: WantedReport) => ReportContent,
  options: WriteReportsOptions = {},
): Promise<string[]> {
  const { key, temporarySuffix = 'partial', sync = false, signal } = options;
  const texts: { readonly path: string; readonly data: Uint8Array }[] = [];
  for (const report of wanted) texts.push(...(await filesOf(report, contentOf(report), key)));
  const staged = (path: string): string => `${path}.${temporarySuffix}`;
  try {
    for (const { path, data } of texts) {
      stopIfAborted(signal, 'writing reports');
      await files.makeDirectory(directoryOf(path));
      await writeNew(files, staged(path), data, sync);
    }
    for (const { path } of texts) await files.rename(staged(path), path);
  } catch (error) {
    for (const { path } of texts) for (const one of [staged(path), path]) await removeFile(files, one);
    throw error;
  }
  if (sync) for (const { path } of texts) await files.syncDirectory(directoryOf(path));
  return texts.map(({ path }) => path);
}

/** A directory in the place of a report is somebody's own. */
async function removeFile(files: Files, path: string): Promise<void> {
  const info = await files.info(path, { noFollow: true }).catch(() => undefined);
  if (info !== undefined && info.kind !== 'directory') await files.remove(path);
}

/** What a killed process left of that name goes first. */
async function writeNew(files: Files, path: string, data: Uint8Array, sync: boolean): Promise<void> {
  await files.remove(path);
  const file = await files.create(path);
  try {
    await file.write(0, data);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

async function filesOf(
  { form, path }: WantedReport,
  content: ReportContent,
  key: SigningKey | undefined,
): Promise<{ readonly path: string; readonly data: Uint8Array }[]> {
  const data = new TextEncoder().encode(await textOf(form, content, key));
  if (key === undefined) return [{ path, data }];
  const bundle = new TextEncoder().encode(await formatBlobBundle(data, key));
  return [
    { path, data },
    { path: `${path}${BUNDLE_SUFFIX}`, data: bundle },
  ];
}

async function textOf(
  form: WantedReport['form'],
  content: ReportContent,
  key: SigningKey | undefined,
): Promise<string> {
  const text = formatReport(form, content);
  if (form !== 'attestation') return text;
  if (key === undefined) throw new RangeError('an attestation is signed: want a key');
  return formatEnvelope(new TextEncoder().encode(text.trimEnd()), IN_TOTO_TYPE, key);
}

function directoryOf(path: string): string {
  return path.replace(/[^/]*$/, '').replace(/(?<=.)\/+$/, '') || '.';
}
