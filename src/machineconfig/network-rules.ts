/**
 * What a network document must say beyond its types. An error is what the node ignores, refuses or can never bring up;
 * a warning is what other configuration could still make right, or what has no effect.
 */
import type { Problem } from '../yaml/diagnostic.ts';
import { type IpAddress, isIpv4, isLinkLocal, isUnspecified, prefixContains } from './address.ts';
import { type Located, type LocatedObject, problemOf } from './decode.ts';
import { isHostPort } from './endpoint.ts';
import { isSuspiciousLink, linkRules } from './link-rules.ts';
import { addressOf, hasText, items, object, prefixOf, type Report, reportUnset, textOf } from './located.ts';

/** All problems of a decoded document, in no order. */
export function networkRules(root: LocatedObject): readonly Problem[] {
  const problems: Problem[] = [];
  const report: Report = (located, message, details) => {
    problems.push(problemOf(located, message, details));
  };
  const links = items(root, 'links');
  const addresses = items(root, 'addresses');
  for (const address of addresses) addressRules(address, report);
  linkRules(links, report);
  for (const route of items(root, 'routes')) routeRules(route, addresses, items(root, 'operators'), report);
  hostnameRules(root, report);
  resolverRules(root, report);
  timeServerRules(root, report);
  for (const operator of items(root, 'operators')) operatorRules(operator, report);
  emptyAddresses(root, 'externalIPs', report);
  for (const probe of items(root, 'probes')) probeRules(probe, report);
  for (const name of ['hostnames', 'resolvers', 'timeServers']) onlyOne(items(root, name), name, report);
  repeated(addresses, (one) => [textOf(one, 'linkName'), textOf(one, 'address')], report);
  repeated(items(root, 'routes'), routeKey, report);
  repeated(items(root, 'operators'), operatorKey, report);
  linkReferences(root, links, report);
  layers(root, report);
  const metadata = root.fields.get('metadata');
  if (metadata !== undefined) {
    report(metadata, 'no effect: the platform replaces it with its own', { severity: 'warning' });
  }
  return problems;
}

function addressRules(address: LocatedObject, report: Report): void {
  if (!hasText(address, 'address')) reportUnset(address, 'address', report);
  if (!hasText(address, 'linkName')) reportUnset(address, 'linkName', report, 'name the link the address belongs to');
  const prefix = prefixOf(address, 'address');
  familyRule(address, prefix?.address, report);
}

/** Family is a number for the kernel; 0, which is what nothing written means, is no family. */
function familyRule(entry: LocatedObject, address: IpAddress | undefined, report: Report): void {
  const family = entry.fields.get('family');
  const fitting = address === undefined ? undefined : isIpv4(address) ? 'inet4' : 'inet6';
  if (family === undefined) {
    report(entry, 'family: not set, the kernel takes none without it', {
      hint: `add "family: ${fitting ?? 'inet4'}"`,
    });
  } else if (fitting !== undefined && family.value !== undefined && family.value !== fitting) {
    report(family, `${family.value}: does not fit the ${fitting === 'inet4' ? 'IPv4' : 'IPv6'} address`, {
      hint: `write ${fitting}`,
    });
  }
}

/** Types of routes that lead nowhere and so need neither gateway nor link. */
const DEAD_ENDS: readonly unknown[] = ['blackhole', 'unreachable', 'prohibit', 'throw'];

function routeRules(
  route: LocatedObject,
  addresses: readonly LocatedObject[],
  operators: readonly LocatedObject[],
  report: Report,
): void {
  const destination = prefixOf(route, 'dst');
  const gateway = addressOf(route, 'gateway');
  familyRule(route, destination?.address ?? gateway, report);
  for (const name of ['gateway', 'src'] as const) sameFamily(route, destination?.address, name, report);
  if (!route.fields.has('table')) {
    report(route, 'table: not set, which is unspec and not the main table', { hint: 'add "table: main"' });
  } else if (route.fields.get('table')?.value === 'unspec') {
    report(route.fields.get('table')!, 'unspec: the kernel has no such table', { hint: 'write main' });
  }
  const type = route.fields.get('type');
  if (type === undefined)
    report(route, 'type: not set, the kernel takes no route without it', { hint: 'add "type: unicast"' });
  else if (type.value === 'unspec') report(type, 'unspec: the kernel takes no such route', { hint: 'write unicast' });
  if (!route.fields.has('protocol')) {
    report(route, 'protocol: not set', { severity: 'warning', hint: 'add "protocol: static"' });
  }
  nextHopRules(route, gateway, report);
  const mtu = route.fields.get('mtu');
  if (typeof mtu?.value === 'bigint' && mtu.value !== 0n && mtu.value < 68n)
    report(mtu, `${mtu.value}: want 68 or more`);
  const hops = [route, ...items(route, 'nextHops')];
  for (const hop of hops) gatewayReachable(hop, addresses, operators, report);
}

