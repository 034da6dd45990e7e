/**
 * Which credential a registry is shown. The first source that has one decides; a source that is broken stops the pull.
 * Source: spec factory-and-signatures H2, profiles-and-inputs 6.4.
 */
import type { Platform } from '../../platform/types.ts';
import { askHelper } from './credential-helper.ts';
import {
  type Credential,
  type CredentialTarget,
  type DockerConfig,
  helperFor,
  parseDockerConfig,
  writtenCredential,
} from './docker-config.ts';

const FILE_LIMIT = 1 << 20;

export type CredentialPlatform = Pick<Platform, 'files' | 'environment' | 'homeDirectory' | 'run'>;

/** Where a credential comes from, without it. */
export type CredentialSource =
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  /** Named in the file at `path`. */
  | { readonly kind: 'helper'; readonly command: string; readonly path: string };

export interface FoundCredential {
  /** `undefined` when the source has none for the target: it is asked anonymously then, too. */
  readonly credential: Credential | undefined;
  readonly source: CredentialSource;
}

/**
 * The credential for a target; `undefined` means anonymous. Order: `DOCKER_AUTH_CONFIG`, the docker configuration or
 * (only where there is none) podman's file, `GITHUB_TOKEN` for ghcr.io.
 * Throws `invalid-input` for a broken file and `dependency` for a failing credential helper.
 */
export async function findCredential(
  platform: CredentialPlatform,
  target: CredentialTarget,
  signal?: AbortSignal,
): Promise<Credential | undefined> {
  return (await locateCredential(platform, target, signal))?.credential;
}

/** As `findCredential`, with where it is from; `undefined` when no source is responsible for the target. */
export async function locateCredential(
  platform: CredentialPlatform,
  target: CredentialTarget,
  signal?: AbortSignal,
): Promise<FoundCredential | undefined> {
  const { DOCKER_AUTH_CONFIG: text } = platform.environment;
  const fromEnvironment = parseEnvironmentConfig(text);
  const written = fromEnvironment === undefined ? undefined : writtenCredential(fromEnvironment, target);
  if (written !== undefined)
    return { credential: written, source: { kind: 'environment', name: 'DOCKER_AUTH_CONFIG' } };
  const inFiles = await credentialInFiles(platform, target, signal);
  if (inFiles?.credential !== undefined) return inFiles;
  const credential = githubCredential(platform, target);
  return credential === undefined ? inFiles : { credential, source: { kind: 'environment', name: 'GITHUB_TOKEN' } };
}

async function credentialInFiles(
  platform: CredentialPlatform,
  target: CredentialTarget,
  signal: AbortSignal | undefined,
): Promise<FoundCredential | undefined> {
  const path = await configPath(platform);
  if (path === undefined) return undefined;
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(await platform.files.read(path, FILE_LIMIT));
  const config = parseDockerConfig(text, path);
  const helper = helperFor(config, target);
  if (helper === undefined) {
    const credential = writtenCredential(config, target);
    return credential === undefined ? undefined : { credential, source: { kind: 'file', path } };
  }
  const credential = await askHelper(platform, helper.name, helper.server, signal);
  return { credential, source: { kind: 'helper', command: `docker-credential-${helper.name}`, path } };
}

/** The one file that is read. A docker configuration in either place makes podman's files invisible, as upstream. */
async function configPath({ files, environment, homeDirectory }: CredentialPlatform): Promise<string | undefined> {
  const isFile = async (path: string): Promise<boolean> => (await files.info(path))?.kind === 'file';
  const setting = (name: string): string | undefined => environment[name] || undefined;

  const atHome = `${homeDirectory}/.docker/config.json`;
  const dockerConfig = setting('DOCKER_CONFIG');
  const docker = dockerConfig === undefined ? atHome : `${dockerConfig}/config.json`;
  if (await isFile(docker)) return docker;
  if (await isFile(atHome)) return undefined;

  const runtime = setting('XDG_RUNTIME_DIR');
  const podman = [
    setting('REGISTRY_AUTH_FILE'),
    runtime === undefined ? undefined : `${runtime}/containers/auth.json`,
    `${setting('XDG_CONFIG_HOME') ?? `${homeDirectory}/.config`}/containers/auth.json`,
  ];
  for (const path of podman) if (path !== undefined && (await isFile(path))) return path;
  return undefined;
}

/** docker itself warns about a broken `DOCKER_AUTH_CONFIG` and goes on without it; so the same setups keep working. */
function parseEnvironmentConfig(text: string | undefined): DockerConfig | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return parseDockerConfig(text, 'DOCKER_AUTH_CONFIG');
  } catch {
    return undefined;
  }
}

function githubCredential({ environment }: CredentialPlatform, { host }: CredentialTarget): Credential | undefined {
  const token = environment.GITHUB_TOKEN;
  if (host !== 'ghcr.io' || token === undefined || token === '') return undefined;
  return { kind: 'basic', user: environment.GITHUB_ACTOR || 'unset', password: token };
}
