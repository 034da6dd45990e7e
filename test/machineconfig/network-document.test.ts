import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { checkNetworkDocument, parseNetworkDocument } from '../../src/machineconfig/network-document.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Verdict {
  readonly id: string;
  readonly text: string;
  /** Upstream's rendering of what it read; absent where it refuses. */
  readonly readAs?: string;
}

interface PlatformCase {
  readonly id: string;
  readonly yaml: string;
  readonly 'v1.14.0-rc.1': { readonly result?: unknown; readonly error?: string };
}

interface MetaCase {
  readonly id: string;
  readonly text: string;
  readonly expect: { readonly accepted: boolean; readonly readAs?: string };
}

function verdicts(): Verdict[] {
  const platform = vectorLines<PlatformCase>('machine-config/platform-network.jsonl.gz').map((one) => {
    const { result } = one['v1.14.0-rc.1'];
    return { id: one.id, text: one.yaml, ...(result === undefined ? {} : { readAs: JSON.stringify(result) }) };
  });
  const meta = vectorLines<MetaCase>('machine-config/network-documents.jsonl.gz').map(({ id, text, expect }) => ({
    id,
    text,
    ...(expect.readAs === undefined ? {} : { readAs: expect.readAs }),
  }));
  return [...platform, ...meta];
}

/** Upstream writes zero values that it does not read again: an unset family, no address flags. */
function readable(rendering: string): string {
  return rendering.replaceAll(/"?[A-Za-z]+\(0\)"?/g, '~').replaceAll(/("?flags"?: ?)""/g, '$1~');
}

/** Documents of other kinds: we say so instead of reading nothing from them. */
const FOREIGN: ReadonlySet<string> = new Set([
  'mc-config-document-instead',
  'net/machine-config',
  'net/netplan',
  'net/linkconfig-doc',
]);

test('what upstream refuses is refused, what it reads is read the same', () => {
  for (const { id, text, readAs } of verdicts()) {
    const { value, problems } = parseNetworkDocument(text);
    const errors = problems.filter(({ severity }) => severity === 'error');
    if (readAs === undefined) assert.ok(errors.length > 0, `${id}: want an error`);
    else if (FOREIGN.has(id)) assert.equal(value, undefined, id);
    else assert.deepEqual(value, parseNetworkDocument(readable(readAs)).value, id);
  }
});

/** `severity line:column path: message`, sorted as the result is. */
function told(text: string, options: { talosMinor?: number } = {}): string[] {
  return parseNetworkDocument(text, options).problems.map(
    ({ severity, position, path, message }) =>
      `${severity} ${position.line}:${position.column} ${path === undefined ? '' : `${path}: `}${message}`,
  );
}

const GOOD = `
addresses:
  - {address: 192.168.1.10/24, linkName: eth0, family: inet4, scope: global, flags: permanent, layer: platform}
  - {address: "2001:db8::10/64", linkName: bond0.35, family: inet6}
links:
  - {name: eth0, up: true}
  - {name: eth1, up: true, masterName: bond0, slaveIndex: 0}
  - {name: eth2, up: true, masterName: bond0, slaveIndex: 1}
  - {name: bond0, logical: true, up: true, kind: bond, type: ether, bondMaster: {mode: 802.3ad, miimon: 100}}
  - {name: bond0.35, logical: true, up: true, kind: vlan, type: ether, parentName: bond0, vlan: {vlanID: 35, vlanProtocol: 802.1q}}
  - name: wg0
    logical: true
    up: true
    kind: wireguard
    type: nohdr
    wireguard:
      privateKey: YHo6MXq5WnyOQCqJSCRWnQ9HrU0LWPSBQMnGLKDrOXs=
      listenPort: 51820
      peers:
        - publicKey: YHo6MXq5WnyOQCqJSCRWnQ9HrU0LWPSBQMnGLKDrOXs=
          endpoint: 192.0.2.1:51820
          persistentKeepaliveInterval: 25s
          allowedIPs: [10.0.0.0/8]
routes:
  - {family: inet4, gateway: 192.168.1.1, outLinkName: eth0, table: main, priority: 1024, type: unicast, protocol: static}
  - {family: inet6, gateway: fe80::1, outLinkName: bond0.35, table: main, type: unicast, protocol: static}
  - {family: inet4, dst: 10.9.0.0/16, table: main, type: blackhole, protocol: static}
hostnames: [{hostname: node-1, domainname: example.org}]
resolvers: [{dnsServers: [192.168.1.1], searchDomains: [example.org]}]
timeServers: [{timeServers: [time.example.org]}]
operators:
  - {operator: dhcp4, linkName: eth3, requireUp: true, dhcp4: {routeMetric: 1024}}
  - {operator: vip, linkName: eth0, vip: {ip: 192.168.1.100}}
externalIPs: [203.0.113.7]
probes: [{interval: 10s, failureThreshold: 3, tcp: {endpoint: "192.0.2.1:443", timeout: 5s}}]
`;

