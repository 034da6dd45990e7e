/** containerd's directory of hosts (`config_path`, `/etc/containerd/certs.d`), read as mirrors. Source: containerd docs/hosts.md. */
import { ImagerError, withContext } from '../../errors.ts';
import type { ClientCertificate, Files } from '../../platform/types.ts';
import { parseRegistryHost } from '../reference.ts';
import { type ClientFiles, type HostSettings, parseHostsToml } from './hosts-toml.ts';
import {
  type EndpointSettings,
  endpointsOf,
  type MirrorEndpoint,
  type Mirrors,
  mirrorKey,
  type RegistryMirror,
} from './mirrors.ts';

const FILE = 'hosts.toml';
/** The directory for every registry without one of its own. */
const DEFAULT = '_default';
/** Of one file, bytes. */
const LIMIT = 1 << 20;

/**
 * One entry per directory below `directory` that is named like a registry: `ghcr.io`, `registry.example_5000_` (or `registry.example:5000`), `_default`. Where
 * there is no `hosts.toml`, certificates are looked for in the way of Docker: `*.crt` of authorities, `*.cert` and `*.key` of clients.
 * Throws `io`, and `invalid-input` for a file that cannot be read.
 */
export async function readHostsDirectory(files: Files, directory: string): Promise<Mirrors> {
  const mirrors: Record<string, RegistryMirror> = {};
  // Backwards, because the name with underscores wins and sorts behind the one with a colon.
  for (const name of (await files.list(directory)).reverse()) {
    const registry = registryNamed(name);
    const path = `${directory}/${name}`;
    if (registry === undefined || Object.hasOwn(mirrors, registry)) continue;
    if ((await files.info(path))?.kind !== 'directory') continue;
    // A directory that says nothing still stands before the default one.
    mirrors[registry] = (await readHost(files, path, registry)) ?? { endpoints: [] };
  }
  return mirrors;
}

/** `undefined` for what containerd would never look at. */
function registryNamed(name: string): string | undefined {
  if (name === DEFAULT) return '*';
  try {
    return mirrorKey(parseRegistryHost(name.replace(/_(\d{1,5})_$/, ':$1'), FILE));
  } catch (error) {
    if (error instanceof ImagerError) return undefined;
    throw error;
  }
}

async function readHost(files: Files, path: string, registry: string): Promise<RegistryMirror | undefined> {
  const label = `${path}/${FILE}`;
  const isThere = (await files.info(label))?.kind === 'file';
  const text = isThere ? new TextDecoder().decode(await files.read(label, LIMIT)) : '';
  if (text === '') return certificatesIn(files, path);
  const { server, root, hosts } = parseHostsToml(text, label);
  const endpoints: MirrorEndpoint[] = [];
  for (const { url, ...settings } of hosts) endpoints.push(await endpointOf(files, path, url, settings));
  if (server !== undefined) endpoints.push(await endpointOf(files, path, server, root));
  const mirror: RegistryMirror =
    server === undefined
      ? { endpoints, self: await settingsOf(files, path, { ...root, capabilities: undefined }) }
      : { endpoints, skipFallback: true };
  try {
    endpointsOf(registry === '*' ? 'registry.invalid' : registry, { '*': mirror });
  } catch (error) {
    throw withContext(label, error);
  }
  return mirror;
}

async function endpointOf(files: Files, path: string, url: string, settings: HostSettings): Promise<MirrorEndpoint> {
  const overridePath = settings.overridePath ? { overridePath: true } : {};
  return { url, ...overridePath, ...(await settingsOf(files, path, settings)) };
}

async function settingsOf(files: Files, path: string, settings: HostSettings): Promise<EndpointSettings> {
  const { capabilities, skipVerify, headers, ca, client } = settings;
  // One certificate is all TLS lets a client show; the first is the one meant for everybody.
  const [first] = client;
  return {
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(skipVerify ? { skipVerify } : {}),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(ca.length === 0 ? {} : { ca: await readAll(files, path, ca) }),
    ...(first === undefined ? {} : { clientCertificate: await readClient(files, path, first) }),
  };
}

async function certificatesIn(files: Files, path: string): Promise<RegistryMirror | undefined> {
  const names = await files.list(path);
  const authorities = names.filter((name) => name.endsWith('.crt'));
  const [certificate] = names.filter((name) => name.endsWith('.cert'));
  const key = certificate?.replace(/\.cert$/, '.key');
  if (authorities.length === 0 && certificate === undefined) return undefined;
  if (certificate !== undefined && !names.includes(key!)) {
    throw new ImagerError('invalid-input', `${path}/${certificate}: want its key in ${key} beside it`);
  }
  const client = certificate === undefined ? undefined : { certificate, key };
  return {
    endpoints: [],
    self: {
      ...(authorities.length === 0 ? {} : { ca: await readAll(files, path, authorities) }),
      ...(client === undefined ? {} : { clientCertificate: await readClient(files, path, client) }),
    },
  };
}

async function readClient(files: Files, path: string, { certificate, key }: ClientFiles): Promise<ClientCertificate> {
  const text = await readText(files, path, certificate);
  return { certificate: text, key: key === undefined ? text : await readText(files, path, key) };
}

async function readAll(files: Files, path: string, names: readonly string[]): Promise<string> {
  const texts = await Promise.all(names.map((name) => readText(files, path, name)));
  return texts.join('\n');
}

/** PEM; a name that is not absolute counts from the directory of its `hosts.toml`. */
async function readText(files: Files, path: string, name: string): Promise<string> {
  const full = name.startsWith('/') ? name : `${path}/${name}`;
  const text = new TextDecoder().decode(await files.read(full, LIMIT));
  if (text.includes('-----BEGIN ')) return text;
  throw new ImagerError('invalid-input', `${full}: want certificates or a key in PEM`);
}
