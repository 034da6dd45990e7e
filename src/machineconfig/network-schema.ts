/**
 * The network document of META key 0xa as one table of data: sections, fields, types, names and their numbers.
 * Source: spec machine-config 5 and profiles-and-inputs 5.5 (upstream's platform network configuration, 1.14).
 * The decoder, the validator, the list of known keys in messages and the documentation all read this table.
 */
import {
  type EnumType,
  type Field,
  type FieldType,
  type FlagsType,
  type IntegerType,
  list,
  type ObjectType,
  object,
} from './field-types.ts';

const STRING = { kind: 'string' } as const satisfies FieldType;
const BOOLEAN = { kind: 'boolean' } as const satisfies FieldType;
const DURATION = { kind: 'duration' } as const satisfies FieldType;
const ADDRESS = { kind: 'address' } as const satisfies FieldType;
const PREFIX = { kind: 'prefix' } as const satisfies FieldType;

const UINT8: IntegerType = unsigned(8n);
const UINT16: IntegerType = unsigned(16n);
const UINT32: IntegerType = unsigned(32n);
const INT64: IntegerType = { kind: 'integer', min: -(2n ** 63n), max: 2n ** 63n - 1n };

export const FAMILY: EnumType = named('address family', { inet4: 2, inet6: 10 });
export const SCOPE: EnumType = named('scope', { global: 0, site: 200, link: 253, host: 254, nowhere: 255 });
export const LAYER: EnumType = numbered('layer', ['default', 'cmdline', 'platform', 'operator', 'configuration']);

export const ADDRESS_FLAGS: FlagsType = {
  kind: 'flags',
  name: 'address flag',
  mayBeEmpty: false,
  values: powersOfTwo(1, [
    'temporary',
    'nodad',
    'optimistic',
    'dadfailed',
    'homeaddress',
    'deprecated',
    'tentative',
    'permanent',
    'mngmtmpaddr',
    'noprefixroute',
    'mcautojoin',
    'stableprivacy',
  ]),
};

export const ROUTE_FLAGS: FlagsType = {
  kind: 'flags',
  name: 'route flag',
  mayBeEmpty: true,
  values: powersOfTwo(256, ['notify', 'cloned', 'equalize', 'prefix', 'lookup_table', 'fib_match', 'offload', 'trap']),
};

export const ROUTING_TABLE: EnumType = {
  kind: 'enum',
  name: 'routing table',
  values: {
    unspec: 0,
    ...Object.fromEntries(Array.from({ length: 252 }, (_, index) => [String(index + 1), index + 1])),
    default: 253,
    main: 254,
    local: 255,
  },
  wish: 'main, local, default, unspec or 1..252',
};

export const ROUTE_TYPE: EnumType = numbered('route type', [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
  'xresolve',
]);

export const ROUTE_PROTOCOL: EnumType = {
  ...named('route protocol', {
    unspec: 0,
    redirect: 1,
    kernel: 2,
    boot: 3,
    static: 4,
    ra: 9,
    mrt: 10,
    zebra: 11,
    bird: 12,
    dnrouted: 13,
    xorp: 14,
    ntk: 15,
    dhcp: 16,
    mrtd: 17,
    keepalived: 18,
    babel: 42,
    openr: 99,
    bgp: 186,
    isis: 187,
    ospf: 188,
    rip: 189,
    eigrp: 192,
  }),
  wish: 'static, boot, kernel, dhcp, ra or the name of a routing daemon',
};

