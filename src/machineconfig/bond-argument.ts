/** `bond=NAME[:LINKS[:OPTIONS[:MTU]]]` (spec machine-config 6). */
import type { Mistake } from './address.ts';
import { parseDecimal } from './command-line.ts';
import { type ArgumentLink, type BondSettings, type MachineLinks, ownLink } from './link-spec.ts';
import { BOND_MASTER_FIELDS } from './network-schema.ts';

/** Option to the field of `links[].bondMaster` it sets. */
export const BOND_NAME_OPTIONS: Readonly<Record<string, string>> = {
  mode: 'mode',
  xmit_hash_policy: 'xmitHashPolicy',
  lacp_rate: 'lacpRate',
  arp_validate: 'arpValidate',
  arp_all_targets: 'arpAllTargets',
  primary_reselect: 'primaryReselect',
  fail_over_mac: 'failOverMac',
  ad_select: 'adSelect',
};

/** Option to field and width in bits: more is cut off without a word. */
export const BOND_NUMBER_OPTIONS: Readonly<Record<string, readonly [field: string, bits: number]>> = {
  miimon: ['miimon', 32],
  updelay: ['updelay', 32],
  downdelay: ['downdelay', 32],
  arp_interval: ['arpInterval', 32],
  resend_igmp: ['resendIgmp', 32],
  min_links: ['minLinks', 32],
  lp_interval: ['lpInterval', 32],
  packets_per_slave: ['packetsPerSlave', 32],
  num_grat_arp: ['numPeerNotif', 8],
  num_unsol_na: ['numPeerNotif', 8],
  all_slaves_active: ['allSlavesActive', 8],
};

export const BOND_OPTIONS: readonly string[] = [
  ...Object.keys(BOND_NAME_OPTIONS),
  ...Object.keys(BOND_NUMBER_OPTIONS),
  'primary',
  'use_carrier',
  'arp_ip_target',
];

/** Links dracut bonds when none are named. */
const DEFAULT_MEMBERS: readonly string[] = ['eth0', 'eth1'];

/** The bond first, then its members in order. */
export function parseBondArgument(value: string, machine: MachineLinks): readonly ArgumentLink[] | Mistake {
  const [name = '', members = '', options = '', mtu = ''] = value.split(':');
  const settings = parseOptions(options, machine);
  if ('mistake' in settings && typeof settings.mistake === 'string') return { mistake: settings.mistake };
  const bytes = mtu === '' ? 0n : parseDecimal(mtu);
  if (bytes === undefined) return { mistake: `MTU "${mtu}": no number` };
  const bond: ArgumentLink = {
    name,
    logical: true,
    mtu: Number(BigInt.asUintN(32, bytes)),
    kind: 'bond',
    bond: withDefaults(settings as BondSettings),
  };
  const names = members === '' ? DEFAULT_MEMBERS : members.split(',');
  return [bond, ...names.map((member, index) => ({ ...ownLink(member), master: { name, index } }))];
}

function parseOptions(text: string, machine: MachineLinks): BondSettings | Mistake {
  const settings: Record<string, string | number | boolean> = { primary: 0, useCarrier: true };
  if (text === '') return settings;
  for (const option of text.split(',')) {
    // What follows a second "=" is not looked at.
    const [name = '', value] = option.split('=');
    if (!BOND_OPTIONS.includes(name)) return { mistake: `unknown option "${name}"` };
    if (value === undefined) return { mistake: `option ${name} without "=": the node's parser crashes on it` };
    const mistake = setOption(settings, name, value, machine);
    if (mistake !== undefined) return mistake;
  }
  return settings;
}

function setOption(
  settings: Record<string, string | number | boolean>,
  name: string,
  value: string,
  machine: MachineLinks,
): Mistake | undefined {
  const named = BOND_NAME_OPTIONS[name];
  const numeric = BOND_NUMBER_OPTIONS[name];
  if (named !== undefined) {
    const names = Object.keys(BOND_MASTER_FIELDS[named] ?? {});
    // Nothing is the kernel's default, which is the first name.
    const chosen = value === '' ? names[0] : names.find((candidate) => candidate === value);
    if (chosen === undefined) return { mistake: `${name} "${value}": want ${names.join(', ')}` };
    settings[named] = chosen;
  } else if (numeric !== undefined || name === 'use_carrier') {
    const number = parseDecimal(value);
    if (number === undefined) return { mistake: `${name} "${value}": no whole number` };
    if (numeric !== undefined) settings[numeric[0]] = Number(BigInt.asUintN(numeric[1], number));
  } else if (name === 'primary' && value !== '') {
    const index = machine.indexOf(value);
    if (index === undefined) return { mistake: `primary "${value}": no such link` };
    settings.primary = index;
  }
  return undefined;
}

/** Zero fields get what the kernel would have, some only in the modes that know them. */
function withDefaults(settings: BondSettings): BondSettings {
  const mode = settings.mode ?? 'balance-rr';
  const isBalancing = mode === 'balance-tlb' || mode === 'balance-alb';
  const isLacp = mode === '802.3ad';
  const filled: Record<string, string | number | boolean> = {
    mode: 'balance-rr',
    xmitHashPolicy: 'layer2',
    lacpRate: 'slow',
    arpValidate: 'none',
    arpAllTargets: 'any',
    primaryReselect: 'always',
    failOverMac: 'none',
    ...settings,
  };
  for (const field of ['resendIgmp', 'lpInterval', 'packetsPerSlave', 'numPeerNotif']) filled[field] ||= 1;
  if (!isBalancing) filled.tlbLogicalLb = 1;
  if (!isBalancing && !isLacp) filled.missedMax = 2;
  if (isLacp) filled.adActorSysPrio = 65535;
  // What upstream writes nothing of: fields that are zero, and aggregator selection at its default.
  const isShown = ([field, value]: [string, unknown]): boolean =>
    field === 'primary' || (value !== 0 && !(field === 'adSelect' && value === 'stable'));
  return Object.fromEntries(Object.entries(filled).filter(isShown));
}
