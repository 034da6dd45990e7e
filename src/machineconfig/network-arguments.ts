/** What `ip`, `bond`, `vlan`, `talos.hostname` and `talos.network.interface.ignore` mean together to a node. */
import { isMistake, type Mistake } from './address.ts';
import { parseBondArgument } from './bond-argument.ts';
import { firstValue, type KernelArgument, valuesOf } from './command-line.ts';
import { parseIpArgument } from './ip-argument.ts';
import { type ArgumentLink, type MachineLinks, ownLink } from './link-spec.ts';
import { parseVlanArgument, type Sha256, vlanLink } from './vlan-argument.ts';

export interface NetworkArguments {
  /** `''` when nothing sets it. */
  readonly hostname: string;
  readonly ignoredLinks: readonly string[];
  readonly dns: readonly string[];
  readonly ntp: readonly string[];
  readonly addresses: readonly ArgumentAddress[];
  readonly links: readonly ArgumentLink[];
}

export interface ArgumentAddress {
  readonly linkName: string;
  readonly dhcp: boolean;
  readonly address?: string;
  readonly gateway?: string;
}

/** A mistake in one of them costs the node all of them but the ignored links. */
export function parseNetworkArguments(
  args: readonly KernelArgument[],
  machine: MachineLinks,
  sha256: Sha256,
): NetworkArguments | (Mistake & { readonly key: string; readonly value: string }) {
  let hostname = firstValue(args, 'talos.hostname') ?? '';
  const dns: string[] = [];
  const ntp: string[] = [];
  const addresses: ArgumentAddress[] = [];
  const links: ArgumentLink[] = [];
  for (const value of valuesOf(args, 'ip')) {
    const ip = parseIpArgument(value);
    if (isMistake(ip)) return { ...ip, key: 'ip', value };
    if (ip.form === 'default') continue;
    const linkName = ip.device === '' && ip.form === 'settings' ? machine.first : ip.device;
    links.push(ownLink(linkName));
    if (ip.form === 'dhcp') {
      addresses.push({ linkName, dhcp: true });
      continue;
    }
    if (hostname === '') hostname = ip.hostname ?? '';
    dns.push(...ip.dns);
    ntp.push(...ip.ntp);
    const { address, gateway, dhcp } = ip;
    addresses.push({
      linkName,
      dhcp,
      ...(address === undefined ? {} : { address }),
      ...(gateway === undefined ? {} : { gateway }),
    });
  }
  const bond = firstValue(args, 'bond');
  if (bond !== undefined) {
    const bonded = parseBondArgument(bond, machine);
    if ('mistake' in bonded) return { ...bonded, key: 'bond', value: bond };
    links.push(...bonded);
  }
  const vlan = firstValue(args, 'vlan');
  if (vlan !== undefined) {
    const parsed = parseVlanArgument(vlan);
    if (isMistake(parsed)) return { ...parsed, key: 'vlan', value: vlan };
    const link = vlanLink(parsed, sha256);
    const same = links.findIndex(({ name }) => name === link.name);
    if (same < 0) links.push(link);
    else links[same] = { ...links[same], ...link };
  }
  return { hostname, ignoredLinks: valuesOf(args, 'talos.network.interface.ignore'), dns, ntp, addresses, links };
}
