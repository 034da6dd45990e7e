/** What links must say, by kind, and to each other. */
import { type LocatedObject, listed } from './decode.ts';
import { isHostPort } from './endpoint.ts';
import { hasText, items, object, type Report, reportUnset, textOf } from './located.ts';
import { LINK_KINDS } from './network-schema.ts';

/** Kinds with settings of their own, and where those stand. */
const SECTION_OF_KIND: Readonly<Record<string, string>> = {
  vlan: 'vlan',
  bond: 'bondMaster',
  bridge: 'bridgeMaster',
  vrf: 'vrfMaster',
  wireguard: 'wireguard',
  veth: 'veth',
};

export function linkRules(links: readonly LocatedObject[], report: Report): void {
  uniqueNames(links, report);
  for (const link of links) {
    nameRules(link, report);
    kindRules(link, report);
    sectionRules(link, report);
    vlanRules(link, links, report);
    bondRules(link, links, report);
    vrfRules(link, report);
    vethRules(link, report);
    wireguardRules(link, report);
    mtuRules(link, report);
    masterRules(link, links, report);
  }
}

/** Names that only exist when something defines them; others may be the machine's own. */
const MADE_NAME = /^(?:bond|br|wg|veth|vrf|vlan|dummy)[0-9]+$|^[^.]+\.[0-9]{1,4}$/;

/** A link that looks made, but that nothing here makes, is most often a typing mistake. */
export function isSuspiciousLink(name: string, links: readonly LocatedObject[]): boolean {
  return name !== '' && MADE_NAME.test(name) && !links.some((link) => textOf(link, 'name') === name);
}

function isLogical(link: LocatedObject): boolean {
  return link.fields.get('logical')?.value === true;
}

function kindOf(link: LocatedObject): string {
  return textOf(link, 'kind') ?? '';
}

/** Of links with one name the node keeps the last and drops the others whole. */
function uniqueNames(links: readonly LocatedObject[], report: Report): void {
  for (const [index, link] of links.entries()) {
    const name = textOf(link, 'name') ?? '';
    const later = name === '' ? undefined : links.slice(index + 1).find((other) => textOf(other, 'name') === name);
    if (later === undefined) continue;
    const message = `${name}: ignored, the link of that name on line ${later.node.position.line} replaces it`;
    report(link.fields.get('name')!, message, { hint: 'put all into one entry' });
  }
}

/** The kernel's limit, without the closing zero byte. */
const MAX_NAME_BYTES = 15;

function nameRules(link: LocatedObject, report: Report): void {
  const name = link.fields.get('name');
  if (name === undefined || name.value === '') {
    reportUnset(link, 'name', report);
    return;
  }
  if (typeof name.value !== 'string') return;
  const bytes = new TextEncoder().encode(name.value).length;
  if (bytes > MAX_NAME_BYTES) {
    const severity = isLogical(link) ? 'error' : 'warning';
    report(name, `${bytes} bytes: link names have at most ${MAX_NAME_BYTES}`, { severity });
  }
  if (/[/:\s]/.test(name.value) || name.value === '.' || name.value === '..') {
    report(name, 'want a link name without "/", ":" and blanks');
  }
}

function kindRules(link: LocatedObject, report: Report): void {
  const kind = link.fields.get('kind');
  const name = kindOf(link);
  if (!link.fields.has('up')) {
    report(link, 'up: not set, so the node brings the link down', { severity: 'warning', hint: 'add "up: true"' });
  }
  if (name !== '' && !LINK_KINDS.includes(name)) {
    report(kind!, `no link kind: want ${listed(LINK_KINDS, 'or')}`, { hint: 'leave it out for a physical link' });
    return;
  }
  if (!isLogical(link)) {
    if (name !== '') {
      const hint = 'add "logical: true" so that the node creates the link';
      report(kind!, 'no effect on a link that is not logical', { severity: 'warning', hint });
    }
    return;
  }
  if (name === '' && kind?.value !== undefined) report(kind, `not set: want ${listed(LINK_KINDS, 'or')}`);
  else if (kind === undefined) report(link, `kind: not set on a logical link: want ${listed(LINK_KINDS, 'or')}`);
  typeRules(link, name, report);
}

/** The node compares the type with the kernel's and creates the link anew, again and again, when they differ. */
function typeRules(link: LocatedObject, kind: string, report: Report): void {
  const type = link.fields.get('type');
  const wanted = kind === 'wireguard' ? 'nohdr' : 'ether';
  if (type === undefined) {
    report(link, 'type: not set on a logical link, which means netrom', { hint: `add "type: ${wanted}"` });
  } else if (kind !== '' && type.value !== undefined && type.value !== wanted) {
    report(type, `${type.value}: links of kind ${kind} have type ${wanted}`, { severity: 'warning' });
  }
}

