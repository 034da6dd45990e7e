/** `imager doctor`: what of this machine the tool can use, each finding with what it means. */
import process from 'node:process';
import { ImagerError } from '../errors.ts';
import { defaultStoreDirectory } from '../pipeline/workplace.ts';
import type { Platform } from '../platform/types.ts';
import { describeSandbox, findSandbox, type Sandbox } from '../sandbox/sandbox.ts';
import type { DoctorFlags } from './doctor-flags.ts';
import type { Finding } from './finding.ts';
import type { Io } from './io.ts';
import { formatBytes } from './progress.ts';
import { transportOf } from './transport-flags.ts';

/** Builds of one version with several architectures stay below this. */
const ROOMY_STORE = 2 * 1024 ** 3;

/** `now` in seconds since 1970. */
export async function examine(platform: Platform, store: string, now: number): Promise<Finding[]> {
  return [
    { subject: 'Node.js', state: 'good', detail: `${process.versions.node} on ${process.platform}` },
    architectureFinding(platform.architecture),
    ...(await storeFindings(platform, store)),
    proxyFinding(platform.environment),
    await credentialsFinding(platform),
    await trustedRootFinding(platform, store, now),
    { subject: 'external programs', state: 'good', detail: 'none needed' },
    sandboxFinding(await findSandbox(platform)),
  ];
}

/** Only overlays have programs that run here. */
function sandboxFinding(sandbox: Sandbox): Finding {
  const state = sandbox.kind === 'bubblewrap' ? 'good' : 'note';
  return { subject: 'sandbox for overlays', state, detail: describeSandbox(sandbox) };
}

/** Contacts nothing: how old it is, not whether there is a newer one. */
async function trustedRootFinding(platform: Platform, store: string, now: number): Promise<Finding> {
  const { daysBetween, findRoot } = await import('../pipeline/trusted-root.ts');
  const { origin, date, warnings } = await findRoot({ platform, store, now, offline: true });
  const age = `${origin}, ${daysBetween(date, now)} days old`;
  if (warnings.length === 0) return { subject: 'trusted root', state: 'good', detail: age };
  return { subject: 'trusted root', state: 'note', detail: `${age}: ${warnings.join('; ')}` };
}

function architectureFinding(architecture: Platform['architecture']): Finding {
  if (architecture === 'other') {
    return {
      subject: 'architecture',
      state: 'note',
      detail: `${process.arch}: give --arch amd64 or --arch arm64 to every build`,
    };
  }
  return { subject: 'architecture', state: 'good', detail: `${architecture}; both amd64 and arm64 can be built` };
}

async function storeFindings(platform: Platform, store: string): Promise<Finding[]> {
  const probe = `${store}/.doctor`;
  try {
    await platform.files.makeDirectory(store);
    await platform.files.remove(probe);
    await (await platform.files.create(probe)).close();
    await platform.files.remove(probe);
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    return [{ subject: 'store', state: 'bad', detail: `${error.message}: give another place with --store` }];
  }
  const free = await platform.files.freeSpace(store);
  const room: Finding = {
    subject: 'free space',
    state: free < ROOMY_STORE ? 'note' : 'good',
    detail: `${formatBytes(free)} for the store`,
  };
  return [{ subject: 'store', state: 'good', detail: store }, room];
}

function proxyFinding(environment: Platform['environment']): Finding {
  const names = ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);
  const set = names.filter((name) => environment[name] !== undefined);
  const detail = set.length === 0 ? 'none set' : `${set.join(', ')} from the environment`;
  return { subject: 'proxy', state: 'good', detail };
}

async function credentialsFinding(platform: Platform): Promise<Finding> {
  const { environment, homeDirectory } = platform;
  const candidates = [
    `${environment.DOCKER_CONFIG ?? `${homeDirectory}/.docker`}/config.json`,
    environment.REGISTRY_AUTH_FILE,
    environment.XDG_RUNTIME_DIR === undefined ? undefined : `${environment.XDG_RUNTIME_DIR}/containers/auth.json`,
    `${environment.XDG_CONFIG_HOME ?? `${homeDirectory}/.config`}/containers/auth.json`,
  ];
  for (const path of candidates) {
    if (path !== undefined && (await platform.files.info(path)) !== undefined) {
      return { subject: 'registry credentials', state: 'good', detail: path };
    }
  }
  return {
    subject: 'registry credentials',
    state: 'note',
    detail: 'no Docker or Podman configuration: registries are asked anonymously',
  };
}

const MARKS = { good: 'ok  ', note: 'note', bad: 'BAD ' } as const;

export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  return findings
    .map(({ subject, state, detail }) => `${MARKS[state]}  ${subject.padEnd(width)}  ${detail}\n`)
    .join('');
}

/** Exit 6 when something local is bad, 5 when the image cannot be had. */
export async function runDoctor(flags: DoctorFlags, io: Io): Promise<number> {
  const { platform, signal } = io;
  const local = await examine(platform, flags.store ?? defaultStoreDirectory(platform), io.now());
  const remote = flags.image === undefined ? [] : await findingsOfImage(flags.image, flags, platform, signal);
  const findings = [...local, ...remote];
  io.stdout.write(flags.json === true ? `${JSON.stringify(findings, null, 2)}\n` : formatFindings(findings));
  const hasBad = (list: readonly Finding[]): boolean => list.some(({ state }) => state === 'bad');
  if (hasBad(local)) return 6;
  return hasBad(remote) ? 5 : 0;
}

async function findingsOfImage(
  image: string,
  flags: DoctorFlags,
  platform: Platform,
  signal: AbortSignal,
): Promise<Finding[]> {
  const transport = await transportOf(flags, platform);
  const { examineImage } = await import('./doctor-image.ts');
  return examineImage(platform, image, transport, signal);
}
