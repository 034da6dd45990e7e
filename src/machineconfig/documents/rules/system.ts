/** Everything else of the system: registries, containers, probes, logs, files. */
import { quoted } from '../../../yaml/diagnostic.ts';
import { isMistake } from '../../address.ts';
import type { LocatedObject } from '../../decode.ts';
import { integerOf, isSet, items, mapEntries, object, type Report, textOf, texts } from '../../located.ts';
import { type ParsedUrl, parseUrl, splitHostPort } from '../../url.ts';
import { parseByteSize } from '../formats.ts';
import { keyPair } from './kubernetes.ts';
import { isImageReference, isQualifiedName } from './names.ts';
import { notNegative } from './network.ts';
import { numberMust, type Rule, TEN_SECONDS, textMust } from './rule.ts';
import { runtimeSpec } from './runtime-spec.ts';
import { isKey32, isPem } from './secrets.ts';

/** A URL that must be of these schemes, and pass. Messages do not quote it: URLs carry tokens and passwords. */
function urlMust(field: string, schemes: readonly string[], passes: (url: ParsedUrl) => boolean, wish: string): Rule {
  return (entry, report) => {
    const text = textOf(entry, field) ?? '';
    const url = parseUrl(text);
    if (text === '' || isMistake(url)) return;
    if (!schemes.includes(url.scheme) || !passes(url)) report(entry.fields.get(field)!, `want ${wish}`);
  };
}

const registryMirror: Rule = (entry, report, context) => {
  for (const endpoint of items(entry, 'endpoints')) {
    if (!isSet(endpoint, 'url')) report(endpoint, 'url: not set');
    else endpointUrl(endpoint, report, context);
  }
};

const endpointUrl = urlMust('url', ['http', 'https'], () => true, 'http:// or https://');

const registryAuth: Rule = (entry, report) => {
  const given = ['auth', 'username', 'identityToken'].filter((name) => isSet(entry, name));
  if (given.length > 1) report(entry, `${given.join(', ')}: want one of them`);
};

const registryTls: Rule = (entry, report, { minor }) => {
  const ca = textOf(entry, 'ca') ?? '';
  if (ca !== '' && !isPem(ca, 'CERTIFICATE')) report(entry.fields.get('ca')!, 'want a PEM certificate');
  const identity = object(entry, 'clientIdentity');
  if (identity === undefined || identity.fields.size === 0) return;
  keyPair(identity, report);
  const isOldForm = (textOf(identity, 'key') ?? '').includes('BEGIN EC PRIVATE KEY');
  if (minor < 14 && isOldForm) report(identity.fields.get('key')!, 'Talos before 1.14 wants keys as PKCS #8');
};

const container: Rule = (entry, report, context) => {
  imageOf(entry, report);
  for (const variable of texts(entry, 'environment')) {
    if (!variable.value.includes('=')) report(variable, 'want NAME=value');
  }
  const destinations = new Set<string>();
  for (const mount of items(entry, 'mounts')) mountOf(mount, destinations, report);
  security(entry, report);
  for (const name of ['uid', 'gid']) notNegative(name)(object(entry, 'runAs') ?? entry, report, context);
  const mode = textOf(object(entry, 'network') ?? entry, 'mode') ?? '';
  if (!['', 'none', 'host'].includes(mode))
    report(object(entry, 'network')!.fields.get('mode')!, `${quoted(mode)}: want none or host`);
  limits(entry, report);
  dependencies(entry, report);
};

function imageOf(entry: LocatedObject, report: Report): void {
  const image = textOf(entry, 'image') ?? '';
  const at = entry.fields.get('image');
  if (image === '' || at === undefined) return;
  if (!isImageReference(image)) report(at, `${quoted(image)}: want an image reference`);
  else if (!image.includes('@sha256:')) report(at, 'not pinned to a digest', { severity: 'warning' });
}

const MOUNT_KINDS = ['userVolume', 'tmpfs', 'hostPath'];
const MOUNT_OPTIONS = ['ro', 'rw', 'noexec', 'nosuid', 'nodev', 'noatime', 'rbind', 'rshared'];