test('a good document gives no word', () => {
  assert.deepEqual(told(GOOD), []);
  const { value, warnings } = checkNetworkDocument(GOOD);
  assert.deepEqual(warnings, []);
  assert.equal((value.links as readonly unknown[]).length, 6);
});

test('JSON is a network document too', () => {
  assert.deepEqual(told('{"hostnames":[{"hostname":"a"}]}'), []);
  assert.match(told('{"hostnames":[{"hostname":"a\\/b"}]}')[0] ?? '', /error 1:29 \\\/ in double quotes/);
});

test('every mistake is told at once, with its place, the line and a caret', () => {
  const text =
    'addresses:\n  - address: 192.168.1.10\n    linkName: eth0\n    family: ipv4\nlinks:\n  - name: eth0\n    up: true\n    mtu: "9000"\n';
  assert.throws(
    () => checkNetworkDocument(text, { file: 'network.yaml' }),
    (error) => {
      assert.ok(error instanceof ImagerError);
      assert.equal(error.code, 'invalid-input');
      assert.equal(
        error.message,
        `network.yaml:2:14: addresses[0].address: "192.168.1.10": want an address with prefix length, like 192.168.1.10/24
    2 |   - address: 192.168.1.10
      |              ^^^^^^^^^^^^
network.yaml:4:13: addresses[0].family: "ipv4": no address family: want inet4 or inet6
    4 |     family: ipv4
      |             ^^^^
      hint: did you mean inet4?
network.yaml:8:10: links[0].mtu: "9000": want a whole number 0..4294967295
    8 |     mtu: "9000"
      |          ^^^^^^
      hint: leave the quotes away`,
      );
      return true;
    },
  );
});

const address = (fields: string): string => `addresses: [{${fields}}]`;
const link = (fields: string): string => `links: [{${fields}}]`;
const route = (fields: string): string => `routes: [{${fields}}]`;
const STATIC = 'type: unicast, protocol: static, table: main';
const KEY = 'YHo6MXq5WnyOQCqJSCRWnQ9HrU0LWPSBQMnGLKDrOXs=';

