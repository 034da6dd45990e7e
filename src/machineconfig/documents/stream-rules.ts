/** Documents against each other, and against the old fields of the root document. Source: spec machine-config 1. */
import { type Problem, quoted } from '../../yaml/diagnostic.ts';
import { type LocatedObject, problemOf } from '../decode.ts';
import { booleanOf, inner, isSet, items, object, textOf, texts } from '../located.ts';
import { KINDS } from './kinds.ts';
import { type ConfigDocument, titleOf } from './load.ts';
import { isControlPlane } from './rules/root.ts';
import type { CheckContext } from './rules/rule.ts';

interface Stream {
  readonly documents: readonly ConfigDocument[];
  readonly root?: LocatedObject;
  readonly context: CheckContext;
}

type StreamRule = (stream: Stream) => readonly Problem[];

export function streamRules(documents: readonly ConfigDocument[], context: CheckContext): readonly Problem[] {
  const root = documents.find(({ kind }) => kind === '')?.object;
  const stream = { documents, context, ...(root === undefined ? {} : { root }) };
  return STREAM_RULES.flatMap((rule) => rule(stream));
}

const controlPlaneOnly: StreamRule = ({ documents, root }) => {
  if (root !== undefined && isControlPlane(root)) return [];
  return documents
    .filter(({ kind }) => KINDS[kind]?.controlPlaneOnly === true)
    .map(({ kind, object: at }) => problemOf(at, `${kind}: only beside a root document of type controlplane`));
};

/** Old fields that a document of this kind does not go with: paths below the root document, any of them. */
const LEGACY_FIELDS: Readonly<Record<string, readonly string[]>> = {
  CRIBaseRuntimeSpecConfig: ['machine.baseRuntimeSpecOverrides'],
  DiscoveryIdentityConfig: ['cluster.id', 'cluster.secret'],
  DiscoveryServiceConfig: ['cluster.discovery'],
  ImageCacheConfig: ['machine.features.imageCache'],
  KubeAPIServerCAConfig: ['cluster.ca', 'cluster.acceptedCAs'],
  KubeAPIServerConfig: ['cluster.apiServer'],
  KubeAdmissionControlConfig: ['cluster.apiServer.admissionControl'],
  KubeAggregatorCAConfig: ['cluster.aggregatorCA'],
  KubeAuditPolicyConfig: ['cluster.apiServer.auditPolicy'],
  KubeAuthorizerConfig: ['cluster.apiServer.authorizationConfig'],
  KubeClusterConfig: ['cluster.clusterName', 'cluster.controlPlane.endpoint'],
  KubeControllerManagerConfig: ['cluster.controllerManager'],
  KubeCoreDNSConfig: ['cluster.coreDNS'],
  KubeCredentialProviderConfig: ['machine.kubelet'],
  KubeEtcdEncryptionConfig: ['cluster.secretboxEncryptionSecret', 'cluster.aescbcEncryptionSecret'],
  KubeFlannelCNIConfig: ['cluster.network'],
  KubeNetworkConfig: ['cluster.network'],
  KubeNodeConfig: ['machine.nodeLabels', 'machine.nodeAnnotations', 'machine.nodeTaints', 'machine.kubelet.nodeIP'],
  KubePrismConfig: ['machine.features.kubePrism'],
  KubeProxyConfig: ['cluster.proxy'],
  KubeSchedulerConfig: ['cluster.scheduler'],
  KubeServiceAccountConfig: ['cluster.serviceAccount'],
  KubeSpanConfig: ['machine.network.kubespan'],
  KubeTalosAPIAccessConfig: ['machine.features.kubernetesTalosAPIAccess'],
  KubeletConfig: ['machine.kubelet'],
  UnattendedInstallConfig: ['machine.install'],
};

const legacyFields: StreamRule = ({ documents, root }) => {
  if (root === undefined) return [];
  return documents.flatMap((document) =>
    (LEGACY_FIELDS[document.kind] ?? []).filter((path) => has(root, path)).map((path) => conflict(document, path)),
  );
};

function conflict(document: ConfigDocument, path: string): Problem {
  return problemOf(document.object, `${titleOf(document)}: the root document sets ${path}, too: want only one of them`);
}

function has(root: LocatedObject, path: string): boolean {
  const names = path.split('.');
  const owner = inner(root, ...names.slice(0, -1));
  const field = owner?.fields.get(names.at(-1)!);
  return field !== undefined && field.value !== '';
}

/** Conflicts that depend on what is said. */
const legacyValues: StreamRule = ({ documents, root }) => {
  if (root === undefined) return [];
  return documents.flatMap((document) => {
    const { kind, object: entry } = document;
    if (kind === 'HostnameConfig') {
      const isStable = booleanOf(inner(root, 'machine', 'features'), 'stableHostname') === true;
      if (isStable) return [conflict(document, 'machine.features.stableHostname')];
      if (has(root, 'machine.network.hostname')) return [conflict(document, 'machine.network.hostname')];
    }
    if (kind === 'ResolverConfig' && entry.fields.has('hostDNS') && has(root, 'machine.features.hostDNS'))
      return [conflict(document, 'machine.features.hostDNS')];
    if (kind === 'TimeSyncConfig' && has(root, 'machine.time')) return [conflict(document, 'machine.time')];
    if (kind === 'VolumeConfig' && entry.fields.has('encryption')) {
      const path = `machine.systemDiskEncryption.${document.name.toLowerCase()}`;
      if (['STATE', 'EPHEMERAL'].includes(document.name) && has(root, path)) return [conflict(document, path)];
    }
    return [];
  });
};