export const LINK_TYPE: EnumType = {
  ...named('link type', {
    netrom: 0,
    ether: 1,
    eether: 2,
    ax25: 3,
    pronet: 4,
    chaos: 5,
    ieee802: 6,
    arcnet: 7,
    atalk: 8,
    dlci: 15,
    atm: 19,
    metricom: 23,
    ieee1394: 24,
    eui64: 27,
    infiniband: 32,
    slip: 256,
    cslip: 257,
    slip6: 258,
    cslip6: 259,
    rsrvd: 260,
    adapt: 264,
    rose: 270,
    x25: 271,
    hwx25: 272,
    can: 280,
    ppp: 512,
    cisco: 513,
    lapb: 516,
    ddcmp: 517,
    rawhdlc: 518,
    ipip: 768,
    tunnel6: 769,
    frad: 770,
    skip: 771,
    loopback: 772,
    localtlk: 773,
    fddi: 774,
    bif: 775,
    sit: 776,
    'ip/ddp': 777,
    gre: 778,
    pimreg: 779,
    hippi: 780,
    ash: 781,
    econet: 782,
    irda: 783,
    fcpp: 784,
    fcal: 785,
    fcpl: 786,
    ...Object.fromEntries(Array.from({ length: 13 }, (_, index) => [`fcfb_${index}`, 787 + index])),
    tr: 800,
    'ieee802.11': 801,
    'ieee802.11_prism': 802,
    'ieee802.11_radiotap': 803,
    'ieee802.15.4': 804,
    'ieee802.15.4_monitor': 805,
    phonet: 820,
    phonet_pipe: 821,
    caif: 822,
    ip6gre: 823,
    netlink: 824,
    '6lowpan': 825,
    nohdr: 65534,
    void: 65535,
  }),
  wish: "ether, or another of the kernel's names such as infiniband, loopback, nohdr",
};

export const VLAN_PROTOCOL: EnumType = named('VLAN protocol', { '802.1q': 0x8100, '802.1ad': 0x88a8 });
export const OPERATOR: EnumType = numbered('operator', ['dhcp4', 'dhcp6', 'vip']);
export const DNS_PROTOCOL: EnumType = numbered('name server protocol', ['Do53', 'DoT', 'DoH']);

/** Kinds the node can create. Upstream takes any text and then fails to create the link. */
export const LINK_KINDS: readonly string[] = ['vlan', 'bond', 'bridge', 'vrf', 'veth', 'wireguard', 'dummy'];

const BOND_MODE = numbered('bond mode', [
  'balance-rr',
  'active-backup',
  'balance-xor',
  'broadcast',
  '802.3ad',
  'balance-tlb',
  'balance-alb',
]);
const BOND_HASH = numbered('transmit hash policy', ['layer2', 'layer3+4', 'layer2+3', 'encap2+3', 'encap3+4']);
const LACP_RATE = numbered('LACP rate', ['slow', 'fast']);
const ARP_VALIDATE = numbered('ARP validation', [
  'none',
  'active',
  'backup',
  'all',
  'filter',
  'filter-active',
  'filter-backup',
]);
const ARP_ALL_TARGETS = numbered('ARP targets mode', ['any', 'all']);
const PRIMARY_RESELECT = numbered('primary reselect policy', ['always', 'better', 'failure']);
const FAIL_OVER_MAC: EnumType = {
  ...numbered('fail-over MAC policy', ['none', 'active', 'follow']),
  aliases: { '': 'none', '0': 'none', '1': 'active', '2': 'follow' },
  caseSensitive: true,
};
const AD_SELECT = numbered('aggregator selection', ['stable', 'bandwidth', 'count']);
const LACP_ACTIVE = numbered('LACP activity', ['off', 'on']);
const CLIENT_IDENTIFIER = numbered('client identifier', ['none', 'mac', 'duid']);

const layer: Field = { type: LAYER };

