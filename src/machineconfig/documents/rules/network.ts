/** Links, addresses, routes, names: the rules of the network's documents. */
import { quoted } from '../../../yaml/diagnostic.ts';
import { isIpv4, isMistake, isUnspecified, parseAddress, parsePrefix } from '../../address.ts';
import type { Located, LocatedObject } from '../../decode.ts';
import {
  booleanOf,
  inner,
  integerOf,
  isSet,
  items,
  object,
  prefixOf,
  type Report,
  textOf,
  texts,
} from '../../located.ts';
import { NO_LIMIT, numberMust, type Rule, textMust } from './rule.ts';
import { isKey32 } from './secrets.ts';
import { comparePrefixes, isAddress, isMasked, overlap } from './subnets.ts';

/** Addresses and routes of a link or of the peer of one. */
const link: Rule = (entry, report) => {
  items(entry, 'addresses').forEach((item) => {
    const prefix = prefixOf(item, 'address');
    if (!isSet(item, 'address')) report(item, 'address: not set');
    else if (prefix !== undefined && isUnspecified(prefix.address))
      report(item.fields.get('address')!, 'want an address of the link');
  });
  for (const item of items(entry, 'routes')) route(item, report);
};

function route(item: LocatedObject, report: Report): void {
  const destination = prefixOf(item, 'destination');
  if (destination !== undefined && isUnspecified(destination.address) && destination.bits === 0) {
    report(item.fields.get('destination')!, 'want no destination at all for a default route', {
      hint: 'remove the line',
    });
  }
  for (const name of ['gateway', 'source']) {
    const address = parseAddress(textOf(item, name) ?? '');
    if (!isMistake(address) && isUnspecified(address)) report(item.fields.get(name)!, 'want the address of a machine');
  }
}

const bond: Rule = (entry, report) => {
  if (!entry.fields.has('bondMode')) report(entry, 'bondMode: not set');
  if (textOf(entry, 'bondMode') !== '802.3ad') return;
  for (const name of ['miimon', 'updelay', 'downdelay']) {
    if (!entry.fields.has(name)) report(entry, `802.3ad without ${name}`, { severity: 'warning' });
  }
};

const vrf: Rule = (entry, report) => {
  const table = textOf(entry, 'table') ?? 'unspec';
  if (['unspec', 'local', 'main', 'default'].includes(table)) {
    report(entry.fields.get('table') ?? entry, `table ${table}: want a table of its own, 1..252`);
  }
};

const veth: Rule = (entry, report, context) => {
  const peer = object(entry, 'peer');
  for (const end of [entry, peer]) if (end !== undefined) linkName(end, report);
  const name = textOf(peer ?? entry, 'name') ?? '';
  if (peer === undefined || name === '') report(peer ?? entry.fields.get('peer') ?? entry, 'peer.name: not set');
  else if (name === textOf(entry, 'name'))
    report(peer.fields.get('name')!, 'want another name than that of the link itself');
  if (peer !== undefined) link(peer, report, context);
};

function linkName(end: LocatedObject, report: Report): void {
  const name = textOf(end, 'name') ?? '';
  const at = end.fields.get('name');
  if (name === '' || at === undefined) return;
  const isNamed = name !== '.' && name !== '..' && !/[/:\s\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}]/u.test(name);
  if (!isNamed || new TextEncoder().encode(name).length > 15)
    report(at, `${quoted(name)}: want a name of a link, at most 15 bytes without blanks, "/" and ":"`);
}

const vlan: Rule = (entry, report) => {
  const id = integerOf(entry, 'vlanID') ?? 0n;
  const at = entry.fields.get('vlanID');
  if ((id < 1n || id > 4094n) && (at === undefined || at.value !== undefined))
    report(at ?? entry, 'vlanID: want 1..4094');
};

const wireguard: Rule = (entry, report) => {
  keyMust(entry, 'privateKey', report);
  for (const peer of items(entry, 'peers')) {
    if (!isSet(peer, 'publicKey')) report(peer, 'publicKey: not set');
    keyMust(peer, 'publicKey', report);
    keyMust(peer, 'presharedKey', report);
    notNegative('persistentKeepaliveInterval')(peer, report, NOTHING);
  }
};

function keyMust(entry: LocatedObject, name: string, report: Report): void {
  const key = textOf(entry, name) ?? '';
  if (key !== '' && !isKey32(key)) report(entry.fields.get(name)!, 'want a key: base64 of 32 bytes');
}

const NOTHING = { minor: 14, mode: 'metal', local: false, strict: false } as const;

export function notNegative(field: string): Rule {
  return numberMust(field, 0n, NO_LIMIT, '0 or more');
}