function nextHopRules(route: LocatedObject, gateway: IpAddress | undefined, report: Report): void {
  const hasHops = route.fields.has('nextHops');
  const leads = route.fields.has('gateway') || hasText(route, 'outLinkName') || hasHops;
  const type = route.fields.get('type')?.value;
  if (!leads && !DEAD_ENDS.includes(type)) {
    report(route, 'leads nowhere: want a gateway, an outLinkName or nextHops');
  }
  if (hasHops && (route.fields.has('gateway') || route.fields.has('outLinkName'))) {
    report(route, 'gateway and nextHops together: want one of them', { severity: 'warning' });
  }
  for (const hop of [route, ...items(route, 'nextHops')]) {
    const address = hop === route ? gateway : addressOf(hop, 'gateway');
    if (address === undefined || !isLinkLocal(address) || hasText(hop, 'outLinkName')) continue;
    report(hop.fields.get('gateway')!, 'a link-local gateway says nothing without its link', {
      hint: 'add outLinkName',
    });
  }
  for (const hop of items(route, 'nextHops')) {
    if (!hop.fields.has('gateway') && !hasText(hop, 'outLinkName')) report(hop, 'want a gateway or an outLinkName');
  }
}

function sameFamily(route: LocatedObject, destination: IpAddress | undefined, name: string, report: Report): void {
  const address = addressOf(route, name);
  if (address === undefined || destination === undefined || isIpv4(address) === isIpv4(destination)) return;
  // The kernel does take an IPv6 gateway for IPv4 routes, but through an attribute that the node does not use.
  report(
    route.fields.get(name)!,
    `${isIpv4(address) ? 'IPv4' : 'IPv6'}, while dst is ${isIpv4(destination) ? 'IPv4' : 'IPv6'}`,
  );
}

/** Says something only where the document has static addresses on the same link and family and none reaches the gateway. */
function gatewayReachable(
  hop: LocatedObject,
  addresses: readonly LocatedObject[],
  operators: readonly LocatedObject[],
  report: Report,
): void {
  const gateway = addressOf(hop, 'gateway');
  if (gateway === undefined || isLinkLocal(gateway) || isUnspecified(gateway)) return;
  const link = textOf(hop, 'outLinkName');
  const isHere = (one: LocatedObject): boolean => link === undefined || link === '' || textOf(one, 'linkName') === link;
  if (operators.some((operator) => isHere(operator) && operator.fields.get('operator')?.value !== 'vip')) return;
  const prefixes = addresses
    .filter(isHere)
    .map((address) => prefixOf(address, 'address'))
    .filter((prefix) => prefix !== undefined && isIpv4(prefix.address) === isIpv4(gateway));
  if (prefixes.some((prefix) => prefix !== undefined && prefixContains(prefix, gateway))) return;
  const where = link === undefined || link === '' ? '' : ` of ${link}`;
  const message =
    prefixes.length === 0
      ? `no address${where} in this document that could reach it`
      : `outside of every address${where} in this document`;
  report(hop.fields.get('gateway')!, message, { severity: 'warning' });
}

function hostnameRules(root: LocatedObject, report: Report): void {
  for (const entry of items(root, 'hostnames')) {
    const hostname = entry.fields.get('hostname');
    const name = textOf(entry, 'hostname') ?? '';
    const domain = textOf(entry, 'domainname') ?? '';
    if (hostname === undefined || (name === '' && hostname.value !== undefined)) {
      reportUnset(entry, 'hostname', report);
      continue;
    }
    const bytes = new TextEncoder().encode(name).length;
    if (bytes > 63) report(hostname, `${bytes} bytes: want at most 63`);
    else if (!/^[A-Za-z0-9_.-]+$/.test(name)) report(hostname, 'want letters, digits and "-" only');
    else if (/^[-.]|[-.]$/.test(name)) report(hostname, 'want a letter or digit first and last');
    else if (name.includes('.')) {
      const [host, ...rest] = name.split('.');
      const hint = `hostname: ${host} and domainname: ${rest.join('.')}`;
      report(hostname, 'a name with its domain', { severity: 'warning', hint });
    } else if (name.includes('_')) report(hostname, 'DNS and Kubernetes know no "_" in names', { severity: 'warning' });
    const length = domain === '' ? bytes : bytes + 1 + new TextEncoder().encode(domain).length;
    if (length > 253)
      report(entry.fields.get('domainname') ?? hostname, `${length} bytes with hostname: want at most 253`);
    else if (domain !== '' && !/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?$/.test(domain)) {
      report(entry.fields.get('domainname')!, 'want names of letters, digits and "-" joined with "."');
    }
  }
}