/** One document and the problems it has, all of them; `[]` where there must be none. */
const RULES: readonly (readonly [text: string, problems: readonly string[]])[] = [
  // Addresses.
  [address('address: 10.0.0.1/24, linkName: eth0, family: inet4'), []],
  [
    address('address: 10.0.0.1/24, linkName: eth0'),
    ['error 1:13 addresses[0]: family: not set, the kernel takes none without it'],
  ],
  [
    address('address: 10.0.0.1/24, linkName: eth0, family: inet6'),
    ['error 1:60 addresses[0].family: inet6: does not fit the IPv4 address'],
  ],
  [address('address: "", linkName: eth0, family: inet4'), ['error 1:23 addresses[0].address: empty']],
  [address('address: 10.0.0.1/24, family: inet4'), ['error 1:13 addresses[0]: linkName: not set']],
  [
    address('address: 10.0.0.1/24, linkName: bond1, family: inet4'),
    ['warning 1:46 addresses[0].linkName: no link bond1 in this document'],
  ],
  [
    address('address: 10.0.0.1/24, link: eth0, family: inet4'),
    ['error 1:36 addresses[0].link: unknown key, Talos would ignore it'],
  ],
  [
    address('address: 10.0.0.1/24, linkName: eth0, family: inet4, layer: operator'),
    ['warning 1:74 addresses[0].layer: operator: no effect, the layer is always platform'],
  ],
  [
    `addresses: [{address: 10.0.0.1/24, linkName: eth0, family: inet4}, {address: 10.0.0.1/24, linkName: eth0, family: inet4}]`,
    ['warning 1:68 addresses[1]: replaces the one on line 1: the same to the node'],
  ],
  // Links.
  [link('name: eth0, up: true'), []],
  [link('name: eth0'), ['warning 1:9 links[0]: up: not set, so the node brings the link down']],
  [link('up: true'), ['error 1:9 links[0]: name: not set']],
  [link('name: "a b", up: true'), ['error 1:16 links[0].name: want a link name without "/", ":" and blanks']],
  [
    link('name: abcdefghijklmnop, up: true, logical: true, kind: dummy, type: ether'),
    ['error 1:16 links[0].name: 16 bytes: link names have at most 15'],
  ],
  [
    'links: [{name: eth0, up: true}, {name: eth0, up: true}]',
    ['error 1:16 links[0].name: eth0: ignored, the link of that name on line 1 replaces it'],
  ],
  [link('name: eth0, up: true, mtu: 9000'), []],
  [link('name: eth0, up: true, mtu: 67'), ['error 1:37 links[0].mtu: 67: want 68..65536, or 0 to leave it as it is']],
  [link('name: eth0, up: true, mtu: 1000'), ['warning 1:37 links[0].mtu: 1000: IPv6 needs 1280']],
  [
    link('name: eth0, up: true, kind: ethernet'),
    ['error 1:38 links[0].kind: no link kind: want vlan, bond, bridge, vrf, veth, wireguard or dummy'],
  ],
  [link('name: d0, up: true, kind: dummy'), ['warning 1:36 links[0].kind: no effect on a link that is not logical']],
  [
    link('name: d0, up: true, logical: true, kind: dummy'),
    ['error 1:9 links[0]: type: not set on a logical link, which means netrom'],
  ],
  [
    link('name: d0, up: true, logical: true, type: ether'),
    ['error 1:9 links[0]: kind: not set on a logical link: want vlan, bond, bridge, vrf, veth, wireguard or dummy'],
  ],
  [
    link('name: v, up: true, logical: true, kind: vlan, type: ether'),
    ['error 1:9 links[0]: vlan: not set: want vlanID and vlanProtocol', 'error 1:9 links[0]: parentName: not set'],
  ],
  [
    link(
      'name: eth0.5, up: true, logical: true, kind: vlan, type: ether, parentName: eth0, vlan: {vlanID: 4095, vlanProtocol: 802.1q}',
    ),
    [
      'error 1:107 links[0].vlan.vlanID: 4095: want 1..4094',
      'warning 1:107 links[0].vlan.vlanID: 4095: the link is called eth0.5',
    ],
  ],
  [
    link('name: eth0.5, up: true, logical: true, kind: vlan, type: ether, parentName: eth0, vlan: {vlanId: 5}'),
    [
      'error 1:98 links[0].vlan: vlanProtocol: not set, the kernel takes none without it',
      'error 1:99 links[0].vlan.vlanId: unknown key, Talos would ignore it',
    ],
  ],
  [
    link('name: bond0, up: true, logical: true, kind: bond, type: ether'),
    ['warning 1:16 links[0].name: bond0: no link of this document belongs to the bond'],
  ],
  [
    'links: [{name: br0, up: true, logical: true, kind: bridge, type: ether}, {name: eth0, up: true, masterName: br0}]',
    ['error 1:109 links[1].masterName: br0: a bridge, no bond'],
  ],
  [
    link('name: eth0, up: true, bridgeSlave: {masterName: br7}'),
    ['warning 1:58 links[0].bridgeSlave.masterName: br7: no link of that name in this document'],
  ],
  [
    link('name: vrf0, up: true, logical: true, kind: vrf, type: ether'),
    ['error 1:9 links[0]: vrfMaster.table: not set: want the routing table of the VRF'],
  ],
  [
    link('name: veth0, up: true, logical: true, kind: veth, type: ether, veth: {peerName: veth0}'),
    ['error 1:90 links[0].veth.peerName: veth0: a link cannot be its own peer'],
  ],
  [
    link(
      `name: wg0, up: true, logical: true, kind: wireguard, type: nohdr, wireguard: {privateKey: abc, listenPort: 70000}`,
    ),
    [
      'error 1:100 links[0].wireguard.privateKey: want a WireGuard key, 32 bytes in base64 (44 characters)',
      'error 1:117 links[0].wireguard.listenPort: 70000: want 0..65535',
    ],
  ],
  [
    link(
      `name: wg0, up: true, logical: true, kind: wireguard, type: nohdr, wireguard: {privateKey: "${KEY}", peers: [{publicKey: "${KEY}", endpoint: "192.0.2.1"}]}`,
    ),
    [
      'warning 1:156 links[0].wireguard.peers[0]: allowedIPs: not set, so nothing goes to this peer',
      'error 1:226 links[0].wireguard.peers[0].endpoint: want host:port',
    ],
  ],
  [
    link('name: eth0, up: true, hardwareAddr: "2:0:0:0:0:1"'),
    [
      'error 1:46 links[0].hardwareAddr: "2:0:0:0:0:1": groups that are not pairs, read as 20:00:01: want a MAC address like 02:00:5e:10:00:01',
    ],
  ],
  // Routes.
  [
    route(`family: inet4, gateway: 10.0.0.1, outLinkName: eth0, ${STATIC}`),
    ['warning 1:35 routes[0].gateway: no address of eth0 in this document that could reach it'],
  ],
  [route(`family: inet4, outLinkName: eth0, ${STATIC}`), []],
  [
    route(`family: inet4, ${STATIC}`),
    ['error 1:10 routes[0]: leads nowhere: want a gateway, an outLinkName or nextHops'],
  ],
  [
    route('outLinkName: eth0, dst: 10.0.0.0/8'),
    [
      'error 1:10 routes[0]: family: not set, the kernel takes none without it',
      'error 1:10 routes[0]: table: not set, which is unspec and not the main table',
      'error 1:10 routes[0]: type: not set, the kernel takes no route without it',
      'warning 1:10 routes[0]: protocol: not set',
    ],
  ],
  [
    route(`family: inet6, gateway: fe80::1, ${STATIC}`),
    ['error 1:35 routes[0].gateway: a link-local gateway says nothing without its link'],
  ],
  [
    route(`family: inet4, dst: 10.0.0.0/8, gateway: "fd00::1", outLinkName: eth0, ${STATIC}`),
    [
      'error 1:52 routes[0].gateway: IPv6, while dst is IPv4',
      'warning 1:52 routes[0].gateway: no address of eth0 in this document that could reach it',
    ],
  ],
  [
    `addresses: [{address: 10.0.0.5/24, linkName: eth0, family: inet4}]\nroutes: [{family: inet4, gateway: 10.0.1.1, outLinkName: eth0, ${STATIC}}]`,
    ['warning 2:35 routes[0].gateway: outside of every address of eth0 in this document'],
  ],
  [
    `operators: [{operator: dhcp4, linkName: eth0}]\nroutes: [{family: inet4, gateway: 10.0.1.1, outLinkName: eth0, ${STATIC}}]`,
    [],
  ],
  [
    route(`family: inet4, nextHops: [{weight: 1}], ${STATIC}`),
    ['error 1:37 routes[0].nextHops[0]: want a gateway or an outLinkName'],
  ],
  [
    route(`family: inet4, destination: 10.0.0.0/8, outLinkName: eth0, metric: 5, ${STATIC}`),
    [
      'error 1:26 routes[0].destination: unknown key, Talos would ignore it',
      'error 1:70 routes[0].metric: unknown key, Talos would ignore it',
    ],
  ],
  // Host names, resolvers, time servers.
  [
    'hostnames: [{hostname: a}, {hostname: b}]',
    ['error 1:13 hostnames[0]: ignored: only the last entry counts, line 1'],
  ],
  ['hostnames: [{hostname: ""}]', ['error 1:24 hostnames[0].hostname: empty']],
  ['hostnames: [{hostname: "a b"}]', ['error 1:24 hostnames[0].hostname: want letters, digits and "-" only']],
  ['hostnames: [{hostname: a.b.c}]', ['warning 1:24 hostnames[0].hostname: a name with its domain']],
  [`hostnames: [{hostname: ${'a'.repeat(64)}}]`, ['error 1:24 hostnames[0].hostname: 64 bytes: want at most 63']],
  [`hostnames: [{hostname: a_b}]`, ['warning 1:24 hostnames[0].hostname: DNS and Kubernetes know no "_" in names']],
  ['resolvers: [{dnsServers: [""]}]', ['error 1:27 resolvers[0].dnsServers[0]: empty: want an IP address']],
  [
    'resolvers: [{dnsServers: [dns.example.org]}]',
    [
      'error 1:27 resolvers[0].dnsServers[0]: "dns.example.org": unexpected "dns" in an IPv4 address: want an IP address',
    ],
  ],
  ['timeServers: [{layer: platform}]', ['warning 1:15 timeServers[0]: sets nothing: want timeServers']],
  // Operators.
  ['operators: [{linkName: eth0}]', ['warning 1:13 operators[0]: operator: not set, which means dhcp4']],
  [
    'operators: [{operator: vip, linkName: eth0}]',
    ['error 1:13 operators[0]: vip: not set: want vip.ip, the shared address'],
  ],
  [
    'operators: [{operator: vip, linkName: eth0, vip: {gratuitousARP: true}}]',
    ['error 1:50 operators[0].vip: ip: not set'],
  ],
  [
    'operators: [{operator: dhcp6, linkName: eth0, dhcp4: {routeMetric: 5}}]',
    ['warning 1:54 operators[0].dhcp4: no effect: the operator is dhcp6'],
  ],
  [
    'operators: [{operator: dhcp4, linkName: eth0, dhcp4: {clientIdentifier: {clientIdentifier: duid}}}]',
    ['error 1:73 operators[0].dhcp4.clientIdentifier: duidRawHex: not set, but clientIdentifier is duid'],
  ],
  // Probes, metadata.
  [
    'probes: [{interval: 10s}]',
    ['error 1:10 probes[0]: neither tcp nor http: the node then applies nothing of the whole document'],
  ],
  [
    'probes: [{interval: -5s, failureThreshold: -1, tcp: {endpoint: "a", timeout: -1s}}]',
    [
      'error 1:21 probes[0].interval: want a duration above 0, like 10s',
      'error 1:44 probes[0].failureThreshold: want 0 or more',
      'error 1:64 probes[0].tcp.endpoint: want host:port',
      'error 1:78 probes[0].tcp.timeout: want 0 or more',
    ],
  ],
  [
    'probes: [{interval: 10, tcp: {endpoint: "a:1"}}]',
    ['error 1:21 probes[0].interval: 10: want a duration, like 30s or 1m30s'],
  ],
  ['metadata: {platform: metal}', ['warning 1:11 metadata: no effect: the platform replaces it with its own']],
  // The document as such.
  ['', ['warning 1:1 no settings: to Talos this is the same as no document']],
  [
    'hostnames: [{hostname: a}]\n---\nlinks: 3\n',
    ['warning 3:1 a second document: Talos reads the first and ignores the rest'],
  ],
  ['zzz: 1', ['error 1:1 zzz: unknown key, Talos would ignore it']],
  ['Links: []', ['error 1:1 Links: unknown key, Talos would ignore it']],
];