function mountOf(mount: LocatedObject, destinations: Set<string>, report: Report): void {
  const kinds = MOUNT_KINDS.filter((name) => mount.fields.has(name));
  if (kinds.length !== 1) report(mount, `want exactly one of ${MOUNT_KINDS.join(', ')}`);
  for (const kind of kinds) {
    const settings = object(mount, kind);
    if (settings === undefined) continue;
    if (kind === 'userVolume' && !isSet(settings, 'name')) report(settings, 'name: not set');
    for (const name of kind === 'hostPath' ? ['source', 'destination'] : ['destination'])
      absolutePath(settings, name, report);
    const destination = textOf(settings, 'destination') ?? '';
    if (destination !== '' && destinations.has(destination))
      report(settings.fields.get('destination')!, 'already a destination');
    destinations.add(destination);
    for (const option of texts(settings, 'options')) {
      if (!MOUNT_OPTIONS.includes(option.value))
        report(option, `${quoted(option.value)}: want ${MOUNT_OPTIONS.join(', ')}`);
    }
    const size = textOf(settings, 'size') ?? '';
    if (size !== '' && parseByteSize(size) === undefined)
      report(settings.fields.get('size')!, 'want a size like 64MiB');
  }
}

function absolutePath(settings: LocatedObject, name: string, report: Report): void {
  const path = textOf(settings, name) ?? '';
  if (path === '') report(settings.fields.get(name) ?? settings, `${name}: not set`);
  else if (!path.startsWith('/')) report(settings.fields.get(name)!, `${quoted(path)}: want an absolute path`);
}

function security(entry: LocatedObject, report: Report): void {
  const settings = object(entry, 'security');
  const profile = textOf(settings ?? entry, 'profile') ?? '';
  if (!['', 'restricted', 'privileged'].includes(profile))
    report(settings!.fields.get('profile')!, `${quoted(profile)}: want restricted or privileged`);
  const capabilities = object(settings ?? entry, 'capabilities');
  for (const list of ['add', 'drop']) {
    for (const item of texts(capabilities, list)) capability(item, list, report);
  }
}

function capability(item: { readonly value: string } & Parameters<Report>[0], list: string, report: Report): void {
  const name = item.value;
  if (name === 'ALL' && list === 'add') report(item, 'ALL: want profile: privileged instead');
  else if (name.startsWith('CAP_')) report(item, `${quoted(name)}: want the name without CAP_`);
  else if (!/^[A-Z_]+$/.test(name)) report(item, `${quoted(name)}: want a capability like NET_ADMIN`);
}

function limits(entry: LocatedObject, report: Report): void {
  const settings = object(object(entry, 'resources') ?? entry, 'limits');
  const cpu = textOf(settings ?? entry, 'cpu') ?? '';
  const memory = textOf(settings ?? entry, 'memory') ?? '';
  if (cpu !== '' && !/^[1-9][0-9]{0,17}m$/.test(cpu))
    report(settings!.fields.get('cpu')!, `${quoted(cpu)}: want millicores, like 1500m`);
  if (memory === '') return;
  const bytes = parseByteSize(memory);
  if (bytes === undefined || bytes <= 0)
    report(settings!.fields.get('memory')!, `${quoted(memory)}: want a size like 64MiB`);
}

const CONDITIONS = ['addresses', 'connectivity', 'hostname', 'etcfiles'];

function dependencies(entry: LocatedObject, report: Report): void {
  const depends = object(entry, 'dependsOn');
  for (const network of texts(depends, 'networks')) {
    if (!CONDITIONS.includes(network.value)) report(network, `${quoted(network.value)}: want ${CONDITIONS.join(', ')}`);
  }
  for (const path of texts(depends, 'paths')) if (!path.value.startsWith('/')) report(path, 'want an absolute path');
}

const imageVerification: Rule = (entry, report) => {
  for (const rule of items(entry, 'rules')) {
    const image = textOf(rule, 'image') ?? '';
    if (image === '') report(rule, 'image: not set');
    else if (image !== '*' && !image.includes('/'))
      report(rule.fields.get('image')!, 'names without "/" are those of docker.io', { severity: 'warning' });
    const given = ['skip', 'deny', 'keyless', 'publicKey'].filter((name) => isGiven(rule, name));
    if (given.length !== 1) report(rule, 'want exactly one of skip, deny, keyless, publicKey');
    keyless(rule, report);
    const publicKey = object(rule, 'publicKey');
    if (publicKey !== undefined && !isSet(publicKey, 'certificate')) report(publicKey, 'certificate: not set');
  }
};

function isGiven(rule: LocatedObject, name: string): boolean {
  return name === 'skip' || name === 'deny' ? isSet(rule, name) : rule.fields.has(name);
}

function keyless(rule: LocatedObject, report: Report): void {
  const settings = object(rule, 'keyless');
  if (settings === undefined) return;
  if (!isSet(settings, 'issuer')) report(settings, 'issuer: not set');
  if (!isSet(settings, 'subject') && !isSet(settings, 'subjectRegex')) report(settings, 'want subject or subjectRegex');
}

