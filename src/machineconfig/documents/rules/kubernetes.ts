/** Documents of Kubernetes' parts. */
import { quoted } from '../../../yaml/diagnostic.ts';
import { isNull } from '../../../yaml/scalar.ts';
import { type IpPrefix, isIpv4, isMistake, parseAddress, parsePrefix } from '../../address.ts';
import type { Located, LocatedObject } from '../../decode.ts';
import { integerOf, isSet, mapEntries, object, type Report, textOf, texts } from '../../located.ts';
import { parseUrl, splitHostPort } from '../../url.ts';
import { isLabelValue, isQualifiedName, isSubdomain, isTaint, kubernetesMinors, taggedMinor } from './names.ts';
import type { CheckContext, Rule } from './rule.ts';
import { numberMust, textMust } from './rule.ts';
import { isPem } from './secrets.ts';
import { isMasked } from './subnets.ts';

/** The image of a part of Kubernetes: its tag says which release it is. */
const kubernetesImage: Rule = (entry, report, context) => {
  const at = entry.fields.get('image');
  if (at !== undefined) imageTag(at, report, context);
};

export function imageTag(at: Located, report: Report, context: CheckContext): void {
  const image = typeof at.value === 'string' ? at.value : '';
  // Earlier releases look at no tags.
  if (image === '' || context.local || context.minor < 14) return;
  const minor = taggedMinor(image);
  const { least, most } = kubernetesMinors(context.minor);
  if (minor === undefined)
    report(at, `${quoted(image)}: want a tag that is a release of Kubernetes, like v1.${most}.0`);
  else if (minor < least || minor > most)
    report(at, `Kubernetes 1.${minor}: Talos 1.${context.minor} runs 1.${least} to 1.${most}`);
}

/** Arguments that would set aside what documents of their own configure. */
const RESERVED_ARGUMENTS = [
  'anonymous-auth',
  'oidc-',
  'authentication-config',
  'authorization-config',
  'authorization-mode',
  'authorization-webhook-',
];

const apiServer: Rule = (entry, report) => {
  for (const [name, value] of mapEntries(entry, 'extraArgs')) {
    if (RESERVED_ARGUMENTS.some((prefix) => name.startsWith(prefix)))
      report(value, `${name}: there are documents for this`);
  }
};

const RESOURCE_NAMES = ['cpu', 'memory', 'ephemeral-storage'];

/** Requests and limits of a static pod. */
export const podResources: Rule = (entry, report) => {
  const resources = object(entry, 'resources');
  for (const name of ['requests', 'limits']) {
    const field = resources?.fields.get(name);
    if (field?.node.kind !== 'mapping') continue;
    for (const { key } of field.node.entries) {
      if (!RESOURCE_NAMES.includes(key.text))
        report({ path: `${field.path}.${key.text}`, node: key }, `want ${RESOURCE_NAMES.join(', ')}`);
    }
  }
};

const proxy: Rule = (entry, report) => {
  const mode = textOf(entry, 'mode') ?? '';
  const at = entry.fields.get('mode');
  if (!['', 'nftables', 'iptables', 'ipvs'].includes(mode))
    report(at!, `mode ${quoted(mode)}: want nftables, iptables or ipvs`);
  if (isSet(entry, 'extraArgs'))
    report(entry.fields.get('extraArgs')!, 'may not work as expected, use config instead', { severity: 'warning' });
};

const AUTHORIZERS = ['Node', 'RBAC', 'Webhook'];

const authorizer: Rule = (entry, report) => {
  const type = textOf(entry, 'type') ?? '';
  if (type !== '' && !AUTHORIZERS.includes(type))
    report(entry.fields.get('type')!, `${quoted(type)}: want ${AUTHORIZERS.join(', ')}`);
  const hasWebhook = isSet(entry, 'webhook');
  if (type === 'Webhook' && !hasWebhook) report(entry, 'webhook: not set');
  if (type !== 'Webhook' && type !== '' && hasWebhook)
    report(entry.fields.get('webhook')!, 'only with type Webhook', { severity: 'warning' });
};

/** Certificate and key of a CA, as PEM. */
function issuingCa(isRequired: boolean): Rule {
  return (entry, report) => {
    const ca = object(entry, 'issuingCA');
    if (ca === undefined && isRequired) report(entry, 'issuingCA: not set');
    if (ca !== undefined) keyPair(ca, report);
    for (const item of texts(entry, 'acceptedCAs'))
      if (!isPem(item.value, 'CERTIFICATE')) report(item, 'want a PEM certificate');
  };
}