test('every rule, by example', () => {
  for (const [text, problems] of RULES) assert.deepEqual(told(text), problems, text);
});

test('documents of other kinds are called by their names', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['version: v1alpha1\nmachine: {type: worker}\n', /^error 2:1 this is a machine configuration/],
    ['apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n', /^error 2:1 this is a LinkConfig document/],
    ['network:\n  version: 2\n  ethernets: {eth0: {dhcp4: true}}\n', /^error 1:1 this is a netplan file/],
    ['ethernets: {eth0: {dhcp4: true}}\nversion: 2\n', /^error 1:1 this is a netplan file/],
    ['[Match]\nName=eth0\n', /^error 1:1 this is an INI file/],
    ['<!DOCTYPE html><html></html>', /^error 1:1 this is a web page/],
    ['auto eth0\niface eth0 inet dhcp\n', /^error 1:1 this is a Debian interfaces file/],
    ['customization: {}\narch: amd64\n', /^error 1:1 this is a profile of the imager/],
    ['- a', /^error 1:1 a list: want a mapping with addresses, links/],
  ];
  for (const [text, pattern] of cases) {
    const problems = told(text);
    assert.equal(problems.length, 1, text);
    assert.match(problems[0] ?? '', pattern);
  }
});

test('fields that an older Talos would ignore are told for that Talos', () => {
  const text = 'timeServers: [{timeServers: [a], useNTS: true}]';
  assert.deepEqual(told(text), []);
  assert.deepEqual(told(text, { talosMinor: 14 }), []);
  assert.deepEqual(told(text, { talosMinor: 13 }), [
    'warning 1:34 timeServers[0].useNTS: Talos before 1.14 ignores this',
  ]);
});