function sectionRules(link: LocatedObject, report: Report): void {
  const kind = kindOf(link);
  for (const [owner, section] of Object.entries(SECTION_OF_KIND)) {
    const settings = link.fields.get(section);
    if (settings === undefined || owner === kind) continue;
    const hint = kind === '' ? `add "kind: ${owner}"` : undefined;
    const message = kind === '' ? `no effect without kind: ${owner}` : `no effect: the kind is ${kind}`;
    report(settings, message, { severity: 'warning', ...(hint === undefined ? {} : { hint }) });
  }
}

function vlanRules(link: LocatedObject, links: readonly LocatedObject[], report: Report): void {
  const vlan = object(link, 'vlan');
  const id = vlan?.fields.get('vlanID');
  if (typeof id?.value === 'bigint' && (id.value < 1n || id.value > 4094n)) report(id, `${id.value}: want 1..4094`);
  const parent = link.fields.get('parentName');
  if (kindOf(link) !== 'vlan') return;
  if (vlan === undefined) {
    if (!link.fields.has('vlan')) report(link, 'vlan: not set: want vlanID and vlanProtocol', { hint: VLAN_EXAMPLE });
  } else {
    if (id === undefined) report(vlan, 'vlanID: not set: want 1..4094');
    if (!vlan.fields.has('vlanProtocol')) {
      report(vlan, 'vlanProtocol: not set, the kernel takes none without it', { hint: 'add "vlanProtocol: 802.1q"' });
    }
  }
  const name = textOf(link, 'name') ?? '';
  const parentName = textOf(link, 'parentName') ?? '';
  if (parent === undefined || parent.value === '')
    reportUnset(link, 'parentName', report, 'name the link that carries the VLAN');
  else if (parentName === name && name !== '') report(parent, `${name}: a link cannot carry itself`);
  else if (isSuspiciousLink(parentName, links)) notInDocument(parent, parentName, report);
  const [, suffix] = /\.([0-9]{1,4})$/.exec(name) ?? [];
  if (suffix !== undefined && typeof id?.value === 'bigint' && BigInt(suffix) !== id.value) {
    report(id, `${id.value}: the link is called ${name}`, { severity: 'warning' });
  }
}

const VLAN_EXAMPLE = 'vlan: {vlanID: 35, vlanProtocol: 802.1q}';

/** The kernel keeps at most so many targets of link monitoring. */
const MAX_MONITOR_TARGETS = 16;

function bondRules(link: LocatedObject, links: readonly LocatedObject[], report: Report): void {
  const bond = object(link, 'bondMaster');
  for (const name of ['arpIpTargets', 'nsIp6Targets']) {
    const targets = bond?.fields.get(name);
    if (!Array.isArray(targets?.value)) continue;
    if (targets.value.length > MAX_MONITOR_TARGETS) {
      report(targets, `${targets.value.length} targets: want at most ${MAX_MONITOR_TARGETS}`);
    }
  }
  const name = textOf(link, 'name');
  if (kindOf(link) !== 'bond' || !isLogical(link) || name === undefined) return;
  if (links.some((other) => textOf(other, 'masterName') === name)) return;
  const hint = `give each member "masterName: ${name}" and its slaveIndex`;
  report(link.fields.get('name')!, `${name}: no link of this document belongs to the bond`, {
    severity: 'warning',
    hint,
  });
}

function vrfRules(link: LocatedObject, report: Report): void {
  if (kindOf(link) !== 'vrf' || !isLogical(link)) return;
  const table = object(link, 'vrfMaster')?.fields.get('table');
  if (table === undefined && object(link, 'vrfMaster') === undefined && link.fields.has('vrfMaster')) return;
  if (table === undefined || table.value === 'unspec') {
    report(table ?? link, 'vrfMaster.table: not set: want the routing table of the VRF');
  }
}

function vethRules(link: LocatedObject, report: Report): void {
  if (kindOf(link) !== 'veth' || !isLogical(link)) return;
  const veth = object(link, 'veth');
  if (veth === undefined && link.fields.has('veth')) return;
  const peer = veth?.fields.get('peerName');
  if (peer === undefined || peer.value === '') report(peer ?? link, 'veth.peerName: not set: want the other end');
  else if (peer.value === textOf(link, 'name')) report(peer, `${peer.value}: a link cannot be its own peer`);
}

/** 32 bytes in standard base64. */
const WIREGUARD_KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const KEY_WISH = 'want a WireGuard key, 32 bytes in base64 (44 characters)';

