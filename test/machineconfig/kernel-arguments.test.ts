// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the node's own
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { isMistake } from '../../src/machineconfig/address.ts';
import { firstValue, type KernelArgument, parseCommandLine, valuesOf } from '../../src/machineconfig/command-line.ts';
import {
  CONFIG_URL_VARIABLES,
  fillConfigUrl,
  joinInlineConfig,
  parseOauthArguments,
  parseSideroLinkArgument,
} from '../../src/machineconfig/config-arguments.ts';
import { formatDuration, parseDuration } from '../../src/machineconfig/duration.ts';
import { checkKernelArguments, parseSwitch } from '../../src/machineconfig/kernel-arguments.ts';
import type { ArgumentLink, MachineLinks } from '../../src/machineconfig/link-spec.ts';
import { parseNetworkArguments } from '../../src/machineconfig/network-arguments.ts';
import { formatUrl, parseUrl } from '../../src/machineconfig/url.ts';
import { vlanLinkName } from '../../src/machineconfig/vlan-argument.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Verdict {
  readonly result?: unknown;
  readonly value?: string | null;
  readonly error?: string;
  readonly ignoredError?: string;
  readonly all?: readonly string[];
  readonly first?: string;
}

interface ArgumentCase {
  readonly id: string;
  readonly parser: string;
  readonly input: string;
  readonly given?: Readonly<Record<string, string>>;
  readonly 'v1.14.0-rc.1': Verdict;
}

/** The machine of the vectors. */
const MACHINE: MachineLinks = { first: 'eth0', indexOf: (name) => ({ lo: 1, eth0: 2, eth1: 3 })[name] };
const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();

/** What each parser of the vectors says of a case, in upstream's shape; `undefined` stands for a refusal. */
const READERS: Readonly<Record<string, (one: ArgumentCase, args: readonly KernelArgument[]) => unknown>> = {
  network: (_, args) => networkResult(args),
  'vlan-name': ({ input, given }) => vlanLinkName(input, Number(given?.id), sha256),
  'config-url': ({ input, given }) => {
    const filled = fillConfigUrl(input, given ?? {});
    return isMistake(filled) ? undefined : filled.url;
  },
  oauth: (_, args) => oauthResult(args),
  'oauth-variables': ({ input }) => (CONFIG_URL_VARIABLES.includes(input) ? input : undefined),
  siderolink: (_, args) => sideroLinkResult(firstValue(args, 'siderolink.api') ?? ''),
  environment: (_, args) => valuesOf(args, 'talos.environment'),
  bool: (_, args) => parseSwitch(firstValue(args, args[0]?.key ?? '') ?? '') ?? false,
  equals: ({ given }, args) => {
    const [key = '', word] = (given?.want ?? '').split('=');
    return firstValue(args, key) === word;
  },
  duration: ({ given }, args) => formatDuration(parseDuration(firstValue(args, given?.key ?? '') ?? '') ?? 0n),
  'logging-kernel': (_, args) => {
    const url = parseUrl(firstValue(args, 'talos.logging.kernel') ?? '');
    if (isMistake(url)) return undefined;
    return { host: url.host, path: url.path, scheme: url.scheme, string: formatUrl(url) };
  },
};

function networkResult(args: readonly KernelArgument[]): unknown {
  const settings = parseNetworkArguments(args, MACHINE, sha256);
  if ('mistake' in settings) return undefined;
  const { hostname, ignoredLinks, dns, ntp, addresses, links } = settings;
  return filled({ hostname, ignore: ignoredLinks, dns, ntp, linkConfigs: addresses, linkSpecs: links.map(linkResult) });
}

function linkResult({ name, logical, mtu, kind, master, bond, vlan }: ArgumentLink): unknown {
  return {
    kind,
    layer: 'cmdline',
    logical,
    mtu,
    name,
    type: logical ? 'ether' : 'netrom',
    up: true,
    ...filled({ masterName: master?.name, slaveIndex: master?.index, bondMaster: bond, parentName: vlan?.parent }),
    ...(vlan === undefined ? {} : { vlan: { vlanID: vlan.id, vlanProtocol: '802.1q' } }),
  };
}

function oauthResult(args: readonly KernelArgument[]): unknown {
  const settings = parseOauthArguments(args);
  if (settings === undefined || isMistake(settings)) return undefined;
  const { clientId, clientSecret, audience, scopes, extraVariables, deviceAuthUrl, tokenUrl } = settings;
  return {
    clientID: clientId,
    deviceAuthURL: deviceAuthUrl,
    tokenURL: tokenUrl,
    ...filled({ clientSecret, audience, scopes, extraVariables }),
  };
}

