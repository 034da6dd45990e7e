/** `machine.network.interfaces`: the old form of the network's documents. */
import { quoted } from '../../../yaml/diagnostic.ts';
import { isMistake, parsePrefix } from '../../address.ts';
import type { Located, LocatedObject } from '../../decode.ts';
import { booleanOf, inner, isSet, items, object, type Report, textOf, texts } from '../../located.ts';
import { BOND_MASTER_FIELDS } from '../../network-schema.ts';
import { isControlPlane, isNullItem } from './root.ts';
import type { Rule } from './rule.ts';
import { isKey32 } from './secrets.ts';
import { isAddress } from './subnets.ts';

export const interfaces: Rule = (root, report) => {
  const network = inner(root, 'machine', 'network');
  if (network === undefined) return;
  const devices = items(network, 'interfaces');
  const owners = new Map<string, string>();
  for (const device of devices) {
    if (isNullItem(device)) report(device, 'want an interface');
    else deviceRules(device, isControlPlane(root), report);
    for (const part of partsOf(device)) ownedOnce(part, textOf(device, 'interface') ?? '', owners, report);
  }
  for (const device of devices) {
    const isPart = owners.has(textOf(device, 'interface') ?? '') || device.fields.has('bridgePort');
    if (isPart && isAddressed(device)) report(device, 'part of a bond or bridge: want no addresses here');
  }
};

function deviceRules(device: LocatedObject, isPlane: boolean, report: Report): void {
  if (!isSet(device, 'interface') && !device.fields.has('deviceSelector'))
    report(device, 'want interface or deviceSelector');
  addressing(device, isPlane, report);
  for (const vlan of items(device, 'vlans')) addressing(vlan, isPlane, report);
  if (device.fields.has('bond') && device.fields.has('bridge')) report(device, 'want either bond or bridge');
  const bond = object(device, 'bond');
  if (bond !== undefined) bondRules(bond, report);
  const wireguard = object(device, 'wireguard');
  if (wireguard !== undefined) wireguardRules(wireguard, report);
}

function addressing(entry: LocatedObject, isPlane: boolean, report: Report): void {
  if (isSet(entry, 'cidr') && isSet(entry, 'addresses')) report(entry, 'want either cidr or addresses');
  if (isSet(entry, 'cidr')) report(entry.fields.get('cidr')!, 'cidr: use addresses instead', { severity: 'warning' });
  for (const address of texts(entry, 'addresses')) {
    if (isMistake(parsePrefix(address.value)) && !isAddress(address.value))
      report(address, `${quoted(address.value)}: want an address with prefix length`);
  }
  for (const route of items(entry, 'routes')) routeRules(route, report);
  const vip = object(entry, 'vip');
  if (vip === undefined) return;
  if (!isPlane) report(vip, 'vip: only for control planes');
  if (!isAddress(textOf(vip, 'ip') ?? '')) report(vip.fields.get('ip') ?? vip, 'ip: want an IP address');
}

function routeRules(route: LocatedObject, report: Report): void {
  const [network, gateway, source] = ['network', 'gateway', 'source'].map((name) => textOf(route, name) ?? '');
  if (network === '' && gateway === '') report(route, 'want network or gateway');
  if (network !== '' && isMistake(parsePrefix(network!)))
    report(route.fields.get('network')!, `${quoted(network!)}: want a prefix like 10.0.0.0/8`);
  for (const [name, value] of [
    ['gateway', gateway],
    ['source', source],
  ] as const) {
    if (value !== '' && !isAddress(value!)) report(route.fields.get(name)!, `${quoted(value!)}: want an IP address`);
  }
}

/** Settings and the modes that have them. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  lacpRate: ['802.3ad'],
  adSelect: ['802.3ad'],
  adActorSysPrio: ['802.3ad'],
  adUserPortKey: ['802.3ad'],
  minLinks: ['802.3ad'],
  packetsPerSlave: ['balance-rr'],
  primary: ['active-backup', 'balance-tlb', 'balance-alb'],
  tlbDynamicLb: ['balance-tlb', 'balance-alb'],
  arpInterval: ['balance-rr', 'active-backup', 'balance-xor', 'broadcast'],
  arpValidate: ['active-backup'],
};

function bondRules(bond: LocatedObject, report: Report): void {
  if (isSet(bond, 'interfaces') && isSet(bond, 'deviceSelectors'))
    report(bond, 'want either interfaces or deviceSelectors');
  const mode = textOf(bond, 'mode') ?? '';
  for (const [name, known] of Object.entries(BOND_MASTER_FIELDS)) {
    const text = textOf(bond, name) ?? '';
    const values = Object.keys(known);
    if (text !== '' && !values.includes(text))
      report(bond.fields.get(name)!, `${quoted(text)}: want ${values.join(', ')}`);
  }
  for (const [name, modes] of Object.entries(ONLY_IN)) {
    if (isSet(bond, name) && !modes.includes(mode === '' ? 'balance-rr' : mode))
      report(bond.fields.get(name)!, `${name}: only for ${modes.join(', ')}`);
  }
}

function wireguardRules(wireguard: LocatedObject, report: Report): void {
  const key = textOf(wireguard, 'privateKey') ?? '';
  if (!isKey32(key)) report(wireguard.fields.get('privateKey') ?? wireguard, 'privateKey: want base64 of 32 bytes');
  for (const peer of items(wireguard, 'peers')) {
    if (!isKey32(textOf(peer, 'publicKey') ?? '')) report(peer, 'publicKey: want base64 of 32 bytes');
    const endpoint = textOf(peer, 'endpoint') ?? '';
    if (endpoint !== '' && !/^(?:\[[^\]]+\]|[^[\]:]+):[0-9]{1,5}$/.test(endpoint))
      report(peer.fields.get('endpoint')!, `${quoted(endpoint)}: want host:port`);
    for (const allowed of texts(peer, 'allowedIPs'))
      if (isMistake(parsePrefix(allowed.value))) report(allowed, 'want a prefix like 10.0.0.0/8');
  }
}

function partsOf(device: LocatedObject): readonly (Located & { readonly value: string })[] {
  return ['bond', 'bridge'].flatMap((name) => texts(object(device, name), 'interfaces'));
}

function ownedOnce(
  part: Located & { readonly value: string },
  owner: string,
  owners: Map<string, string>,
  report: Report,
): void {
  const other = owners.get(part.value);
  if (other !== undefined && other !== owner) report(part, `${quoted(part.value)}: already a part of ${quoted(other)}`);
  owners.set(part.value, owner);
}

function isAddressed(device: LocatedObject): boolean {
  return (
    isSet(device, 'addresses') ||
    isSet(device, 'cidr') ||
    booleanOf(device, 'dhcp') === true ||
    device.fields.has('vip')
  );
}
