/** What `ip`, `bond`, `vlan` and their like say that a node would read otherwise than it looks. */
import { quoted } from '../yaml/diagnostic.ts';
import { isIpv4, isLinkLocal, isMistake, leadingOnes, parseAddress, parsePrefix, prefixContains } from './address.ts';
import { type ArgumentWarning, type Finding, shownArgument } from './argument-warning.ts';
import { BOND_NUMBER_OPTIONS, BOND_OPTIONS, parseBondArgument } from './bond-argument.ts';
import { firstValue, type KernelArgument, parseDecimal, valuesOf } from './command-line.ts';
import { type IpSettings, parseIpArgument, splitFields } from './ip-argument.ts';
import type { MachineLinks } from './link-spec.ts';
import { parseVlanArgument, type VlanArgument } from './vlan-argument.ts';

/** Links are unknown before boot, so any name may exist. */
const ANY_MACHINE: MachineLinks = { first: '', indexOf: () => 0 };

const ALL_LOST = 'the node then drops addresses, links, routes, host name and resolvers of the whole command line';

export function checkNetworkArguments(args: readonly KernelArgument[]): readonly ArgumentWarning[] {
  const vlan = firstValue(args, 'vlan');
  const parsedVlan = vlan === undefined ? undefined : parseVlanArgument(vlan);
  const vlanLink = parsedVlan === undefined || isMistake(parsedVlan) ? undefined : parsedVlan;
  const bond = firstValue(args, 'bond');
  return [
    ...valuesOf(args, 'ip').flatMap((value) => named('ip', value, checkIp(value, vlanLink))),
    ...(bond === undefined ? [] : named('bond', bond, checkBond(bond))),
    ...(vlan === undefined ? [] : named('vlan', vlan, checkVlan(vlan))),
    ...hostnameWarnings(args),
    ...valuesOf(args, 'talos.network.interface.ignore').flatMap((value) =>
      named('talos.network.interface.ignore', value, checkIgnored(value)),
    ),
  ];
}

function named(key: string, value: string, findings: readonly Finding[]): readonly ArgumentWarning[] {
  return findings.map((finding) => ({ argument: shownArgument(key, value), ...finding }));
}

function checkIp(value: string, vlan: VlanArgument | undefined): readonly Finding[] {
  const ip = parseIpArgument(value);
  if (isMistake(ip)) return [{ message: `${ip.mistake}; ${ALL_LOST}`, ...hintOf(ipHint(value)) }];
  if (ip.form === 'default') return [];
  const findings: Finding[] = [];
  const fields = splitFields(value);
  if (ip.form === 'dhcp') {
    if (ip.device === '') findings.push({ message: 'no link before ":dhcp"' });
  } else findings.push(...checkSettings(ip, fields));
  if (vlan !== undefined && vlan.name === ip.device && ip.device !== `${vlan.parent}.${vlan.id}`) {
    const message = `the node calls the link of vlan=${vlan.name}:${vlan.parent} differently`;
    findings.push({ message, hint: vlanNameHint(vlan) });
  }
  return findings;
}

/** What other readers of `ip=` take and the node does not. */
function ipHint(value: string): string | undefined {
  const [first = '', second] = splitFields(value);
  if (['on', 'any', 'dhcp6', 'auto6'].includes(first))
    return 'leave it out: the node uses DHCP on every link by itself';
  if (['off', 'none'].includes(first))
    return 'there is no word for no address: ignore links with talos.network.interface.ignore';
  if (second !== undefined && ['on', 'any', 'both', 'auto6', 'dhcp6'].includes(second)) return `write ip=${first}:dhcp`;
  if (value.includes('/')) return 'the prefix length goes into the fourth field: ADDRESS::GATEWAY:24::LINK';
  if (/^[0-9a-fA-F]*:[0-9a-fA-F]*:/.test(value) && !value.startsWith('[')) return 'put IPv6 addresses in brackets';
  return undefined;
}

/** Words of the seventh field that change nothing and are known to change nothing. */
const NO_AUTOCONF: readonly string[] = ['', 'dhcp', 'off', 'none', 'static'];

function checkSettings(ip: IpSettings, fields: readonly string[]): readonly Finding[] {
  const findings: Finding[] = [];
  if (ip.device === '') {
    findings.push({ message: 'no link named: the node takes the first by name', hint: 'name it in the sixth field' });
  }
  findings.push(...checkMask(ip, fields[3] ?? ''));
  const autoconf = fields[6] ?? '';
  if (!NO_AUTOCONF.includes(autoconf)) {
    findings.push({ message: `autoconf ${quoted(autoconf)}: no effect, only dhcp has one` });
  }
  const extra = fields.slice(10).filter((field) => field !== '');
  if (extra.length > 0) findings.push({ message: `${extra.length} more fields than the node reads, after NTP` });
  return findings;
}

