/** `imager pxe`: a directory for network boot, written, served, or both. */
import { join } from 'node:path';
import { ImagerError } from '../errors.ts';
import { buildPxe, type PxeFile, type PxePlan, planPxe, pxeNames } from '../pipeline/pxe.ts';
import { parseBaseUrl } from '../pxe/base-url.ts';
import { IPXE_SCRIPT_NAME } from '../pxe/ipxe-script.ts';
import type { ReportedOutput } from '../report/build-report.ts';
import { reportingOf, writeAllReports, writeFile } from './artifact-output.ts';
import { readBuildRequest, workplaceOf } from './build-request.ts';
import type { Invocation } from './command-line.ts';
import { elideKernelArguments } from './elide.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { checkLocked } from './locked.ts';
import { chooseStyle, startProgress } from './progress.ts';
import { parseListenAddress, startPxeServer } from './pxe-server.ts';

type PxeInvocation = Extract<Invocation, { readonly command: 'pxe' }>;

/** What is said by the directory, or by the command. */
const FOREIGN_FLAGS = ['output', 'output-kind', 'compression', 'tar-to-stdout', 'push'];

export async function runPxe(invocation: PxeInvocation, io: Io): Promise<number> {
  const { directory, profile, flags, serve, baseUrl } = invocation;
  checkFlags(flags);
  if (directory === undefined && serve === undefined) {
    throw new ImagerError('usage', 'pxe: want a directory to write, or --serve ADDR', { hint: 'imager pxe /srv/pxe' });
  }
  const address = serve === undefined ? undefined : parseListenAddress(serve);
  const base = baseUrl === undefined ? {} : { baseUrl: parseBaseUrl(baseUrl) };
  const progress = await startProgress(
    chooseStyle(flags.text.get('progress'), flags.switches.has('quiet'), io.stderr),
    io,
  );
  try {
    const reporting = await reportingOf(flags, io);
    const { request, warnings } = await readBuildRequest(profile, flags, io);
    const workplace = {
      ...(await workplaceOf(flags, io, { profile: request.profile, onWarning: progress.warn })),
      onProgress: progress.report,
      onVerification: progress.verified,
      onWarning: progress.warn,
    };
    const plan = await planPxe(workplace, request, base);
    await checkLocked(profile, flags, { ...plan.parts[0]!.plan, inputs: plan.inputs }, io);
    for (const warning of [...warnings, ...plan.warnings]) progress.warn(warning);
    progress.note(`kernel command line: ${elideKernelArguments(plan.cmdline)}`);
    if (directory !== undefined) reporting?.reserve(directory, pxeNames(plan));
    for (const { request: ofPart, plan: partPlan } of plan.parts) {
      const verifications = plan.parts.flatMap((part) => part.plan.verifications);
      await reporting?.gather(workplace, ofPart, { ...partPlan, verifications });
    }
    const files = await buildPxe(workplace, plan);
    // Their digests are known already.
    const surroundings = { profileName: profile, flags, io, progress, reporting: undefined };
    if (directory !== undefined) for (const file of files) await writeFile(file, directory, surroundings);
    for (const file of files) reporting?.add(reportedFile(file, directory));
    await writeAllReports({ progress, reporting });
    if (flags.switches.has('json')) io.stdout.write(`${JSON.stringify(resultJson(files, plan, directory), null, 2)}\n`);
    if (address === undefined) return 0;
    // What the command says from here on belongs to nobody's progress.
    progress.finish();
    return await serveUntilStopped(files, address, io);
  } finally {
    progress.finish();
  }
}

function checkFlags({ text, switches }: FlagValues): void {
  const given = FOREIGN_FLAGS.filter((name) => text.has(name) || switches.has(name));
  if (given.length === 0) return;
  throw new ImagerError('usage', `flag --${given[0]}: has no meaning for pxe, want imager pxe DIR [profile]`);
}

function reportedFile(
  { name, mediaType, bytes, sha256, sha512 }: PxeFile,
  directory: string | undefined,
): ReportedOutput {
  const place = directory === undefined ? {} : { path: join(directory, name) };
  return { name, ...place, mediaType, size: bytes.size, digests: { sha256, sha512 } };
}

function resultJson(
  files: readonly PxeFile[],
  { cmdline, inputs, warnings }: PxePlan,
  directory: string | undefined,
): object {
  const listed = files.map(({ name, mediaType, bytes, sha256 }) => ({ name, size: bytes.size, mediaType, sha256 }));
  return { ...(directory === undefined ? {} : { directory }), files: listed, cmdline, inputs, warnings };
}

/** A signal is how a server is meant to end: no failure. */
async function serveUntilStopped(
  files: readonly PxeFile[],
  address: ReturnType<typeof parseListenAddress>,
  { signal, stderr }: Io,
): Promise<number> {
  signal.throwIfAborted();
  const server = await startPxeServer(files, address, (line) => stderr.write(`${line}\n`));
  stderr.write(advice(server.urls, files));
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close();
  return 0;
}

/** What to tell the DHCP server, in the names of RFC 2132. */
function advice(urls: readonly string[], files: readonly PxeFile[]): string {
  const [first = ''] = urls;
  const uki = files.find(({ mediaType }) => mediaType === 'application/efi');
  return [
    ...urls.map((url) => `serving ${url}${IPXE_SCRIPT_NAME}`),
    'DHCP options:',
    `  for iPXE (user class, option 77: iPXE):            67 bootfile-name ${first}${IPXE_SCRIPT_NAME}`,
    ...(uki === undefined
      ? []
      : [
          `  for UEFI HTTP boot (option 60: HTTPClient...):     60 vendor-class HTTPClient, 67 bootfile-name ${first}${uki.name}`,
        ]),
    '  for PXE firmware (option 60: PXEClient...):        66 and 67 of a TFTP server with undionly.kpxe or ipxe.efi',
    '',
  ].join('\n');
}