/** A container has no network of its own: its DNS is that of the host. */
const containerDns: StreamRule = ({ documents, root, context }) => {
  if (context.mode !== 'container' || (context.minor < 14 && root === undefined)) return [];
  const resolver = documents.find(({ kind }) => kind === 'ResolverConfig')?.object;
  const settings =
    (resolver === undefined ? undefined : object(resolver, 'hostDNS')) ??
    (root === undefined ? undefined : inner(root, 'machine', 'features', 'hostDNS'));
  const at = settings ?? resolver ?? root ?? documents[0]!.object;
  if (settings === undefined) return [problemOf(at, 'hostDNS: not set, containers need it')];
  return ['enabled', 'forwardKubeDNSToHost']
    .filter((name) => booleanOf(settings, name) !== true)
    .map((name) => problemOf(at, `hostDNS.${name}: want true, containers need it`));
};

/** KubeSpan finds its peers, and the discovery service its cluster, by an identity. */
const discovery: StreamRule = ({ documents, root, context }) => {
  const problems: Problem[] = [];
  const service = documents.find(({ kind }) => kind === 'DiscoveryServiceConfig');
  const hasIdentity = documents.some(({ kind }) => kind === 'DiscoveryIdentityConfig');
  const cluster = root === undefined ? undefined : object(root, 'cluster');
  if (service !== undefined && !hasIdentity && !(isSet(cluster, 'id') && isSet(cluster, 'secret')))
    problems.push(
      problemOf(service.object, 'discovery identity: not set: want a DiscoveryIdentityConfig document, too'),
    );
  const isDiscovering =
    service !== undefined || (root !== undefined && booleanOf(inner(root, 'cluster', 'discovery'), 'enabled') === true);
  // Talos 1.13 asks this of the old field only.
  const document = context.minor < 14 ? undefined : documents.find(({ kind }) => kind === 'KubeSpanConfig')?.object;
  const span = document ?? (root && inner(root, 'machine', 'network', 'kubespan'));
  if (booleanOf(span, 'enabled') === true && !isDiscovering)
    problems.push(problemOf(span!, 'KubeSpan: want discovery, too'));
  return problems;
};

/** A node that runs the API server must say how its secrets are stored. */
const etcdEncryption: StreamRule = ({ documents, root, context }) => {
  if (root === undefined || !isControlPlane(root) || context.minor < 14) return [];
  const cluster = object(root, 'cluster');
  const caDocument = documents.find(({ kind }) => kind === 'KubeAPIServerCAConfig');
  const hasCa = cluster?.fields.has('ca') === true || caDocument !== undefined;
  const isEncrypted =
    isSet(cluster, 'secretboxEncryptionSecret') ||
    isSet(cluster, 'aescbcEncryptionSecret') ||
    documents.some(({ kind }) => kind === 'KubeEtcdEncryptionConfig');
  const message = 'want a KubeEtcdEncryptionConfig document, as this control plane runs an API server';
  return hasCa && !isEncrypted ? [problemOf(caDocument?.object ?? root, message)] : [];
};

/** Encrypted name servers are asked by the node's own resolver. */
const encryptedDns: StreamRule = ({ documents, root }) => {
  const resolver = documents.find(({ kind }) => kind === 'ResolverConfig')?.object;
  if (resolver === undefined) return [];
  const isEncrypted = items(resolver, 'nameservers').some(
    (server) => (textOf(server, 'protocol') ?? 'Do53') !== 'Do53',
  );
  const settings =
    object(resolver, 'hostDNS') ?? (root === undefined ? undefined : inner(root, 'machine', 'features', 'hostDNS'));
  if (!isEncrypted || booleanOf(settings, 'enabled') === true) return [];
  return [problemOf(resolver, 'DoT, DoH: want hostDNS.enabled: true, too')];
};

const containers: StreamRule = ({ documents }) => {
  const found = documents.filter(({ kind }) => kind === 'ContainerConfig');
  const needs = new Map(
    found.map(({ name, object: entry }) => [name, texts(object(entry, 'dependsOn'), 'containers')]),
  );
  return found.flatMap(({ name, object: entry }) => {
    const missing = needs.get(name)!.filter(({ value }) => !needs.has(value));
    const problems = missing.map((item) => problemOf(item, `${quoted(item.value)}: no such container`));
    return isInCircle(name, needs)
      ? [...problems, problemOf(entry, 'depends on itself, by way of others or not')]
      : problems;
  });
};

function isInCircle(name: string, needs: ReadonlyMap<string, readonly { readonly value: string }[]>): boolean {
  const reached = new Set<string>();
  const waiting = [name];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const { value } of needs.get(next) ?? []) {
      if (value === name) return true;
      if (!reached.has(value)) waiting.push(value);
      reached.add(value);
    }
  }
  return false;
}

const STREAM_RULES: readonly StreamRule[] = [
  controlPlaneOnly,
  legacyFields,
  legacyValues,
  containerDns,
  discovery,
  etcdEncryption,
  encryptedDns,
  containers,
];