function checkMask(ip: IpSettings, mask: string): readonly Finding[] {
  if (ip.address === undefined) return mask === '' ? [] : [{ message: 'a netmask without an address: no effect' }];
  if (ip.address === 'invalid Prefix')
    return [{ message: `netmask ${quoted(mask)}: out of range, no address will be set` }];
  const parsed = parseAddress(mask);
  if (!isMistake(parsed) && leadingOnes(parsed.bytes) === undefined) {
    return [{ message: `netmask ${mask}: ones after zeros, counts as /0` }];
  }
  const prefix = parsePrefix(ip.address);
  const gateway = parseAddress(ip.gateway ?? '');
  if (isMistake(prefix)) return [];
  if (mask === '') {
    return [
      { message: `no netmask: the address becomes ${ip.address}`, hint: 'give a prefix length in the fourth field' },
    ];
  }
  if (isMistake(gateway) || isLinkLocal(gateway)) return [];
  if (isIpv4(gateway) !== isIpv4(prefix.address)) return [{ message: 'address and gateway are not of one family' }];
  return prefixContains(prefix, gateway) ? [] : [{ message: `gateway ${ip.gateway} is outside of ${ip.address}` }];
}

function checkBond(value: string): readonly Finding[] {
  const bond = parseBondArgument(value, ANY_MACHINE);
  if ('mistake' in bond) return [{ message: `${bond.mistake}; ${ALL_LOST}`, ...hintOf(bondHint(bond.mistake)) }];
  const [name = '', members = '', options = '', , ...extra] = value.split(':');
  const findings: Finding[] = [];
  if (name === '') findings.push({ message: 'no name for the bond' });
  if (members === '') findings.push({ message: 'no members named: eth0 and eth1 are taken' });
  else if (members.split(',').includes('')) findings.push({ message: 'a member without a name' });
  if (extra.length > 0) findings.push({ message: 'more fields than the node reads, after the MTU' });
  return [...findings, ...(options === '' ? [] : checkBondOptions(options))];
}

function checkBondOptions(text: string): readonly Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const option of text.split(',')) {
    const [name = '', value = '', ...more] = option.split('=');
    if (seen.has(name)) findings.push({ message: `${name} more than once: the last counts` });
    seen.add(name);
    if (more.length > 0) findings.push({ message: `${name}: what follows the second "=" is ignored` });
    const [, bits] = (Object.hasOwn(BOND_NUMBER_OPTIONS, name) && BOND_NUMBER_OPTIONS[name]) || [];
    const number = parseDecimal(value);
    if (bits !== undefined && number !== undefined && BigInt.asUintN(bits, number) !== number) {
      findings.push({ message: `${name} ${value}: becomes ${BigInt.asUintN(bits, number)}` });
    }
    if (name === 'arp_ip_target') findings.push({ message: 'arp_ip_target: read and dropped by the node' });
    if (name === 'primary' && value !== '') {
      findings.push({ message: `primary ${value}: the link must exist when the node reads this, or ${ALL_LOST}` });
    }
  }
  return findings;
}

function bondHint(mistake: string): string | undefined {
  if (mistake.startsWith('unknown option')) return `known: ${BOND_OPTIONS.join(', ')}`;
  return undefined;
}

function checkVlan(value: string): readonly Finding[] {
  const vlan = parseVlanArgument(value);
  if (isMistake(vlan)) return [{ message: `${vlan.mistake}; ${ALL_LOST}`, hint: 'like vlan=eth0.100:eth0' }];
  const findings: Finding[] = [];
  if (vlan.parent === '') findings.push({ message: 'no parent link after ":"' });
  else if (vlan.name !== `${vlan.parent}.${vlan.id}`) {
    findings.push({ message: `the node does not call the link ${vlan.name}`, hint: vlanNameHint(vlan) });
  }
  if (vlan.id === 4095) findings.push({ message: 'VLAN ID 4095 is reserved' });
  return findings;
}

function vlanNameHint({ parent, id }: VlanArgument): string {
  const bytes = new TextEncoder().encode(parent).length;
  if (bytes <= 10) return `it is ${parent}.${id}`;
  return `it is ${parent.slice(0, 4)}, six digits made of the parent's name, and .${id}`;
}

function hostnameWarnings(args: readonly KernelArgument[]): readonly ArgumentWarning[] {
  const hostname = firstValue(args, 'talos.hostname');
  if (hostname !== undefined) return named('talos.hostname', hostname, checkHostname(hostname));
  return valuesOf(args, 'ip').flatMap((value) => {
    const ip = parseIpArgument(value);
    const name = isMistake(ip) || ip.form !== 'settings' ? undefined : ip.hostname;
    return name === undefined ? [] : named('ip', value, checkHostname(name));
  });
}

function checkHostname(name: string): readonly Finding[] {
  if (name === '') return [{ message: 'no value, counts as not set' }];
  const [label = ''] = name.split('.');
  const bytes = new TextEncoder().encode(label).length;
  if (bytes > 63 || bytes === 0) return [{ message: `host name of ${bytes} bytes: want 1..63` }];
  if (/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name)) return [];
  return [{ message: `host name ${quoted(name)}: want letters, digits and "-"` }];
}

function checkIgnored(value: string): readonly Finding[] {
  if (value === '') return [{ message: 'no link named' }];
  if (value.includes(',')) {
    return [
      { message: `${quoted(value)}: one link name, commas and all`, hint: 'give the argument once for each link' },
    ];
  }
  return /[*?[]/.test(value) ? [{ message: `${quoted(value)}: patterns are not known, this is a name` }] : [];
}

function hintOf(hint: string | undefined): { readonly hint?: string } {
  return hint === undefined ? {} : { hint };
}