export function keyPair(pair: LocatedObject, report: Report): void {
  for (const [name, word] of [
    ['cert', 'CERTIFICATE'],
    ['key', 'KEY'],
  ] as const) {
    const text = textOf(pair, name) ?? '';
    if (text === '' && name === 'cert') report(pair.fields.get(name) ?? pair, `${name}: not set`);
    else if (text !== '' && !isPem(text, word)) report(pair.fields.get(name)!, `${name}: want PEM`);
  }
}

const cluster: Rule = (entry, report) => {
  const at = entry.fields.get('endpoint');
  const message = endpointProblem(textOf(entry, 'endpoint') ?? '');
  if (at?.value !== undefined && at.value !== '' && message !== undefined) report(at, message);
};

/** The endpoint of a control plane: a host is needed, any scheme will do. */
export function endpointProblem(text: string): string | undefined {
  const url = parseUrl(text);
  if (isMistake(url)) return `${url.mistake}: want a URL`;
  const { name, port } = splitHostPort(url.host);
  if (name === '') return 'want a host, like https://192.0.2.1:6443';
  if (port !== '' && (Number(port) < 1 || Number(port) > 65535)) return `port ${port}: want 1..65535`;
  return undefined;
}

/** Host bits a service subnet may have, and how many bits longer the subnet of a node may be than that of all pods. */
const MOST_SERVICE_BITS = 20;
const MOST_NODE_BITS = 16;

const networks: Rule = (entry, report) => {
  const pods = subnets(entry, 'podSubnets', report);
  const services = subnets(entry, 'serviceSubnets', report);
  const [podCount, serviceCount] = ['podSubnets', 'serviceSubnets'].map((name) => texts(entry, name).length);
  if (podCount !== serviceCount) report(entry, 'want as many podSubnets as serviceSubnets');
  for (const { at, prefix } of pods) podSubnet(entry, at, prefix, report);
  for (const { at, prefix } of services) {
    const size = prefix.address.bytes.length * 8 - prefix.bits;
    if (size > MOST_SERVICE_BITS) report(at, `want at most ${MOST_SERVICE_BITS} bits for services`);
    else if (size < 7) report(at, 'want at least 7 bits for services');
  }
};

function podSubnet(entry: LocatedObject, at: Located, prefix: IpPrefix, report: Report): void {
  const [family, usual] = isIpv4(prefix.address) ? [4, 24] : [6, 80];
  const node = integerOf(entry, `nodeCIDRMaskSizeIPv${family}`) ?? 0n;
  const length = node > 0n ? Number(node) : usual;
  if (prefix.bits > prefix.address.bytes.length * 8 - 4) report(at, 'want room for more than 16 addresses');
  else if (length - prefix.bits > MOST_NODE_BITS)
    report(at, `want at least ${length - MOST_NODE_BITS} bits, as nodes get /${length}`);
  else if (prefix.bits > length) report(at, `want room for a /${length} per node`);
}

function subnets(entry: LocatedObject, name: string, report: Report): readonly { at: Located; prefix: IpPrefix }[] {
  const list = texts(entry, name);
  if (list.length === 0) report(entry.fields.get(name) ?? entry, `${name}: want one, or one of each family`);
  if (list.length > 2) report(list[2]!, 'want at most one subnet of each family');
  const found = list.flatMap((at) => {
    const prefix = parsePrefix(at.value);
    const isMapped = !isMistake(prefix) && /^::ffff:/i.test(at.value);
    if (!isMistake(prefix) && isMasked(prefix) && !isMapped) return [{ at, prefix }];
    report(at, `${quoted(at.value)}: want a subnet without host bits`);
    return [];
  });
  const [first, second] = found;
  if (first !== undefined && second !== undefined && isIpv4(first.prefix.address) === isIpv4(second.prefix.address))
    report(second.at, 'want one subnet of each family');
  return found;
}

const node: Rule = (entry, report) => {
  for (const name of ['labels', 'annotations']) {
    for (const [key, value] of mapEntries(entry, name)) {
      if (!isQualifiedName(key)) report(value, `${quoted(key)}: want a name as Kubernetes has them`);
      else if (name === 'labels' && !isLabelValue(String(value.value))) report(value, 'want the value of a label');
    }
  }
  taints(entry, 'taints', report);
  for (const subnet of texts(object(entry, 'nodeIP'), 'validSubnets')) subnetFilter(subnet, report);
};

