/** The root document: machine and cluster sections. Source: spec machine-config 3, 4. */
import { quoted } from '../../../yaml/diagnostic.ts';
import { isMistake } from '../../address.ts';
import type { Located, LocatedObject } from '../../decode.ts';
import {
  booleanOf,
  inner,
  integerOf,
  isSet,
  items,
  mapEntries,
  object,
  type Report,
  textOf,
  texts,
} from '../../located.ts';
import { parseUrl } from '../../url.ts';
import { endpointProblem, imageTag, rolesMust, subnetFilter, taints } from './kubernetes.ts';
import { isLabelValue, isQualifiedName } from './names.ts';
import { interfaces } from './root-network.ts';
import type { CheckContext, Rule } from './rule.ts';
import { runtimeSpec } from './runtime-spec.ts';

const MACHINE_TYPES = ['init', 'controlplane', 'worker'];

export function isControlPlane(root: LocatedObject): boolean {
  return ['init', 'controlplane'].includes(textOf(object(root, 'machine') ?? root, 'type') ?? '');
}

/** What is no machine type counts as neither: upstream then asks for nothing that only one of them needs. */
function isWorker(root: LocatedObject): boolean {
  return ['', 'join', 'worker'].includes(textOf(object(root, 'machine') ?? root, 'type') ?? '');
}

const sections: Rule = (root, report) => {
  for (const name of ['machine', 'cluster']) if (!root.fields.has(name)) report(root, `${name}: not set`);
};

const machineType: Rule = (root, report) => {
  const machine = object(root, 'machine');
  if (machine === undefined) return;
  const type = textOf(machine, 'type') ?? '';
  const at = machine.fields.get('type') ?? machine;
  if (type === '' || type === 'join') report(at, `type ${quoted(type)}: want worker`, { severity: 'warning' });
  else if (!MACHINE_TYPES.includes(type)) report(at, `type ${quoted(type)}: want controlplane or worker`);
};

const machineCa: Rule = (root, report) => {
  const machine = object(root, 'machine');
  if (machine === undefined) return;
  const ca = object(machine, 'ca');
  if (!machine.fields.has('ca') && !isSet(machine, 'acceptedCAs')) report(machine, 'ca: want it or acceptedCAs');
  const hasKey = isSet(ca, 'key');
  if (isControlPlane(root) && ca === undefined) report(machine, 'ca: not set');
  if (isControlPlane(root) && ca !== undefined && !hasKey) report(ca, 'ca.key: not set, control planes need it');
  if (!isWorker(root)) return;
  if (hasKey) report(ca!.fields.get('key')!, 'the key of the CA: not for workers');
  if (ca !== undefined && !isSet(ca, 'crt') && !isSet(machine, 'acceptedCAs'))
    report(ca, 'ca.crt: want it or acceptedCAs');
};

const clusterSecrets: Rule = (root, report) => {
  const cluster = object(root, 'cluster');
  const ca = cluster === undefined ? undefined : object(cluster, 'ca');
  if (!isControlPlane(root) && isSet(ca, 'key')) report(ca!.fields.get('key')!, 'the key of the CA: not for workers');
  const etcd = cluster === undefined ? undefined : object(cluster, 'etcd');
  if (etcd === undefined) return;
  if (!isControlPlane(root)) report(etcd, 'etcd: only for control planes');
  else if (!etcd.fields.has('ca')) report(etcd, 'etcd.ca: not set');
  if (isSet(etcd, 'subnet') && isSet(etcd, 'advertisedSubnets'))
    report(etcd.fields.get('subnet')!, 'subnet: not with advertisedSubnets');
};

const endpoint: Rule = (root, report, context) => {
  const cluster = object(root, 'cluster');
  const plane = cluster === undefined ? undefined : object(cluster, 'controlPlane');
  // Talos 1.14 has a document for this.
  if (plane === undefined) {
    if (cluster !== undefined && context.minor < 14) report(cluster, 'controlPlane.endpoint: not set');
    return;
  }
  const at = plane.fields.get('endpoint');
  if (at === undefined) report(plane, 'endpoint: not set');
  else if (typeof at.value === 'string') reportIf(at, endpointProblem(at.value), report);
};