function resolverRules(root: LocatedObject, report: Report): void {
  for (const resolver of items(root, 'resolvers')) {
    emptyAddresses(resolver, 'dnsServers', report);
    emptyTexts(resolver, 'searchDomains', report);
    for (const server of items(resolver, 'nameServers')) {
      if (!hasText(server, 'addr')) reportUnset(server, 'addr', report);
    }
    const isSomething = ['dnsServers', 'nameServers', 'searchDomains'].some((name) => resolver.fields.has(name));
    if (!isSomething) report(resolver, 'sets nothing: want dnsServers', { severity: 'warning' });
  }
}

function timeServerRules(root: LocatedObject, report: Report): void {
  for (const entry of items(root, 'timeServers')) {
    emptyTexts(entry, 'timeServers', report);
    if (!entry.fields.has('timeServers')) report(entry, 'sets nothing: want timeServers', { severity: 'warning' });
  }
}

function operatorRules(operator: LocatedObject, report: Report): void {
  const kind = operator.fields.get('operator');
  if (kind === undefined) {
    report(operator, 'operator: not set, which means dhcp4', { severity: 'warning', hint: 'add "operator: dhcp4"' });
  }
  if (!hasText(operator, 'linkName')) reportUnset(operator, 'linkName', report);
  const name = kind === undefined ? 'dhcp4' : kind.value;
  for (const section of ['dhcp4', 'dhcp6', 'vip']) {
    const settings = operator.fields.get(section);
    if (settings === undefined || name === undefined || name === section) continue;
    report(settings, `no effect: the operator is ${name}`, { severity: 'warning' });
  }
  if (name === 'vip') virtualIpRules(operator, report);
  for (const section of ['dhcp4', 'dhcp6'] as const) clientIdentifierRules(object(operator, section), report);
}

function virtualIpRules(operator: LocatedObject, report: Report): void {
  const vip = object(operator, 'vip');
  if (vip === undefined) {
    if (!operator.fields.has('vip')) report(operator, 'vip: not set: want vip.ip, the shared address');
    return;
  }
  if (!hasText(vip, 'ip')) reportUnset(vip, 'ip', report, 'the address the machines share');
  if (vip.fields.has('equinixMetal') && vip.fields.has('hcloud')) {
    report(vip, 'equinixMetal and hcloud together: want one of them', { severity: 'warning' });
  }
}

function clientIdentifierRules(settings: LocatedObject | undefined, report: Report): void {
  const identifier = settings === undefined ? undefined : object(settings, 'clientIdentifier');
  if (identifier === undefined) return;
  const raw = identifier.fields.get('duidRawHex');
  const wantsRaw = identifier.fields.get('clientIdentifier')?.value === 'duid';
  const digits = (textOf(identifier, 'duidRawHex') ?? '').replaceAll(':', '');
  if (wantsRaw && raw === undefined) report(identifier, 'duidRawHex: not set, but clientIdentifier is duid');
  else if (raw !== undefined && !wantsRaw)
    report(raw, 'no effect: clientIdentifier is not duid', { severity: 'warning' });
  else if (wantsRaw && raw?.value !== undefined && !/^(?:[0-9a-fA-F]{2})+$/.test(digits)) {
    report(raw, 'want pairs of hexadecimal digits');
  }
}