function wireguardRules(link: LocatedObject, report: Report): void {
  const wireguard = object(link, 'wireguard');
  if (kindOf(link) === 'wireguard' && isLogical(link)) {
    const isUnset = wireguard === undefined ? !link.fields.has('wireguard') : !hasText(wireguard, 'privateKey');
    if (isUnset) report(wireguard?.fields.get('privateKey') ?? wireguard ?? link, 'wireguard.privateKey: not set');
  }
  if (wireguard === undefined) return;
  keyRule(wireguard, 'privateKey', report);
  const own = wireguard.fields.get('publicKey');
  if (own !== undefined) report(own, 'no effect: it follows from privateKey', { severity: 'warning' });
  inRange(wireguard, 'listenPort', 65535n, report);
  inRange(wireguard, 'firewallMark', 2n ** 32n - 1n, report);
  for (const peer of items(wireguard, 'peers')) peerRules(peer, report);
}

function peerRules(peer: LocatedObject, report: Report): void {
  if (!hasText(peer, 'publicKey')) reportUnset(peer, 'publicKey', report);
  keyRule(peer, 'publicKey', report);
  keyRule(peer, 'presharedKey', report);
  const endpoint = textOf(peer, 'endpoint') ?? '';
  if (endpoint !== '' && !isHostPort(endpoint)) report(peer.fields.get('endpoint')!, 'want host:port');
  const interval = peer.fields.get('persistentKeepaliveInterval');
  if (typeof interval?.value === 'bigint' && interval.value < 0n) report(interval, 'want 0 or more');
  const allowed = peer.fields.get('allowedIPs');
  if (allowed === undefined || (Array.isArray(allowed.value) && allowed.value.length === 0)) {
    report(allowed ?? peer, 'allowedIPs: not set, so nothing goes to this peer', { severity: 'warning' });
  } else if (Array.isArray(allowed.value)) {
    for (const item of allowed.value) if (item.value === '') report(item, 'empty: want an address with prefix length');
  }
}

function keyRule(entry: LocatedObject, name: string, report: Report): void {
  const key = textOf(entry, name) ?? '';
  if (key !== '' && !WIREGUARD_KEY.test(key)) report(entry.fields.get(name)!, KEY_WISH);
}

function inRange(entry: LocatedObject, name: string, max: bigint, report: Report): void {
  const field = entry.fields.get(name);
  if (typeof field?.value === 'bigint' && (field.value < 0n || field.value > max)) {
    report(field, `${field.value}: want 0..${max}`);
  }
}

/** 68 is the least IPv4 works with, 65536 the most any link of the kernel has. */
function mtuRules(link: LocatedObject, report: Report): void {
  const mtu = link.fields.get('mtu');
  if (typeof mtu?.value !== 'bigint' || mtu.value === 0n) return;
  if (mtu.value < 68n || mtu.value > 65536n) report(mtu, `${mtu.value}: want 68..65536, or 0 to leave it as it is`);
  else if (mtu.value < 1280n) report(mtu, `${mtu.value}: IPv6 needs 1280`, { severity: 'warning' });
}

function masterRules(link: LocatedObject, links: readonly LocatedObject[], report: Report): void {
  const masters = [
    { kind: 'bond', holder: link },
    { kind: 'bridge', holder: object(link, 'bridgeSlave') },
    { kind: 'vrf', holder: object(link, 'vrfSlave') },
  ];
  for (const { kind, holder } of masters) {
    const master = holder?.fields.get('masterName');
    if (typeof master?.value !== 'string' || master.value === '') continue;
    const target = links.find((other) => textOf(other, 'name') === master.value);
    if (master.value === textOf(link, 'name')) report(master, `${master.value}: a link cannot be its own master`);
    else if (target === undefined) notInDocument(master, master.value, report);
    else if (kindOf(target) !== '' && kindOf(target) !== kind) {
      report(master, `${master.value}: a ${kindOf(target)}, no ${kind}`);
    }
  }
  const index = link.fields.get('slaveIndex');
  if (index !== undefined && !link.fields.has('masterName')) {
    report(index, 'no effect without masterName', { severity: 'warning' });
  } else if (typeof index?.value === 'bigint' && index.value < 0n) {
    report(index, `${index.value}: want 0 or more`, { severity: 'warning' });
  }
}

function notInDocument(field: Parameters<Report>[0], name: string, report: Report): void {
  const hint = 'fine if kernel arguments or the machine configuration make it';
  report(field, `${name}: no link of that name in this document`, { severity: 'warning', hint });
}