function sideroLinkResult(value: string): unknown {
  const endpoint = parseSideroLinkArgument(value);
  if (endpoint === undefined) return null;
  if (isMistake(endpoint)) return undefined;
  const { host, insecure, joinToken, tunnel } = endpoint;
  return { apiEndpoint: value, host, insecure, joinToken, tunnel };
}

/** Without what is empty or zero, as upstream writes it. */
function filled(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const isFilled = (value: unknown): boolean =>
    value !== undefined && value !== '' && value !== 0 && !(Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isFilled(value)));
}

const CASES = vectorLines<ArgumentCase>('machine-config/kernel-arguments.jsonl.gz');

test('arguments mean what upstream takes them for', () => {
  for (const one of CASES) {
    const reader = READERS[one.parser];
    if (reader === undefined) continue;
    const verdict = one['v1.14.0-rc.1'];
    const result = reader(one, parseCommandLine(one.input));
    // A URL with variables that the machine lacks is an error and a result.
    if (verdict.error !== undefined && !verdict.result) assert.equal(result, undefined, `${one.id}: want a refusal`);
    else assert.deepEqual(result, verdict.result, one.id);
  }
});

test('the variables a machine lacks are known', () => {
  for (const { id, parser, input, given, 'v1.14.0-rc.1': verdict } of CASES) {
    if (parser !== 'config-url') continue;
    const filledUrl = fillConfigUrl(input, given ?? {});
    const isMissing = isMistake(filledUrl) || filledUrl.missing.length > 0;
    assert.equal(isMissing, verdict.error !== undefined, id);
  }
});

test('values are found, all of them and the first', () => {
  for (const { id, parser, input, given, 'v1.14.0-rc.1': verdict } of CASES) {
    if (parser !== 'values') continue;
    const args = parseCommandLine(input);
    assert.deepEqual(valuesOf(args, given?.key ?? ''), verdict.all, id);
    assert.equal(firstValue(args, given?.key ?? ''), verdict.first, id);
  }
});

/** What is wrong with these lies in the configuration inside, not in the argument. */
const INSIDE: ReadonlySet<string> = new Set(['unknown-key', 'garbage-after', 'empty-document', 'invalid-config']);

test('inline configuration is joined and recognised', () => {
  let seen = 0;
  for (const { id, parser, input, given, 'v1.14.0-rc.1': verdict } of CASES) {
    if (parser !== 'inline-config') continue;
    seen++;
    const values = valuesOf(parseCommandLine(input), given?.key ?? '');
    const joined = joinInlineConfig(values);
    const name = id.split('/').at(-1) ?? '';
    if (values.length === 0) assert.equal(verdict.result, null, id);
    else if (name === 'empty') assert.ok(!isMistake(joined) && joined.compressed.length === 0, id);
    else if (INSIDE.has(name)) assert.ok(!isMistake(joined), id);
    else if (verdict.error !== undefined) assert.ok(isMistake(joined), id);
    else {
      assert.ok(!isMistake(joined), id);
      const text = zstdDecompressSync(joined.compressed).toString();
      for (const { kind } of (verdict.result as { documents: { kind: string }[] }).documents.slice(0, 1)) {
        assert.match(text, new RegExp(`kind: ${kind}`), id);
      }
    }
  }
  assert.equal(seen, 29);
});

test('what upstream refuses or ignores has a warning', () => {
  /** Refused for what the vectors ran it against, or for nothing an image can know. */
  const SILENT =
    /^oauth\/none$|^oauth-variables|^config-url|vlanname|\/(?:unknown-key|garbage-after|empty-document|invalid-config)$/;
  for (const { id, input, 'v1.14.0-rc.1': verdict } of CASES) {
    if (verdict.error === undefined && verdict.ignoredError === undefined) continue;
    if (SILENT.test(id)) continue;
    assert.ok(checkKernelArguments(input).length > 0, `${id}: ${input}`);
  }
});

const ALL_LOST = 'the node then drops addresses, links, routes, host name and resolvers of the whole command line';