function reportIf(at: Located, message: string | undefined, report: Report): void {
  if (message !== undefined) report(at, message);
}

const CNI_NAMES = ['flannel', 'custom', 'none'];

const cni: Rule = (root, report) => {
  const network = inner(root, 'cluster', 'network');
  const settings = network === undefined ? undefined : object(network, 'cni');
  const domain = textOf(network ?? root, 'dnsDomain') ?? '';
  if (domain !== '' && !isDnsName(domain))
    report(network!.fields.get('dnsDomain')!, `${quoted(domain)}: want a DNS name`);
  if (settings === undefined) return;
  const name = textOf(settings, 'name') ?? '';
  if (!CNI_NAMES.includes(name)) report(settings, `cni.name: want ${CNI_NAMES.join(', ')}`);
  const urls = texts(settings, 'urls');
  if (name !== 'custom' && CNI_NAMES.includes(name) && urls.length > 0)
    report(settings.fields.get('urls')!, `urls: not with ${name}`);
  if (name === 'custom' && urls.length === 0) report(settings, 'custom without urls', { severity: 'warning' });
  if (name === 'custom') for (const url of urls) reportIf(url, endpointProblem(url.value), report);
  if (name !== 'flannel' && isSet(object(settings, 'flannel'), 'extraArgs'))
    report(settings.fields.get('flannel')!, 'flannel: only with name flannel');
};

function isDnsName(name: string): boolean {
  return (
    name.length <= 255 &&
    name
      .split('.')
      .every(
        (label, index, all) =>
          /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})$/.test(label) || (label === '' && index === all.length - 1),
      )
  );
}

/** `metal` installs; the other modes run what is there. */
const install: Rule = (root, report, { mode, minor }) => {
  const machine = object(root, 'machine');
  const settings = machine === undefined ? undefined : object(machine, 'install');
  if (mode !== 'metal') return;
  if (settings === undefined) {
    if (machine !== undefined && minor < 14) report(machine, 'install: not set');
    return;
  }
  const selector = object(settings, 'diskSelector');
  const type = textOf(selector ?? settings, 'type') ?? '';
  if (type !== '' && !['ssd', 'hdd', 'nvme', 'sd'].includes(type.toLowerCase()))
    report(selector!.fields.get('type')!, `${quoted(type)}: want ssd, hdd, nvme or sd`);
  if (!isSet(settings, 'disk') && selector === undefined) report(settings, 'install: want disk or diskSelector');
  if (isSet(settings, 'extraKernelArgs') && booleanOf(settings, 'grubUseUKICmdline') === true)
    report(settings.fields.get('extraKernelArgs')!, 'extraKernelArgs: not with grubUseUKICmdline');
};

/** Parts upstream warns of. */
const superseded: Rule = (root, report) => {
  const machine = object(root, 'machine');
  const warn = (entry: LocatedObject | undefined, name: string, instead: string): void => {
    if (isSet(entry, name))
      report(entry!.fields.get(name)!, `${name}: use ${instead} instead`, { severity: 'warning' });
  };
  warn(machine, 'files', 'documents made for the purpose');
  warn(machine, 'baseRuntimeSpecOverrides', 'a CRIBaseRuntimeSpecConfig document');
  warn(inner(root, 'machine', 'install'), 'extensions', 'an image that has them');
};

const discovery: Rule = (root, report) => {
  const cluster = object(root, 'cluster');
  if (cluster === undefined || !usesDiscoveryService(root)) return;
  for (const name of ['id', 'secret'])
    if (!isSet(cluster, name)) report(cluster, `${name}: not set, the discovery service needs it`);
  const service = inner(cluster, 'discovery', 'registries', 'service');
  const text = textOf(service ?? cluster, 'endpoint') ?? '';
  const url = parseUrl(text);
  if (service !== undefined && text !== '' && !isMistake(url) && url.path !== '' && url.path !== '/')
    report(service.fields.get('endpoint')!, 'want a URL without a path');
};