const extensionService: Rule = (entry, report) => {
  const files = items(entry, 'configFiles');
  if (files.length === 0 && !isSet(entry, 'environment')) report(entry, 'want configFiles or environment');
  for (const file of files) {
    for (const name of ['content', 'mountPath']) if (!isSet(file, name)) report(file, `${name}: not set`);
  }
};

/** Files in /etc that Talos writes itself, and directories it keeps. */
const MANAGED_FILES = [
  'resolv.conf',
  'hosts',
  'machine-id',
  'extensions.yaml',
  'localtime',
  'os-release',
  'xattr.conf',
];
const MANAGED_DIRECTORIES = [
  'apparmor.d',
  'apparmor',
  'ca-certificates',
  'cni',
  'cri',
  'iscsi',
  'kubernetes',
  'lvm',
  'nvme',
  'pki',
  'selinux',
  'ssl',
];

function isFreeFile(name: string): boolean {
  const parts = name.split('/');
  const isLocal = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  return isLocal && !name.startsWith('.') && !MANAGED_FILES.includes(name) && !MANAGED_DIRECTORIES.includes(parts[0]!);
}

const variables: Rule = (entry, report) => {
  for (const [name, value] of mapEntries(entry, 'variables')) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      report(value, `${quoted(name)}: want the name of an environment variable`);
  }
};

const namedParameters: Rule = (entry, report) => {
  for (const [name, value] of mapEntries(entry, 'params')) if (name === '') report(value, 'want a name');
};

const watchdog: Rule = (entry, report) => {
  const timeout = integerOf(entry, 'timeout');
  if (timeout !== undefined && timeout !== 0n && timeout < TEN_SECONDS)
    report(entry.fields.get('timeout')!, 'want 10s or more');
};

/** A host, which may be empty, and a port, which may be anything. */
function looksLikeHostPort(text: string): boolean {
  return /^(?:\[[^[\]]*\]|[^[\]:]*):[^[\]:]*$/.test(text);
}

export const SYSTEM_RULES: Readonly<Record<string, readonly Rule[]>> = {
  CRIBaseRuntimeSpecConfig: [
    (entry, report): void => {
      const overrides = entry.fields.get('overrides');
      if (overrides !== undefined) runtimeSpec(overrides, report);
    },
  ],
  RegistryMirrorConfig: [registryMirror],
  RegistryAuthConfig: [registryAuth],
  RegistryTLSConfig: [registryTls],
  ContainerConfig: [
    textMust(
      'name',
      (name) => /^[a-z0-9-]{1,63}$/.test(name),
      'a name of 1..63 lower-case letters, digits and hyphens',
    ),
    container,
  ],
  ImageVerificationConfig: [imageVerification],
  ExtensionServiceConfig: [extensionService],
  EtcFileConfig: [textMust('name', isFreeFile, 'a path below /etc that Talos does not manage')],
  EnvironmentConfig: [variables],
  SysctlConfig: [namedParameters],
  SysfsConfig: [namedParameters],
  WatchdogTimerConfig: [watchdog],
  ZswapConfig: [numberMust('maxPoolPercent', 0n, 100n, '0..100')],
  OOMConfig: [notNegative('sampleInterval')],
  CRICustomizationConfig: [textMust('name', isQualifiedName, 'a name as Kubernetes has them')],
  EventSinkConfig: [textMust('endpoint', looksLikeHostPort, 'host:port')],
  KmsgLogConfig: [
    urlMust(
      'url',
      ['tcp', 'udp'],
      ({ host, path }) => splitHostPort(host).port !== '' && (path === '' || path === '/'),
      'tcp:// or udp:// with a port and no path',
    ),
  ],
  SideroLinkConfig: [
    urlMust(
      'apiUrl',
      ['https', 'grpc'],
      ({ path }) => path === '' || path === '/',
      'https:// or grpc:// without a path',
    ),
  ],
  HTTPProbeConfig: [
    urlMust('url', ['http', 'https'], ({ host }) => host !== '', 'http:// or https:// with a host'),
    notNegative('timeout'),
    notNegative('interval'),
    notNegative('failureThreshold'),
  ],
  DiscoveryServiceConfig: [
    urlMust(
      'endpoint',
      ['http', 'https', 'grpc'],
      ({ host }) => host !== '',
      'http://, https:// or grpc:// with a host',
    ),
  ],
  DiscoveryIdentityConfig: [
    (entry, report): void => {
      const secret = textOf(entry, 'clusterSecret') ?? '';
      if (secret !== '' && !isKey32(secret)) report(entry.fields.get('clusterSecret')!, 'want base64 of 32 bytes');
    },
  ],
};