const dhcp: Rule = (entry, report) => {
  const isDuid = textOf(entry, 'clientIdentifier') === 'duid';
  if (isDuid && !isSet(entry, 'duidRaw')) report(entry, 'clientIdentifier duid: want duidRaw, too');
  if (!isDuid && isSet(entry, 'duidRaw')) report(entry.fields.get('duidRaw')!, 'only with clientIdentifier: duid');
};

const hostname: Rule = (entry, report) => {
  const auto = textOf(entry, 'auto') ?? 'off';
  const name = textOf(entry, 'hostname') ?? '';
  if (auto === 'talos-addr') report(entry.fields.get('auto')!, 'talos-addr: want stable or off');
  else if (!entry.fields.has('auto') && name === '') report(entry, 'want hostname, or auto: stable');
  if (auto !== 'off' && name !== '') report(entry.fields.get('hostname')!, 'want either hostname or auto, not both');
  if (name !== '' && !isHostname(name))
    report(entry.fields.get('hostname')!, `${quoted(name)}: want at most 253 bytes, the first label 1..63`);
};

/** Any characters pass upstream. */
export function isHostname(name: string): boolean {
  const bytes = (text: string): number => new TextEncoder().encode(text).length;
  const label = bytes(name.split('.')[0] ?? '');
  return bytes(name) <= 253 && label >= 1 && label <= 63;
}

const resolver: Rule = (entry, report) => {
  const servers = items(entry, 'nameservers');
  for (const server of servers) {
    if (!isSet(server, 'address')) report(server.fields.get('address') ?? server, 'address: not set');
    const isPlain = (textOf(server, 'protocol') ?? 'Do53') === 'Do53';
    if (isPlain && isSet(server, 'tlsServerName'))
      report(server.fields.get('tlsServerName')!, 'only with protocol DoT or DoH');
    if (!isPlain && !isSet(server, 'tlsServerName')) report(server, 'DoT, DoH: want tlsServerName');
  }
  const isEncrypted = (server: LocatedObject): boolean => (textOf(server, 'protocol') ?? 'Do53') !== 'Do53';
  if (servers.length > 0 && servers.every(isEncrypted)) {
    const message =
      'only encrypted name servers: certificates need the right time, and time servers with names need DNS';
    report(entry.fields.get('nameservers')!, message, { severity: 'warning' });
  }
  const hostDns = object(entry, 'hostDNS');
  for (const name of ['forwardKubeDNSToHost', 'resolveMemberNames']) {
    if (booleanOf(hostDns, name) === true && booleanOf(hostDns, 'enabled') !== true)
      report(hostDns!.fields.get(name)!, `${name}: want enabled: true, too`);
  }
};

/** Priorities of the kernel's own rules and of Talos. */
const RESERVED_PRIORITIES = [0, 32500, 32766, 32767];

const routingRule: Rule = (entry, report) => {
  const name = textOf(entry, 'name') ?? '';
  const priority = /^[0-9]+$/.test(name) ? Number(name) : Number.NaN;
  if (name !== '' && !(priority < 2 ** 32 && !RESERVED_PRIORITIES.includes(priority)))
    report(entry.fields.get('name')!, `${quoted(name)}: want a priority 1..32765 that the system does not use`);
  const isUnicast = ['unspec', 'unicast'].includes(textOf(entry, 'action') ?? 'unspec');
  if (isUnicast && (textOf(entry, 'table') ?? 'unspec') === 'unspec')
    report(entry, 'want table, or an action other than unicast');
  if (isSet(entry, 'fwMask') && !isSet(entry, 'fwMark')) report(entry.fields.get('fwMask')!, 'want fwMark, too');
};

const linkAlias: Rule = (entry, report) => {
  const name = textOf(entry, 'name') ?? '';
  if (!isSet(inner(entry, 'selector'), 'match')) report(entry, 'selector.match: not set');
  if (name.includes('%') && !/^[^%]+%d$/.test(name))
    report(entry.fields.get('name')!, `${quoted(name)}: want at most one %d, at the end`);
};

const bgp: Rule = (entry, report) => {
  const routerId = parseAddress(textOf(entry, 'routerID') ?? '');
  if (!isMistake(routerId) && !isIpv4(routerId)) report(entry.fields.get('routerID')!, 'want an IPv4 address');
  const neighbors = items(entry, 'neighbors');
  if (neighbors.length === 0) report(entry, 'no neighbors', { severity: 'warning' });
  const seen = new Set<string>();
  for (const neighbor of neighbors) {
    const [address, name] = [textOf(neighbor, 'address') ?? '', textOf(neighbor, 'link') ?? ''];
    if ((address === '') === (name === '')) report(neighbor, 'want either address or link');
    else if (seen.has(address + name)) report(neighbor, `${quoted(address + name)}: already a neighbor`);
    seen.add(address + name);
    notNegative('holdTime')(neighbor, report, NOTHING);
    if (isSet(entry, 'vrf') && neighbor.fields.has('bfd')) report(neighbor.fields.get('bfd')!, 'bfd: not with vrf');
  }
  for (const source of items(entry, 'importRoutes')) importedRoutes(entry, source, report);
};