/** A command line and its warnings as `argument: message`. */
const WARNINGS: readonly (readonly [commandLine: string, warnings: readonly string[]])[] = [
  ['console=tty0 init_on_alloc=1 slab_nomerge pti=on talos.platform=metal ip=dhcp net.ifnames=0 selinux=1', []],
  ['ip=172.20.0.2::172.20.0.1:255.255.255.0:node-1:eth0:off:1.1.1.1:8.8.8.8', []],
  ['ip=eth0:dhcp ip=[2001:db8::2]::[fe80::1]:64::eth1', []],
  ['ip=on', [`ip=on: address "on": no IP address; ${ALL_LOST}`]],
  ['ip=eth0:on', [`ip=eth0:on: address "eth0": no IP address; ${ALL_LOST}`]],
  [
    'ip=172.20.0.2/24::172.20.0.1:::eth0',
    [`ip=172.20.0.2/24::172.20.0.1:::eth0: address "172.20.0.2/24": unexpected "2/24" in an IPv4 address; ${ALL_LOST}`],
  ],
  ['ip=172.20.0.2:::24', ['ip=172.20.0.2:::24: no link named: the node takes the first by name']],
  ['ip=172.20.0.2:::::eth0', ['ip=172.20.0.2:::::eth0: no netmask: the address becomes 172.20.0.2/32']],
  ['ip=172.20.0.2:::33::eth0', ['ip=172.20.0.2:::33::eth0: netmask "33": out of range, no address will be set']],
  [
    'ip=172.20.0.2:::255.0.255.0::eth0',
    ['ip=172.20.0.2:::255.0.255.0::eth0: netmask 255.0.255.0: ones after zeros, counts as /0'],
  ],
  [
    'ip=172.20.0.2::172.21.0.1:24::eth0',
    ['ip=172.20.0.2::172.21.0.1:24::eth0: gateway 172.21.0.1 is outside of 172.20.0.2/24'],
  ],
  ['ip=172.20.0.2:::24::eth0:DHCP', ['ip=172.20.0.2:::24::eth0:DHCP: autoconf "DHCP": no effect, only dhcp has one']],
  ['ip=172.20.0.2:::24::eth0:::::x', ['ip=172.20.0.2:::24::eth0:::::x: 1 more fields than the node reads, after NTP']],
  [
    'vlan=vlan5:eth0 ip=10.0.0.2:::24::vlan5',
    [
      'ip=10.0.0.2:::24::vlan5: the node calls the link of vlan=vlan5:eth0 differently',
      'vlan=vlan5:eth0: the node does not call the link vlan5',
    ],
  ],
  ['vlan=eth0.5:eth0', []],
  ['vlan=eth0.0:eth0', [`vlan=eth0.0:eth0: VLAN ID "0": want 1..4095; ${ALL_LOST}`]],
  ['bond=bond0:eth0,eth1:mode=802.3ad,miimon=100:9000', []],
  [
    'bond=bond0:eth0:mode=4',
    [
      `bond=bond0:eth0:mode=4: mode "4": want balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb; ${ALL_LOST}`,
    ],
  ],
  [
    'bond=bond0:eth0:miimon',
    [`bond=bond0:eth0:miimon: option miimon without "=": the node's parser crashes on it; ${ALL_LOST}`],
  ],
  ['bond=bond0:eth0:miimon=-1', ['bond=bond0:eth0:miimon=-1: miimon -1: becomes 4294967295']],
  ['bond=bond0:eth0:num_grat_arp=256', ['bond=bond0:eth0:num_grat_arp=256: num_grat_arp 256: becomes 0']],
  ['bond=bond0:eth0 bond=bond1:eth1', ['bond=bond0:eth0: 2 values: the node reads the first only']],
  [
    'talos.network.interface.ignore=eth0,eth1',
    ['talos.network.interface.ignore=eth0,eth1: "eth0,eth1": one link name, commas and all'],
  ],
  [
    'talos.hostname="a b"',
    [
      'talos.hostname="a: begins with ": to the node quotes are part of the value',
      'talos.hostname="a: host name "\\"a": want letters, digits and "-"',
    ],
  ],
  ['talos.hostname=a talos.hostname=a', []],
  [
    'talos.platform=Metal',
    [
      `talos.platform=Metal: no platform: want akamai, alibabacloud, aws, azure, cloudstack, container, digital-ocean, equinixMetal, exoscale, gcp, hcloud, metal, nocloud, opennebula, openstack, oracle, scaleway, upcloud, vmware, vultr`,
    ],
  ],
  ['talos.config=https://h/c?u=${uuid}&m=${mac}', []],
  ['talos.config=metal-iso', []],
  ['talos.config=METAL-ISO', ['talos.config: a URL to the node: only the exact word has a meaning']],
  ['talos.config=https://h/${uuid}/c', ['talos.config: a variable outside of the query: left as it is']],
  ['talos.config=https://${uuid}/c', ['talos.config: character "{" in the host: no URL']],
  ['talos.config=https://h/c?u=${uiid}', ['talos.config: variable "uiid": unknown, left as it is']],
  ['talos.config=h/c', ['talos.config: no URL with scheme and host']],
  ['talos.config=https://h/c?a=1;b=2', ['talos.config: a ";" in the query: the node does not understand that part']],
  ['talos.platform=vmware talos.config=guestinfo', []],
  [
    'talos.config.inline=###',
    ['talos.config.inline: character "#" at 0: no standard base64; the node finds no configuration at all'],
  ],
  ['talos.config.oauth.scope=a', ['talos.config.oauth.scope: ignored without talos.config.oauth.client_id']],
  [
    'talos.config=https://h/c talos.config.oauth.client_id=x talos.config.oauth.extra_variable=UUID',
    [
      'talos.config.oauth.extra_variable=UUID: want uuid, serial, mac, hostname, code; with any other name the flow fails',
    ],
  ],
  ['talos.environment=A=1,B=2', ['talos.environment: sets A alone, with everything after it']],
  ['talos.environment=1a=x', ['talos.environment: "1a": no name of a variable']],
  ['siderolink.api=https://omni.example.org?jointoken=x', []],
  ['siderolink.api=grpc://10.0.0.1?jointoken=x', ['siderolink.api: no port']],
  ['siderolink.api=http://a:80', ['siderolink.api: scheme http: want grpc (without TLS) or https']],
  ['siderolink.api=https://a?grpc_tunnel=yes', ['siderolink.api: grpc_tunnel: only true and y switch the tunnel on']],
  ['talos.events.sink=[fdae:41e4:649b:9303::1]:8090', []],
  ['talos.events.sink=host', ['talos.events.sink=host: want host:port']],
  ['talos.logging.kernel=tcp://10.0.0.1:514', []],
  [
    'talos.logging.kernel=10.0.0.1:514',
    ['talos.logging.kernel=10.0.0.1:514: a colon before the first "/", but no scheme: want a URL'],
  ],
  ['talos.experimental.wipe=system:EPHEMERAL,STATE', []],
  [
    'talos.experimental.wipe=/dev/sda',
    ['talos.experimental.wipe=/dev/sda: want system or system:LABEL,LABEL; anything else fails the boot'],
  ],
  ['talos.dashboard.disabled=yes', ['talos.dashboard.disabled=yes: "yes": counts as false']],
  ['talos.dashboard.disabled', ['talos.dashboard.disabled: no value: counts as false']],
  [
    'talos.dashboard.console=/dev/tty1',
    ['talos.dashboard.console=/dev/tty1: want the name of a terminal without directory, like tty2'],
  ],
  ['talos.device.settle_time=3', ['talos.device.settle_time=3: no duration, counts as 0']],
  ['panic=00', ['panic=00: only "0" itself keeps the node from rebooting after a failure']],
  ['panic=10', []],
  ['enforcing=true', ['enforcing=true: "true": only 1 counts as on']],
  ['talos.halt_if_instaled=1', ['talos.halt_if_instaled=1: no argument the node knows']],
  ['talos_hostname=a', ['talos_hostname=a: no argument the node knows']],
  ['quiet -- ip=dhcp', ['--: no separator to the node: what follows is read like all the rest']],
  ['"a=b c"', ['"a: begins with a quote: to the node quotes are part of the name']],
];