export function usesDiscoveryService(root: LocatedObject): boolean {
  const settings = inner(root, 'cluster', 'discovery');
  return (
    booleanOf(settings, 'enabled') === true &&
    booleanOf(inner(root, 'cluster', 'discovery', 'registries', 'service'), 'disabled') !== true
  );
}

const features: Rule = (root, report) => {
  const settings = inner(root, 'machine', 'features');
  if (settings === undefined) return;
  const hostDns = object(settings, 'hostDNS');
  for (const name of ['forwardKubeDNSToHost', 'resolveMemberNames']) {
    if (booleanOf(hostDns, name) === true && booleanOf(hostDns, 'enabled') !== true)
      report(hostDns!.fields.get(name)!, `${name}: want enabled: true, too`);
  }
  const access = object(settings, 'kubernetesTalosAPIAccess');
  if (booleanOf(access, 'enabled') === true) {
    if (!isControlPlane(root)) report(access!, 'kubernetesTalosAPIAccess: only for control planes');
    rolesMust(access!, report);
  }
  const sort = textOf(settings, 'nodeAddressSortAlgorithm') ?? '';
  if (!['', 'v1', 'v2'].includes(sort))
    report(settings.fields.get('nodeAddressSortAlgorithm')!, `${quoted(sort)}: want v1 or v2`);
};

const logging: Rule = (root, report) => {
  for (const destination of items(inner(root, 'machine', 'logging') ?? root, 'destinations')) {
    const format = textOf(destination, 'format') ?? '';
    if (format !== 'json_lines')
      report(destination.fields.get('format') ?? destination, `format ${quoted(format)}: want json_lines`);
    const url = parseUrl(textOf(destination, 'endpoint') ?? '');
    if (!destination.fields.has('endpoint')) report(destination, 'endpoint: not set');
    else if (!isMistake(url) && !['tcp', 'udp'].includes(url.scheme))
      report(destination.fields.get('endpoint')!, 'want tcp:// or udp://');
  }
};

const nodeNames: Rule = (root, report) => {
  const machine = object(root, 'machine');
  if (machine === undefined) return;
  for (const [key, value] of mapEntries(machine, 'nodeLabels')) {
    if (!isQualifiedName(key)) report(value, `${quoted(key)}: want a name as Kubernetes has them`);
    else if (!isLabelValue(String(value.value))) report(value, 'want the value of a label');
  }
  for (const [key, value] of mapEntries(machine, 'nodeAnnotations')) {
    if (!isQualifiedName(key)) report(value, `${quoted(key)}: want a name as Kubernetes has them`);
  }
  taints(machine, 'nodeTaints', report);
};

const nulls: Rule = (root, report) => {
  const machine = object(root, 'machine');
  const disks = machine?.fields.get('disks')?.value;
  for (const disk of Array.isArray(disks) ? (disks as readonly Located[]) : []) {
    if (isNullItem(disk)) report(disk, 'want a disk');
  }
  for (const name of ['mirrors', 'config']) {
    for (const [, value] of mapEntries(inner(root, 'machine', 'registries'), name))
      if (value.value === undefined) report(value, 'want settings, or no such key');
  }
};

export function isNullItem(item: Located): boolean {
  return item.node.kind === 'scalar';
}