const BOND_MASTER: ObjectType = object({
  mode: BOND_MODE,
  xmitHashPolicy: BOND_HASH,
  lacpRate: LACP_RATE,
  arpValidate: ARP_VALIDATE,
  arpAllTargets: ARP_ALL_TARGETS,
  primary: { type: UINT32, zeroCounts: true },
  primaryReselect: PRIMARY_RESELECT,
  failOverMac: FAIL_OVER_MAC,
  adSelect: AD_SELECT,
  miimon: UINT32,
  updelay: UINT32,
  downdelay: UINT32,
  arpInterval: UINT32,
  resendIgmp: UINT32,
  minLinks: UINT32,
  lpInterval: UINT32,
  packetsPerSlave: UINT32,
  numPeerNotif: UINT8,
  tlbLogicalLb: UINT8,
  allSlavesActive: UINT8,
  useCarrier: BOOLEAN,
  adActorSysPrio: UINT16,
  adUserPortKey: UINT16,
  peerNotifyDelay: UINT32,
  arpIpTargets: list(ADDRESS),
  nsIp6Targets: list(ADDRESS),
  adLacpActive: { type: LACP_ACTIVE, zeroCounts: true },
  missedMax: UINT8,
});

/** Names a field of `bondMaster` takes, for kernel arguments that set the same things. */
export const BOND_MASTER_FIELDS: Readonly<Record<string, Readonly<Record<string, number>>>> = Object.fromEntries(
  Object.entries(BOND_MASTER.fields).flatMap(([name, { type }]) => (type.kind === 'enum' ? [[name, type.values]] : [])),
);

const WIREGUARD: ObjectType = object({
  privateKey: { type: STRING, secret: true },
  publicKey: STRING,
  listenPort: INT64,
  firewallMark: INT64,
  peers: list(
    object({
      publicKey: STRING,
      presharedKey: { type: STRING, secret: true },
      endpoint: STRING,
      persistentKeepaliveInterval: DURATION,
      allowedIPs: list(PREFIX),
    }),
  ),
});

const LINK: ObjectType = object({
  name: STRING,
  logical: BOOLEAN,
  up: BOOLEAN,
  mtu: UINT32,
  kind: STRING,
  type: LINK_TYPE,
  hardwareAddr: { kind: 'hardware-address' },
  parentName: STRING,
  masterName: STRING,
  slaveIndex: INT64,
  bridgeSlave: object({ masterName: STRING }),
  vrfSlave: object({ masterName: STRING }),
  vlan: object({ vlanID: UINT16, vlanProtocol: VLAN_PROTOCOL }),
  bondMaster: BOND_MASTER,
  bridgeMaster: object({ stp: object({ enabled: BOOLEAN }), vlan: object({ filteringEnabled: BOOLEAN }) }),
  vrfMaster: object({ table: ROUTING_TABLE }),
  wireguard: WIREGUARD,
  veth: { type: object({ peerName: STRING }), since: '1.14' },
  layer,
  multicast: { type: BOOLEAN, zeroCounts: true },
});

const DHCP_FIELDS = {
  routeMetric: UINT32,
  skipHostnameRequest: BOOLEAN,
  clientIdentifier: object({ clientIdentifier: CLIENT_IDENTIFIER, duidRawHex: STRING }),
} as const;

const OPERATOR_FIELDS: ObjectType = object({
  operator: OPERATOR,
  linkName: STRING,
  requireUp: BOOLEAN,
  dhcp4: object({ ...DHCP_FIELDS, skipRoutes: { type: BOOLEAN, since: '1.14' } }),
  dhcp6: object(DHCP_FIELDS),
  vip: object({
    ip: ADDRESS,
    gratuitousARP: BOOLEAN,
    equinixMetal: object({ projectID: STRING, deviceID: STRING, apiToken: { type: STRING, secret: true } }),
    hcloud: object({ deviceID: INT64, networkID: INT64, apiToken: { type: STRING, secret: true } }),
  }),
  layer,
});

/** A URL in the parts of Go's `net/url`: a plain text is refused by 1.14. */
export const URL_PARTS: ObjectType = object({
  scheme: STRING,
  opaque: STRING,
  user: object({}),
  host: STRING,
  path: STRING,
  fragment: STRING,
  rawquery: STRING,
  rawpath: STRING,
  rawfragment: STRING,
  forcequery: BOOLEAN,
  omithost: BOOLEAN,
});