test('every warning, by example', () => {
  for (const [commandLine, warnings] of WARNINGS) {
    const told = checkKernelArguments(commandLine).map(({ argument, message }) => `${argument}: ${message}`);
    assert.deepEqual(told, warnings, commandLine);
  }
});

test('parsed arguments and text give the same', () => {
  const text = 'ip=on talos.platform=metl ip=eth0:dhcp';
  assert.deepEqual(checkKernelArguments(parseCommandLine(text)), checkKernelArguments(text));
  assert.deepEqual(parseCommandLine(' a=1\u00a0b  a=2=3\n'), [
    { key: 'a', values: ['1', '2=3'] },
    { key: 'b', values: [''] },
  ]);
});

test('no warning shows a credential', () => {
  const secret = 'hunter2';
  const text = [
    `talos.config=https://u:${secret}@h:x/`,
    `talos.config.oauth.client_secret='${secret}'`,
    `siderolink.api=foo://h?jointoken=${secret}`,
    `talos.environment=A=${secret},B=2`,
    `talos.config.inline="${secret}`,
    `talos.config.oauth.client_secrt=${secret}`,
  ].join(' ');
  const warnings = checkKernelArguments(text);
  assert.ok(warnings.length >= 6);
  assert.ok(!JSON.stringify(warnings).includes(secret));
});

const PIECES = [
  ...CASES.map(({ input }) => input.slice(0, 200)),
  ...'=:,;.[]-/%$?&#"\'',
  ' ',
  '\0',
  '\u{1f600}',
  'ip=',
  'bond=',
  'vlan=vlan',
  'talos.config=',
  'siderolink.api=',
  '${uuid}',
  '%zz',
  '99999999999999999999',
  'fe80::1%x',
] as const;

test('any command line gives warnings or none, never an exception', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }), (pieces) => {
      const args = parseCommandLine(pieces.join(''));
      for (const { argument, message } of checkKernelArguments(args)) assert.ok(argument !== '' && message !== '');
      parseNetworkArguments(args, MACHINE, sha256);
    }),
    { numRuns: FUZZ_RUNS, seed: 20261121 },
  );
});