function probeRules(probe: LocatedObject, report: Report): void {
  const kinds = ['tcp', 'http'].filter((kind) => probe.fields.has(kind));
  if (kinds.length === 0) {
    report(probe, 'neither tcp nor http: the node then applies nothing of the whole document', {
      hint: 'add tcp.endpoint',
    });
  } else if (kinds.length === 2) report(probe, 'tcp and http together: only tcp counts', { severity: 'warning' });
  positive(probe, 'interval', report);
  notNegative(probe, 'failureThreshold', report);
  for (const kind of kinds) {
    const section = object(probe, kind);
    if (section === undefined) continue;
    notNegative(section, 'timeout', report);
    if (kind === 'tcp') {
      const endpoint = section.fields.get('endpoint');
      if (endpoint === undefined) report(section, 'endpoint: not set: want host:port');
      else if (endpoint.value !== undefined && !isHostPort(String(endpoint.value))) report(endpoint, 'want host:port');
    } else if (!section.fields.has('url')) report(section, 'url: not set');
  }
}

function positive(entry: LocatedObject, name: string, report: Report): void {
  const field = entry.fields.get(name);
  if (field === undefined) report(entry, `${name}: not set: want a duration above 0, like 10s`);
  else if (typeof field.value === 'bigint' && field.value <= 0n) report(field, 'want a duration above 0, like 10s');
}

function notNegative(entry: LocatedObject, name: string, report: Report): void {
  const field = entry.fields.get(name);
  if (typeof field?.value === 'bigint' && field.value < 0n) report(field, 'want 0 or more');
}

/** Upstream makes one resource of each such section, so the last entry wins without a word. */
function onlyOne(entries: readonly LocatedObject[], name: string, report: Report): void {
  const last = entries.at(-1);
  for (const entry of entries.slice(0, -1)) {
    const hint = name === 'hostnames' ? 'keep one' : 'put all into one entry';
    report(entry, `ignored: only the last entry counts, line ${last?.node.position.line}`, { hint });
  }
}

type Key = readonly (string | undefined)[];

/** Entries with the same key are one resource on the node: the later one replaces the earlier. */
function repeated(entries: readonly LocatedObject[], keyOf: (entry: LocatedObject) => Key, report: Report): void {
  const seen = new Map<string, LocatedObject>();
  for (const entry of entries) {
    const key = JSON.stringify(keyOf(entry));
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      const message = `replaces the one on line ${earlier.node.position.line}: the same to the node`;
      report(entry, message, { severity: 'warning' });
    }
    seen.set(key, entry);
  }
}

function routeKey(route: LocatedObject): Key {
  const family = textOf(route, 'family');
  const link = family === 'inet6' ? textOf(route, 'outLinkName') : '';
  const priority = String(route.fields.get('priority')?.value ?? 0);
  return [textOf(route, 'table'), family, textOf(route, 'dst') ?? '', textOf(route, 'gateway') ?? '', priority, link];
}

function operatorKey(operator: LocatedObject): Key {
  const vip = object(operator, 'vip');
  const ip = textOf(operator, 'operator') === 'vip' && vip !== undefined ? textOf(vip, 'ip') : '';
  return [textOf(operator, 'operator') ?? 'dhcp4', textOf(operator, 'linkName'), ip];
}

function linkReferences(root: LocatedObject, links: readonly LocatedObject[], report: Report): void {
  const references: readonly (readonly [readonly LocatedObject[], string])[] = [
    [items(root, 'addresses'), 'linkName'],
    [items(root, 'operators'), 'linkName'],
    [items(root, 'routes'), 'outLinkName'],
    [items(root, 'routes').flatMap((route) => items(route, 'nextHops')), 'outLinkName'],
  ];
  for (const [entries, name] of references) {
    for (const entry of entries) {
      const link = textOf(entry, name) ?? '';
      if (isSuspiciousLink(link, links)) {
        report(entry.fields.get(name)!, `no link ${link} in this document`, {
          severity: 'warning',
          hint: 'fine if kernel arguments or the machine configuration make it',
        });
      }
    }
  }
}

function layers(root: LocatedObject, report: Report): void {
  for (const section of root.fields.keys()) {
    for (const entry of items(root, section)) {
      const layer = entry.fields.get('layer');
      if (layer?.value === undefined || layer.value === 'platform') continue;
      report(layer, `${layer.value}: no effect, the layer is always platform`, { severity: 'warning' });
    }
  }
}

function emptyAddresses(entry: LocatedObject, name: string, report: Report): void {
  emptyTexts(entry, name, report, 'an IP address');
}

function emptyTexts(entry: LocatedObject, name: string, report: Report, wish = 'a name'): void {
  const list = entry.fields.get(name)?.value;
  if (!Array.isArray(list)) return;
  for (const item of list as readonly Located[]) if (item.value === '') report(item, `empty: want ${wish}`);
}
