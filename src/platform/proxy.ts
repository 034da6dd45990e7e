/**
 * Which proxy a request goes through, from the environment, in the reading of Go's `golang.org/x/net/http/httpproxy`: what containerd, Talos and
 * skopeo do with the same variables.
 */
import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { ImagerError } from '../errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** For a request to `url`; `undefined` to go straight. Throws `invalid-input` for a variable that is no URL of a proxy. */
export type ProxyChoice = (url: URL) => URL | undefined;

/** Capitals win over small letters. This machine itself is never reached through a proxy. */
export function proxyChoice(environment: Environment): ProxyChoice {
  const setting = (name: string): string => environment[name] || environment[name.toLowerCase()] || '';
  const [http, https] = [setting('HTTP_PROXY'), setting('HTTPS_PROXY')];
  if (http === '' && https === '') return () => undefined;
  const exceptions = setting('NO_PROXY').split(',').map(parseException);
  return (url) => {
    const [name, value] = url.protocol === 'https:' ? ['HTTPS_PROXY', https] : ['HTTP_PROXY', http];
    if (value === '') return undefined;
    const target = targetOf(url);
    if (target.host === 'localhost' || LOOPBACK.check(target.host, target.family)) return undefined;
    return exceptions.some((matches) => matches(target)) ? undefined : parseProxy(name, value);
  };
}

interface Target {
  /** Lower case, ASCII; addresses without brackets. */
  readonly host: string;
  /** Of an address; a name has none. */
  readonly family: 'ipv4' | 'ipv6' | undefined;
  readonly port: string;
}

type Exception = (target: Target) => boolean;

const LOOPBACK = listOf((list) => {
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
});

function targetOf({ hostname, port, protocol }: URL): Target {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return { ...addressOf(host), port: port || (protocol === 'https:' ? '443' : '80') };
}

/** An IPv4 address in IPv6 clothes is one of IPv4. */
function addressOf(host: string): Pick<Target, 'host' | 'family'> {
  const [, first, second] =
    /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(isIP(host) === 6 ? canonical(host) : '') ?? [];
  if (first === undefined || second === undefined) return { host, family: familyOf(host) };
  const parts = [first, second].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
  return { host: parts.join('.'), family: 'ipv4' };
}

/** As URLs write it. */
function canonical(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

/** A proxy may be written as `host:port`: then it is spoken to by plain HTTP. */
function parseProxy(name: string, value: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.hostname !== '' && ['http:', 'https:', 'socks5:', 'socks5h:'].includes(url.protocol)) {
    return url;
  }
  // The value stays out: it may hold a password.
  throw new ImagerError('invalid-input', `${name}: want http://, https:// or socks5:// and the host of a proxy`);
}

/** `*`, an address range, an address or a name, the latter two with a port if need be. A name stands for all below it, `.name` for those alone. */
function parseException(text: string): Exception {
  // No URL has the zone of an address.
  const pattern = text
    .trim()
    .toLowerCase()
    .replace(/%[^/\]]*/, '');
  if (pattern === '*') return () => true;
  const range = parseRange(pattern);
  if (range !== undefined) return ({ host, family }) => family === range.family && range.list.check(host, family);
  const { host, port } = splitPort(pattern);
  const fitsPort = (target: Target): boolean => port === '' || port === target.port;
  const address = addressOf(host);
  const { family } = address;
  if (family !== undefined) {
    const list = listOf((one) => one.addAddress(address.host, family));
    return (target) => target.family === family && list.check(target.host, family) && fitsPort(target);
  }
  const isBelow = /^\*?\./.test(host);
  const written = host.replace(/^\*?\./, '');
  const name = /^[\x21-\x7e]*$/.test(written) ? written : domainToASCII(written) || written;
  if (name === '' && !isBelow) return () => false;
  return (target) => (target.host.endsWith(`.${name}`) || (!isBelow && target.host === name)) && fitsPort(target);
}

interface AddressRange {
  readonly family: 'ipv4' | 'ipv6';
  readonly list: BlockList;
}

function parseRange(text: string): AddressRange | undefined {
  const [, address = '', length = ''] = /^(.+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = familyOf(address);
  if (family === undefined || Number(length) > (family === 'ipv4' ? 32 : 128)) return undefined;
  return { family, list: listOf((list) => list.addSubnet(address, Number(length), family)) };
}

function splitPort(text: string): { readonly host: string; readonly port: string } {
  const bracketed = /^\[([^\]]*)\](?::(\d*))?$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1]!, port: bracketed[2] ?? '' };
  const [, host = text, port = ''] = /^([^:]*):(\d*)$/.exec(text) ?? [];
  return { host, port };
}

function familyOf(host: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(host);
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6';
}

function listOf(fill: (list: BlockList) => void): BlockList {
  const list = new BlockList();
  fill(list);
  return list;
}