export function taints(entry: LocatedObject, name: string, report: Report): void {
  for (const [key, value] of mapEntries(entry, name)) {
    if (!isQualifiedName(key)) report(value, `${quoted(key)}: want a name as Kubernetes has them`);
    else if (!isTaint(String(value.value))) report(value, 'want value:NoSchedule, :PreferNoSchedule or :NoExecute');
  }
}

/** `10.0.0.0/8`, `10.0.0.1`, each with `!` before it for all but. */
export function subnetFilter(at: Located & { readonly value: string }, report: Report): void {
  const text = at.value.replace(/^!/, '');
  if (isMistake(parsePrefix(text)) && isMistake(parseAddress(text))) report(at, `${quoted(at.value)}: want a subnet`);
}

/** Smallest packet an IPv6 link must carry. */
const LEAST_MTU = 1280n;

const kubeSpan: Rule = (entry, report) => {
  const mtu = integerOf(entry, 'mtu');
  if (mtu !== undefined && mtu < LEAST_MTU) report(entry.fields.get('mtu')!, `want at least ${LEAST_MTU}`);
  for (const filter of texts(object(entry, 'filters'), 'endpoints')) subnetFilter(filter, report);
};

const serviceAccount: Rule = (entry, report) => {
  const issuer = object(entry, 'issuer');
  for (const name of ['privateKey', 'issuerURL']) {
    if (!isSet(issuer, name)) report(issuer?.fields.get(name) ?? issuer ?? entry, `issuer.${name}: not set`);
  }
  const key = textOf(issuer ?? entry, 'privateKey') ?? '';
  if (key !== '' && !isPem(key, 'KEY')) report(issuer!.fields.get('privateKey')!, 'want a PEM key');
  for (const item of texts(object(entry, 'accepted'), 'publicKeys'))
    if (!isPem(item.value, 'KEY')) report(item, 'want a PEM key');
};

const ROLES = ['os:admin', 'os:reader', 'os:operator', 'os:etcd:backup', 'os:impersonator'];

export function rolesMust(entry: LocatedObject, report: Report): void {
  for (const role of texts(entry, 'allowedRoles')) {
    if (!isNull(role.node) && !ROLES.includes(role.value))
      report(role, `${quoted(role.value)}: want ${ROLES.join(', ')}`);
  }
}

const manifestName = textMust('name', isSubdomain, 'a name in lower case, as Kubernetes has them');

/** A URL of the web; relative ones and other schemes are refused. */
const webUrl = textMust('url', (text) => /^https?:/i.test(text), 'http:// or https://');

export const KUBERNETES_RULES: Readonly<Record<string, readonly Rule[]>> = {
  KubeAPIServerConfig: [kubernetesImage, apiServer, podResources],
  KubeControllerManagerConfig: [kubernetesImage, podResources],
  KubeSchedulerConfig: [kubernetesImage, podResources],
  KubeProxyConfig: [kubernetesImage, proxy, podResources],
  KubeletConfig: [kubernetesImage],
  KubeFlannelCNIConfig: [podResources],
  KubeAuthorizerConfig: [authorizer],
  KubeAPIServerCAConfig: [issuingCa(false)],
  KubeAggregatorCAConfig: [issuingCa(true)],
  KubeClusterConfig: [cluster],
  KubeNetworkConfig: [
    networks,
    numberMust('nodeCIDRMaskSizeIPv4', 0n, 32n, '1..32'),
    numberMust('nodeCIDRMaskSizeIPv6', 0n, 128n, '1..128'),
  ],
  KubeNodeConfig: [node],
  KubePrismConfig: [
    (entry, report): void => {
      const port = integerOf(entry, 'port') ?? 0n;
      if (port < 1n || port > 65535n) report(entry.fields.get('port') ?? entry, 'port: want 1..65535');
    },
  ],
  KubeSpanConfig: [kubeSpan],
  KubeServiceAccountConfig: [serviceAccount],
  KubeTalosAPIAccessConfig: [rolesMust],
  KubeInlineManifestConfig: [manifestName],
  KubeExternalManifestConfig: [manifestName, webUrl],
  KubeStaticPodConfig: [manifestName],
};