const METADATA: ObjectType = object({
  platform: STRING,
  hostname: STRING,
  region: STRING,
  zone: STRING,
  instanceType: STRING,
  instanceId: STRING,
  providerId: STRING,
  spot: BOOLEAN,
  internalDNS: STRING,
  externalDNS: STRING,
  tags: { kind: 'string-map' },
});

export const NETWORK_DOCUMENT: ObjectType = object({
  addresses: list(
    object({
      address: PREFIX,
      linkName: STRING,
      family: FAMILY,
      scope: SCOPE,
      flags: ADDRESS_FLAGS,
      announceWithARP: BOOLEAN,
      priority: UINT32,
      layer,
    }),
  ),
  links: list(LINK),
  routes: list(
    object({
      family: FAMILY,
      dst: PREFIX,
      src: ADDRESS,
      gateway: ADDRESS,
      outLinkName: STRING,
      table: ROUTING_TABLE,
      priority: UINT32,
      scope: SCOPE,
      type: ROUTE_TYPE,
      flags: ROUTE_FLAGS,
      protocol: ROUTE_PROTOCOL,
      layer,
      mtu: UINT32,
      nextHops: {
        type: list(object({ gateway: ADDRESS, outLinkName: STRING, weight: UINT32 })),
        since: '1.14',
      },
    }),
  ),
  hostnames: list(object({ hostname: STRING, domainname: STRING, layer })),
  resolvers: list(
    object({
      dnsServers: list(ADDRESS),
      nameServers: {
        type: list(object({ addr: ADDRESS, protocol: DNS_PROTOCOL, tlsServerName: STRING })),
        since: '1.14',
      },
      layer,
      searchDomains: list(STRING),
      searchDomainsOverridden: { type: BOOLEAN, since: '1.14' },
    }),
  ),
  timeServers: list(object({ timeServers: list(STRING), useNTS: { type: BOOLEAN, since: '1.14' }, layer })),
  operators: list(OPERATOR_FIELDS),
  externalIPs: list(ADDRESS),
  probes: list(
    object({
      interval: DURATION,
      failureThreshold: INT64,
      tcp: object({ endpoint: STRING, timeout: DURATION }),
      layer,
      http: { type: object({ url: URL_PARTS, timeout: DURATION }), since: '1.14' },
    }),
  ),
  metadata: METADATA,
});

/** What people write from other formats, and where it belongs here. */
export const FOREIGN_NAMES: Readonly<Record<string, string>> = {
  destination: 'dst',
  network: 'dst',
  to: 'dst',
  source: 'src',
  via: 'gateway',
  gw: 'gateway',
  metric: 'priority',
  interface: 'linkName',
  device: 'linkName',
  link: 'linkName',
  cidr: 'address',
  ip: 'address',
  vid: 'vlanID',
  vlanId: 'vlanID',
  id: 'vlanID',
  protocol: 'vlanProtocol',
  parent: 'parentName',
  bondSlave: 'masterName',
  master: 'masterName',
  bond: 'bondMaster',
  bridge: 'bridgeMaster',
  vrf: 'vrfMaster',
  mac: 'hardwareAddr',
  macAddress: 'hardwareAddr',
  resendIGMP: 'resendIgmp',
  bondMode: 'mode',
  primaryIndex: 'primary',
  domain: 'domainname',
  nameservers: 'dnsServers',
  search: 'searchDomains',
  servers: 'timeServers',
  ntp: 'timeServers',
  dns: 'resolvers',
  interfaces: 'links',
  hostname: 'hostnames',
};

function unsigned(bits: bigint): IntegerType {
  return { kind: 'integer', min: 0n, max: 2n ** bits - 1n };
}

function named(name: string, values: Readonly<Record<string, number>>): EnumType {
  return { kind: 'enum', name, values };
}

function numbered(name: string, texts: readonly string[]): EnumType {
  return named(name, Object.fromEntries(texts.map((text, index) => [text, index])));
}

function powersOfTwo(first: number, texts: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(texts.map((text, index) => [text, first * 2 ** index]));
}