test('credentials are not in messages', () => {
  const { source, problems } = parseNetworkDocument(
    'links: [{name: wg0, wireguard: {privateKey: [hunter2], listenPort: x}}]',
  );
  const messages = problems.map(({ message }) => message).join('\n');
  assert.ok(!messages.includes('hunter2'));
  assert.throws(
    () => checkNetworkDocument('links: [{name: wg0, wireguard: {privateKey: hunter2, listenPort: x}}]'),
    (error) => error instanceof ImagerError && !error.message.includes('hunter2'),
  );
  assert.equal(source.file, 'network document');
});

const TEXTS = verdicts().map(({ text }) => text);
const PIECES = [
  '~',
  '[]',
  '{}',
  '""',
  '-1',
  '1e3',
  'yes',
  '\n',
  '  ',
  '- ',
  ': ',
  ',',
  '{',
  '}',
  '[',
  ']',
  '&a ',
  '*a',
  '<<: *a',
  '#',
  '"',
  '!!int ',
  '0x',
  '/33',
  '%',
  '\t',
];

test('damaged documents give problems, never anything else', () => {
  const damaged = fc
    .tuple(
      fc.constantFrom(...TEXTS, GOOD),
      fc.nat(),
      fc.constantFrom(...PIECES),
      fc.nat({ max: 9 }),
      fc.nat(),
      fc.constantFrom(...PIECES),
    )
    .map(([text, at, piece, cut, at2, piece2]) => {
      const first = at % (text.length + 1);
      const once = text.slice(0, first) + piece + text.slice(first + cut);
      const second = at2 % (once.length + 1);
      return once.slice(0, second) + piece2 + once.slice(second);
    });
  fc.assert(
    fc.property(damaged, (text) => {
      const { source, value, problems } = parseNetworkDocument(text);
      for (const { position } of problems) {
        assert.ok(position.line >= 1 && position.line <= source.text.split('\n').length && position.column >= 1);
      }
      if (value === undefined) assert.ok(problems.some(({ severity }) => severity === 'error'));
      try {
        checkNetworkDocument(text);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { numRuns: FUZZ_RUNS, seed: 20261121 },
  );
});