function importedRoutes(entry: LocatedObject, source: LocatedObject, report: Report): void {
  const instance = textOf(source, 'bgpInstance') ?? '';
  if (instance === '') report(source, 'bgpInstance: not set');
  else if (instance === textOf(entry, 'name')) report(source.fields.get('bgpInstance')!, 'want another instance');
  const prefixes = texts(source, 'prefixes');
  if (prefixes.length === 0) report(source, 'prefixes: want at least one');
  const read = prefixes.flatMap((item) => {
    const prefix = parsePrefix(item.value);
    if (!isMistake(prefix) && isMasked(prefix)) return [{ item, prefix }];
    report(item, 'want a prefix without bits behind its length');
    return [];
  });
  // In this order whatever lies within a prefix follows it at once.
  const ordered = read.toSorted((one, other) => comparePrefixes(one.prefix, other.prefix));
  for (const [index, { item, prefix }] of ordered.entries()) {
    const before = ordered[index - 1];
    if (before !== undefined && overlap(before.prefix, prefix)) report(item, `overlaps with ${before.item.value}`);
  }
}

const networkRule: Rule = (entry, report) => {
  const selector = object(entry, 'portSelector');
  if (!isSet(selector, 'ports')) report(selector ?? entry, 'portSelector.ports: want at least one port');
  portRanges(texts(selector, 'ports'), report);
  for (const peer of items(entry, 'ingress')) {
    if (!isSet(peer, 'subnet')) report(peer, 'subnet: not set');
  }
};

function portRanges(ranges: readonly (Located & { readonly value: string })[], report: Report): void {
  const all = ranges.map((item) => {
    const [low = 0, high = low] = item.value.split('-').map(Number);
    return { item, low, high };
  });
  for (const { item, low, high } of all) if (high < low) report(item, `${low}-${high}: want the lower port first`);
  // In this order a range that overlaps with any overlaps with the one that reaches farthest before it.
  let farthest: { low: number; high: number } | undefined;
  for (const range of all.toSorted((one, other) => one.low - other.low)) {
    if (farthest !== undefined && range.low <= farthest.high)
      report(range.item, `overlaps with ${farthest.low}-${farthest.high}`);
    if (farthest === undefined || range.high > farthest.high) farthest = range;
  }
}

const timeSync: Rule = (entry, report) => {
  if (entry.fields.has('ntp') && entry.fields.has('ptp'))
    report(entry.fields.get('ptp')!, 'want either ntp or ptp, not both');
  const ntp = object(entry, 'ntp');
  if (booleanOf(ntp, 'useNTS') !== true) return;
  for (const server of texts(ntp, 'servers'))
    if (isAddress(server.value)) report(server, 'useNTS: want host names, not addresses');
};

const withAddressName = textMust('name', isAddress, 'an IP address');

export const NETWORK_RULES: Readonly<Record<string, readonly Rule[]>> = {
  LinkConfig: [link],
  DummyLinkConfig: [link],
  BridgeConfig: [link],
  BondConfig: [link, bond],
  VLANConfig: [link, vlan],
  VRFConfig: [link, vrf],
  VethConfig: [link, veth],
  WireguardConfig: [link, wireguard, numberMust('listenPort', 0n, 65535n, 'a port 0..65535')],
  DHCPv4Config: [dhcp],
  DHCPv6Config: [dhcp],
  HostnameConfig: [hostname],
  ResolverConfig: [resolver],
  RoutingRuleConfig: [routingRule],
  BlackholeRouteConfig: [textMust('name', (name) => !isMistake(parsePrefix(name)), 'a prefix like 10.0.0.0/8')],
  Layer2VIPConfig: [withAddressName],
  HCloudVIPConfig: [withAddressName],
  StaticHostConfig: [withAddressName],
  LinkAliasConfig: [linkAlias],
  BGPInstanceConfig: [bgp],
  NetworkRuleConfig: [networkRule],
  TimeSyncConfig: [timeSync, notNegative('bootTimeout')],
  TCPProbeConfig: [notNegative('timeout'), notNegative('interval'), notNegative('failureThreshold')],
};
