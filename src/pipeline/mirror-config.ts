/**
 * What makes clients ask a mirror: flags of this tool, machine configuration of Talos, hosts.toml of containerd. Sources: siderolabs/talos
 * RegistryMirrorConfig (1.12) and machine.registries.mirrors before; containerd docs/hosts.md.
 */
import { parseReference } from '../oci/reference.ts';
import { mirrorKey } from '../oci/registry/mirrors.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import { emitYaml } from '../yaml/emit.ts';
import type { MirrorTarget } from './mirror-target.ts';

export interface MirrorConfiguration {
  /** For builds; where files are needed, `DIR` stands for that of the configuration. */
  readonly flags: readonly string[];
  /** By name below that directory. None of Talos and containerd for a layout, which nodes cannot ask. */
  readonly files: ReadonlyMap<string, string>;
}

export interface MirrorConfigOptions {
  /** Of a registry, as clients reach it. */
  readonly origin: string | undefined;
  /** For these the machine configuration is; for all unless told. */
  readonly talosVersions: readonly string[];
  /** Where the files will be; absent when they will be nowhere. */
  readonly directory: string | undefined;
}

/** For the registries of `references`, without a way around the mirror: where there is no network, trying costs minutes. */
export function mirrorConfiguration(
  target: MirrorTarget,
  references: readonly string[],
  { origin, talosVersions, directory }: MirrorConfigOptions,
): MirrorConfiguration {
  const hosts = [...new Set(references.map((text) => mirrorKey(parseReference(text).registry)))].sort();
  if (target.kind === 'layout') {
    return { flags: hosts.flatMap((host) => ['--mirror', `${host}=oci:${target.directory}`]), files: new Map() };
  }
  const base = origin ?? `https://${target.registry}`;
  const endpoint = target.prefix === '' ? base : `${base}/v2/${target.prefix}`;
  const files = new Map(hosts.map((host) => [`hosts/${host}/hosts.toml`, hostsToml(endpoint, target.prefix !== '')]));
  const minors = talosVersions.map((version) => parseTalosVersion(version)?.minor);
  if (minors.length === 0 || minors.some((minor) => minor === undefined || minor >= 12)) {
    files.set('talos-registry-mirrors.yaml', mirrorDocuments(hosts, endpoint, target.prefix !== ''));
  }
  if (minors.length === 0 || minors.some((minor) => minor !== undefined && minor < 12)) {
    files.set('talos-machine-registries.yaml', machineRegistries(hosts, endpoint, target.prefix !== ''));
  }
  // A prefix comes after /v2, which the other flag cannot say, nor that there is no way around.
  const flags =
    target.prefix === '' && directory === undefined
      ? hosts.flatMap((host) => ['--mirror', `${host}=${endpoint}`])
      : ['--hosts-dir', `${directory ?? 'DIR'}/hosts`];
  return { flags, files };
}

/** The mirror in place of the registry itself: asking that as well would cost its time limit for every signature there is none of. */
function hostsToml(endpoint: string, overridePath: boolean): string {
  return [
    `server = "${endpoint}"`,
    'capabilities = ["pull", "resolve"]',
    ...(overridePath ? ['override_path = true'] : []),
    '',
  ].join('\n');
}

function mirrorDocuments(hosts: readonly string[], url: string, overridePath: boolean): string {
  return hosts
    .map((name) =>
      emitYaml({
        apiVersion: 'v1alpha1',
        kind: 'RegistryMirrorConfig',
        name,
        endpoints: [{ url, ...(overridePath ? { overridePath } : {}) }],
        skipFallback: true,
      }),
    )
    .join('---\n');
}

function machineRegistries(hosts: readonly string[], url: string, overridePath: boolean): string {
  const mirror = { endpoints: [url], ...(overridePath ? { overridePath } : {}), skipFallback: true };
  const mirrors = Object.fromEntries(hosts.map((host) => [host, mirror]));
  return emitYaml({ machine: { registries: { mirrors } } });
}