const systemDiskEncryption: Rule = (root, report) => {
  for (const name of ['state', 'ephemeral']) {
    const settings = inner(root, 'machine', 'systemDiskEncryption', name);
    if (settings === undefined) continue;
    const keys = items(settings, 'keys');
    if (keys.length === 0) report(settings, 'keys: want at least one');
    const slots = new Set<bigint>();
    for (const key of keys) {
      const slot = integerOf(key, 'slot') ?? 0n;
      if (slots.has(slot)) report(key, `slot ${slot}: already in use`);
      slots.add(slot);
      if (!['static', 'nodeID', 'kms', 'tpm'].some((kind) => key.fields.has(kind)))
        report(key, 'want one of static, nodeID, kms, tpm');
    }
  }
};

/** Settings of the kubelet that Talos makes itself. */
const PROTECTED_KUBELET = [
  'apiVersion',
  'kind',
  'port',
  'authentication',
  'authorization',
  'cgroupRoot',
  'systemCgroups',
  'kubeletCgroups',
  'systemReserved',
  'streamingConnectionIdleTimeout',
  'tlsMinVersion',
  'rotateCertificates',
  'resolvConf',
  'staticPodPath',
  'containerRuntimeEndpoint',
];

export function kubeletSettings(config: Located | undefined, report: Report): void {
  if (config?.node.kind !== 'mapping') return;
  for (const { key } of config.node.entries) {
    if (PROTECTED_KUBELET.includes(key.text))
      report({ path: `${config.path}.${key.text}`, node: key }, 'Talos sets this itself');
  }
}

const kubelet: Rule = (root, report) => {
  const settings = inner(root, 'machine', 'kubelet');
  kubeletSettings(settings?.fields.get('extraConfig'), report);
  for (const subnet of texts(inner(root, 'machine', 'kubelet', 'nodeIP'), 'validSubnets')) subnetFilter(subnet, report);
};

const IMAGES = [
  ['machine', 'kubelet'],
  ['cluster', 'apiServer'],
  ['cluster', 'controllerManager'],
  ['cluster', 'proxy'],
  ['cluster', 'scheduler'],
] as const;

const images: Rule = (root, report, context: CheckContext) => {
  for (const path of IMAGES) {
    const at = inner(root, ...path)?.fields.get('image');
    if (at !== undefined) imageTag(at, report, context);
  }
};

const manifests: Rule = (root, report) => {
  const cluster = object(root, 'cluster');
  if (cluster === undefined) return;
  const names = new Set<string>();
  for (const manifest of items(cluster, 'inlineManifests')) {
    const name = textOf(manifest, 'name') ?? '';
    if (name === '') report(manifest, 'name: not set');
    else if (names.has(name)) report(manifest, `${quoted(name)}: already there`);
    names.add(name);
  }
  const provider = object(cluster, 'externalCloudProvider');
  const urls = texts(provider, 'manifests');
  if (urls.length > 0 && booleanOf(provider, 'enabled') !== true)
    report(provider!.fields.get('manifests')!, 'manifests: only with enabled: true');
  if (booleanOf(provider, 'enabled') === true)
    for (const url of urls) reportIf(url, endpointProblem(url.value), report);
};

const kubeSpan: Rule = (root, report) => {
  const settings = inner(root, 'machine', 'network', 'kubespan');
  if (booleanOf(settings, 'enabled') !== true) return;
  const mtu = integerOf(settings, 'mtu');
  if (mtu !== undefined && mtu !== 0n && mtu < 1280n) report(settings!.fields.get('mtu')!, 'want at least 1280');
  for (const filter of texts(object(settings!, 'filters'), 'endpoints')) subnetFilter(filter, report);
};

const runtime: Rule = (root, report) => {
  const overrides = object(root, 'machine')?.fields.get('baseRuntimeSpecOverrides');
  if (overrides !== undefined) runtimeSpec(overrides, report);
};

export const ROOT_RULES: readonly Rule[] = [
  sections,
  machineType,
  machineCa,
  clusterSecrets,
  endpoint,
  cni,
  install,
  superseded,
  discovery,
  features,
  logging,
  nodeNames,
  nulls,
  systemDiskEncryption,
  kubelet,
  images,
  manifests,
  kubeSpan,
  runtime,
  interfaces,
];
